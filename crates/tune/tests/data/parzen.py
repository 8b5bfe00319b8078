"""Log densities of Optuna's Parzen estimator, for src/sampler/parzen.rs.

    pip install optuna==5.0.0
    python parzen.py > parzen.json
"""

import json
import sys

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters

PARAMETERS = _ParzenEstimatorParameters(1.0, True, False, np.ones, True)
LETTERS = ["a", "b", "c"]
SPACE = {
    "float": (FloatDistribution(-5, 10), {"low": -5.0, "high": 10.0}),
    "log": (FloatDistribution(1e-4, 1, log=True), {"low": 1e-4, "high": 1.0, "log": True}),
    "step": (FloatDistribution(0, 1, step=0.25), {"low": 0.0, "high": 1.0, "step": 0.25}),
    "int": (IntDistribution(1, 9, step=2), {"low": 1, "high": 9, "step": 2}),
    "log_int": (IntDistribution(1, 64, log=True), {"low": 1, "high": 64, "log": True}),
    "choice": (CategoricalDistribution(LETTERS), {"choices": LETTERS}),
}
rng = np.random.default_rng(7)


def draw(name):
    if name == "float":
        return float(rng.uniform(-5, 10))
    if name == "log":
        return float(np.exp(rng.uniform(np.log(1e-4), 0)))
    if name == "step":
        return float(rng.integers(0, 5) * 0.25)
    if name == "int":
        return int(rng.integers(0, 5) * 2 + 1)
    if name == "log_int":
        return int(rng.integers(1, 65))
    return LETTERS[int(rng.integers(0, 3))]


def internal(names, rows):
    columns = {name: [SPACE[name][0].to_internal_repr(row[i]) for row in rows] for i, name in enumerate(names)}
    return {name: np.array(column, dtype=float) for name, column in columns.items()}


def case(title, names, count):
    observations = [[draw(name) for name in names] for _ in range(count)]
    at = [[draw(name) for name in names] for _ in range(12)]
    space = {name: SPACE[name][0] for name in names}
    estimator = _ParzenEstimator(internal(names, observations), space, PARAMETERS)
    return {
        "name": title,
        "dimensions": [SPACE[name][1] for name in names],
        "observations": observations,
        "at": at,
        "log_density": estimator.log_pdf(internal(names, at)).tolist(),
    }


cases = [case(f"{name} after {count}", [name], count) for name in SPACE for count in [1, 2, 9]]
cases += [case(f"all after {count}", list(SPACE), count) for count in [1, 2]]
# Equal values share their widths in the order of the sort, which is not stable: no stepped dimensions here.
cases += [case(f"some after {count}", ["float", "log", "choice"], count) for count in [15, 40]]
json.dump({"optuna": optuna.__version__, "cases": cases}, sys.stdout)
