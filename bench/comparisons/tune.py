"""Search for good settings against Optuna's TPE: the best value after the same number of trials, over the same seeds. On
two functions of the field and on one real training. Lower is better."""

from statistics import mean

from .environment import BENCH, ENVIRONMENTS, built, lepton, peer_python, run, run_json, say

# Functions cost nothing, and five seeds of them say little; trainings are few.
SEEDS = {"branin": 20, "hartmann": 20, "training": 5}
PROBLEMS = {"branin": 60, "hartmann": 150}
TRAINING = 25


def tune(rounds, quick):
    """Each round has seeds of its own."""
    binary, optuna = lepton(), peer_python("optuna")
    function = built("example", "best_value")
    project, home, script = BENCH / "tune-example", ENVIRONMENTS / "home", BENCH / "peers" / "tune_optuna.py"
    rows, figures, versions = [], {}, {}
    for name, trials in {**PROBLEMS, "training": TRAINING}.items():
        trials = min(trials, 12) if quick else trials
        seeds = range(1, 2 if quick else SEEDS[name] * rounds + 1)
        ours, theirs = [], []
        for seed in seeds:
            say(f"{name}, seed {seed} of {len(seeds)}")
            if name == "training":
                command = [binary, "tune", project, "--trials", trials, "--json", "--home", home]
                result = run_json([*command, "--set", f"project.seed={seed}"])
                ours.append(result["best"]["values"]["log_loss"])
            else:
                ours.append(run_json([function, name, trials, seed])["best"])
            extra = [binary, home, project] if name == "training" else []
            peer = run_json([optuna, script, name, trials, seed, *extra])
            theirs.append(peer["best"])
            versions.update(peer["versions"])
        versions["Lepton"] = run([binary, "--version"]).split()[-1]
        figures[name] = {"trials": trials, "seeds": list(seeds), "Lepton": ours, "Optuna": theirs}
        title = f"{name}, best of {trials} trials, mean of {len(seeds)} seeds"
        # Values below 0 have no ratio that a reader could use: how far each side is from the least value is compared.
        floor = {"branin": 0.397887, "hartmann": -3.322368}.get(name, 0.0)
        ratio = (mean(theirs) - floor) / (mean(ours) - floor)
        rows.append({"name": title, "ours": mean(ours), "peer": mean(theirs), "unit": "loss", "ratio": ratio})
    return rows, {"versions": versions, "figures": figures}
