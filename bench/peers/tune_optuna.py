"""Optuna's TPE on one problem: prints {"best", "versions"}.

    tune_optuna.py branin|hartmann TRIALS SEED
    tune_optuna.py training TRIALS SEED LEPTON HOME PROJECT

A training is the same trial as Lepton's own: `lepton tune` with a space of one point, so that both sides have the same
rows, network, threads and validation metric.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)

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


def training(lepton, home, project, seed):
    """One trial through the binary; the space is that of bench/tune-example/lepton.toml."""
    text = Path(project, "lepton.toml").read_text()
    head, _, _ = text.partition("[tune.space]")

    def objective(trial):
        point = {
            "train.learning_rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
            "train.batch_size": trial.suggest_categorical("batch", [16, 32, 64, 128]),
            "train.optimizer.weight_decay": trial.suggest_float("decay", 1e-6, 1e-1, log=True),
            "train.architecture": trial.suggest_categorical("architecture", ["mlp", "mlp-large", "linear"]),
        }
        space = "".join(f'"{key}" = {{ choices = [{json.dumps(value)}] }}\n' for key, value in point.items())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "lepton.toml")
            data = json.dumps(str(Path(project, "../../examples/titanic/titanic.csv").resolve()))
            file.write_text(head.replace('"../../examples/titanic/titanic.csv"', data) + f"[tune.space]\n{space}")
            command = [lepton, "tune", folder, "--trials", "1", "--json", "--home", home, "--set", f"project.seed={seed}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return json.loads(done.stdout)["best"]["values"]["log_loss"]

    return objective


def main():
    name, trials, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    objective = {"branin": branin, "hartmann": hartmann}.get(name) or training(*sys.argv[4:7], seed)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=trials)
    print(json.dumps({"best": study.best_value, "versions": {"Optuna": optuna.__version__}}))


main()
