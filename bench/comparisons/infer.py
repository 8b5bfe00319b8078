"""Latency of one run of exported networks: Lepton's runtime with each of its engines, timed in process, against Python's
onnxruntime and OpenVINO on the same file, input and thread count. A ratio is against the faster of the two.

Every side is a process of its own that waits while another one computes; they take turns of a quarter of a second, the next
time around in the other order, so that a machine whose speed changes changes for all of them.
"""

import math
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from .environment import BENCH, ENVIRONMENTS, THREADS, Failure, Side, built, chosen, in_turns, peer_python, run, say

BATCHES = (1, 8)
# Name, task, network, shape of a row, outputs. Free sides other than the batch get the shape's first side.
NETWORKS = {
    "worked example": ("image-classification", "worked-example", "1x28x28", 10),
    "ResNet-18, 3x64x64": ("image-classification", "resnet18", "3x64x64", 10),
    "MobileNetV2, 3x64x64": ("image-classification", "mobilenet-v2", "3x64x64", 10),
    "LSTM, 100x8": ("series-classification", "lstm", "100x8", 10),
    "transformer, 64 words": ("text-classification", "transformer", "64", 2),
}
PEERS = ("onnxruntime", "openvino")
# Turns of each side in a round, and seconds of one.
TURNS, SECONDS = 8, 0.25


def infer(rounds, quick, only):
    networks = chosen(NETWORKS, only)
    python = peer_python("engines")
    packages = next((ENVIRONMENTS / "engines").glob("lib/python*/site-packages"), None)
    library = next(packages.glob("onnxruntime/capi/libonnxruntime.so*"), None) if packages else None
    if library is None or not (packages / "openvino" / "libs").is_dir():
        raise Failure("the wheels hold no libonnxruntime.so or no libraries of OpenVINO")
    timer, exporter = built("example", "time_infer"), built("example", "export_network")
    figures, versions, rows = {}, {}, []
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as folder:
        home = Path(folder) / "engines"
        home.mkdir()
        os.symlink(packages / "openvino" / "libs", home / "openvino")
        engines = {"rten": [], "onnxruntime": ["--ort", library], "openvino": ["--engines", home]}
        for title, (task, network, shape, outputs) in networks.items():
            onnx = Path(folder) / f"{network}.onnx"
            run([exporter, task, network, shape, outputs, onnx])
            for batch in BATCHES:
                sizes = ["--threads", THREADS, "--free", shape.split("x")[0], "--batch", batch]
                commands = {name: [timer, onnx, name, *sizes, *flags] for name, flags in engines.items()}
                script = BENCH / "peers" / "infer.py"
                commands.update({f"Python {peer}": [python, script, peer, onnx, *sizes] for peer in PEERS})
                turns = {name: [] for name in commands}
                for number in range(1, rounds + 1):
                    say(f"{title}, batch {batch}, round {number} of {rounds}")
                    for name, (version, taken) in one_round(commands, 2 if quick else TURNS).items():
                        versions[name if name.startswith("Python") else f"Lepton with {name}"] = version
                        turns[name] += taken
                figures.update({f"{title}, {name}, batch {batch}": taken for name, taken in turns.items()})
                rows += compared(f"{title}, batch {batch}", turns)
    return rows, {"versions": versions, "threads": THREADS, "figures": figures}


def one_round(commands, turns):
    """One round: the version of every side and what its turns took."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(command)) for name, command in commands.items()}
        # The first answer comes after loading; what is compiled or allocated at the first runs is over then.
        versions = {name: side.turn(20)["version"] for name, side in sides.items()}
        runs = {name: max(5, math.ceil(SECONDS / (side.turn(20)["median_us"] / 1e6))) for name, side in sides.items()}
        return {name: (versions[name], taken) for name, taken in in_turns(sides, runs, turns).items()}


def compared(title, turns):
    """Rows of each engine and of the fastest one by medians, then of the fastest one by what it took at least. A ratio of
    medians is the middle one of those between neighbouring turns: a machine that is half as fast for some seconds, as
    shared ones are, halves both sides of it."""
    rows = []
    for key, figure, told in (("median_us", median, ""), ("min_us", min, ", at least")):
        singles = {name: [turn[key] for turn in taken] for name, taken in turns.items()}
        times = {name: figure(values) for name, values in singles.items()}
        peer = min((f"Python {peer}" for peer in PEERS), key=times.get)
        ours = {name: taken for name, taken in times.items() if not name.startswith("Python")}
        fastest = min(ours, key=ours.get)
        for name, label in [*((name, name) for name in ours if not told), (fastest, f"fastest: {fastest}")]:
            text = f"{title}, {label}{told}, against {peer}"
            ratio = times[peer] / ours[name]
            if not told:
                ratio = median(theirs / mine for theirs, mine in zip(singles[peer], singles[name]))
            rows.append({"name": text, "ours": ours[name], "peer": times[peer], "unit": "us", "ratio": ratio})
    return rows
