"""Best values of Optuna's TPE sampler, for tests/search/comparison.rs.

    pip install optuna==5.0.0
    python optuna_best.py > optuna_best.json

Each problem is the same function as in tests/search/problems.rs. `default` is TPESampler(seed) as Optuna 5 makes it
(multivariate for one objective), `independent` is TPESampler(seed, multivariate=False).
"""

import json
import math
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
SEEDS = range(20)

A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]
ALPHA = [1.0, 1.2, 3.0, 3.2]


def branin(trial):
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


def hartmann(trial):
    x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(6)]
    return -sum(a * math.exp(-sum(A[k][i] * (x[i] - P[k][i]) ** 2 for i in range(6))) for k, a in enumerate(ALPHA))


def mixed(trial):
    kind = trial.suggest_categorical("optimizer", ["adam", "sgd", "rmsprop", "lion"])
    rate = trial.suggest_float("rate", 1e-5, 1e0, log=True)
    layers = trial.suggest_int("layers", 1, 8)
    dropout = trial.suggest_float("dropout", 0.0, 0.6, step=0.1)
    best, floor = {"adam": (-3, 0.0), "sgd": (-1, 0.1), "rmsprop": (-3.5, 0.2), "lion": (-4, 0.05)}[kind]
    return floor + 0.3 * (math.log10(rate) - best) ** 2 + 0.02 * (layers - 5) ** 2 + 2 * (dropout - 0.3) ** 2


def best(objective, trials, seed, **options):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, **options))
    study.optimize(objective, n_trials=trials)
    return study.best_value


result = {"optuna": optuna.__version__}
for name, objective, trials in [("branin", branin, 60), ("hartmann", hartmann, 150), ("mixed", mixed, 60)]:
    result[name] = {
        "trials": trials,
        "default": [best(objective, trials, seed) for seed in SEEDS],
        "independent": [best(objective, trials, seed, multivariate=False) for seed in SEEDS],
    }
json.dump(result, sys.stdout, indent=1)
