"""The first choice of `lepton advise` against the best candidate, found by training every one of them in full: the test
score of both on six datasets. The advice never saw the test rows; the best candidate is picked by them, which favours it.
"""

import json
import tempfile
import tomllib
from pathlib import Path
from statistics import mean

from .environment import ROOT, Failure, lepton, run, run_json, say

DATASETS = ("titanic", "breast-cancer", "diamonds", "digits", "gunpoint", "basicmotions")
QUICK = ("breast-cancer",)
TIME = "3m"


def advise(rounds, quick):
    binary = lepton()
    rows, single = [], {}
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        for dataset in QUICK if quick else DATASETS:
            found = [one(binary, Path(folder), dataset, number, quick) for number in range(rounds)]
            single[dataset] = found
            ours, best = (mean(each[key] for each in found) for key in ("test", "best_test"))
            names = ", ".join(f"{each['choice']} (best {each['best']})" for each in found)
            unit = found[0]["metric"]
            rows.append({"name": f"{dataset}: {names}", "ours": ours, "peer": best, "unit": unit, "ratio": ours / best})
    versions = {"lepton": run([binary, "--version"]).strip()}
    return rows, {"versions": versions, "time": "20s" if quick else TIME, "single": single}


def one(binary, folder, dataset, number, quick):
    """One seed: the advice, then every candidate in full, from the settings that the advice would have written."""
    home, seed = folder / "home", seed_of(dataset) + number
    out = folder / f"{dataset}-{seed}"
    base = [binary, "--home", home]
    say(f"{dataset}, seed {seed}: advice")
    advice = run_json([
        *base, "advise", ROOT / "examples" / dataset, "--fetch", "--seed", seed, "--out", out,
        "--time", "20s" if quick else TIME, "--json",
    ])
    written = (out / "lepton.toml").read_text()
    before, scores, seconds, metric = written[: written.index("[train]")], {}, {}, advice["metric"]
    after = after_train(written)
    for candidate in advice["candidates"]:
        name = candidate["name"]
        if candidate["standing"] in ("excluded", "failed"):
            say(f"  {name}: {candidate['sentence']}")
            continue
        place = out / name.replace("/", "-") / "lepton.toml"
        place.parent.mkdir()
        # One folder deeper: paths that go up go up once more.
        place.write_text(before.replace('"../', '"../../') + train(candidate["train"]) + after)
        try:
            result = run_json([*base, "run", place, "--fetch", "--until", "optimize", "--json"])
        except Failure as failure:
            say(f"  {name}: {failure}")
            continue
        scores[name] = result["metrics"]["test"][metric]
        seconds[name] = next(stage["seconds"] for stage in result["stages"] if stage["name"] == "train")
        told = candidate.get("run_seconds")
        promised = f", {told['value']:.1f} s promised" if told else ""
        valid = f"{candidate['score']:.4f}" if candidate["score"] is not None else "-"
        say(f"  {name}: test {scores[name]:.4f} (advice {valid}), {seconds[name]:.1f} s{promised}")
    choice, sign = advice["choice"]["name"], 1 if metric in ("accuracy", "r2") else -1
    best = max(scores, key=lambda name: sign * scores[name])
    regret = sign * (scores[best] - scores[choice])
    say(f"  choice {choice} {scores[choice]:.4f}, best {best} {scores[best]:.4f}, regret {regret:.4f}")
    return {
        "seed": seed, "metric": metric, "choice": choice, "test": scores[choice], "best": best,
        "best_test": scores[best], "regret": regret, "advice_seconds": advice["seconds"], "tests": scores,
        "advice": {each["name"]: each["score"] for each in advice["candidates"]}, "train_seconds": seconds,
        "sha256": advice["fingerprint"]["sha256"],
    }


def seed_of(dataset):
    return tomllib.loads((ROOT / "examples" / dataset / "lepton.toml").read_text())["project"]["seed"]


def after_train(text):
    """What stands behind [train] and its tables."""
    lines = text[text.index("[train]"):].splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line.startswith("[") and not line.startswith(("[train]", "[train.")):
            return "\n" + "".join(lines[place:])
    return ""


def train(settings):
    return "[train]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in settings.items())


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)
