"""Ranks of non-domination and hypervolumes of Optuna, for src/pareto.rs.

    pip install optuna==5.0.0
    python pareto.py > pareto.json
"""

import json
import sys

import numpy as np
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _fast_non_domination_rank

rng = np.random.default_rng(3)
cases = []
for count, objectives in [(1, 2), (12, 2), (60, 2), (30, 3)]:
    values = np.round(rng.normal(size=(count, objectives)), 2)
    signs = rng.choice([1, -1], size=objectives)
    losses = values * signs
    case = {
        "values": values.tolist(),
        "directions": ["minimize" if sign == 1 else "maximize" for sign in signs],
        "ranks": _fast_non_domination_rank(losses).tolist(),
    }
    if objectives == 2:
        corner = np.quantile(losses, 0.9, axis=0) + 0.5
        inside = losses[(losses < corner).all(axis=1)]
        case["reference"] = (corner * signs).tolist()
        case["hypervolume"] = float(compute_hypervolume(inside, corner)) if len(inside) else 0.0
    cases.append(case)
json.dump({"cases": cases}, sys.stdout)
