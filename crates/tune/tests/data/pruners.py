"""Decisions of Optuna's pruners, for src/pruner.rs.

    pip install optuna==5.0.0
    python pruners.py > pruners.json
"""

import json
import sys

import numpy as np
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def case(direction, written, pruner, steps):
    rng = np.random.default_rng(5)
    study = optuna.create_study(direction=direction, pruner=pruner)
    trials = []
    for _ in range(40):
        trial = study.ask()
        level, reported, pruned = rng.normal(), [], False
        for step in range(1, steps + 1):
            reported.append(float(np.round(level + 0.5 * rng.normal(), 3)))
            trial.report(reported[-1], step)
            if trial.should_prune():
                pruned = True
                break
        state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if pruned else reported[-1], state=state)
        trials.append({"reported": reported, "pruned": pruned})
    return {"direction": direction, "pruner": written, "trials": trials}


def median(startup_trials, warmup_steps, interval):
    written = {
        "kind": "median",
        "startup_trials": startup_trials,
        "warmup_steps": warmup_steps,
        "interval": interval,
    }
    return written, optuna.pruners.MedianPruner(startup_trials, warmup_steps, interval)


def halving(min_resource, reduction_factor):
    written = {
        "kind": "asha",
        "min_resource": min_resource,
        "reduction_factor": reduction_factor,
        "max_resource": 1000,
    }
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=min_resource, reduction_factor=reduction_factor, min_early_stopping_rate=0
    )
    return written, pruner


cases = [
    case("minimize", *median(5, 0, 1), 8),
    case("maximize", *median(3, 2, 3), 10),
    case("minimize", *halving(1, 3), 12),
    case("maximize", *halving(2, 2), 12),
]
json.dump({"optuna": optuna.__version__, "cases": cases}, sys.stdout)
