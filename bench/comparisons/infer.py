"""Latency of one run of exported networks: Lepton's runtime with each of its engines, timed in process, against Python's
onnxruntime and OpenVINO on the same file, input and thread count. A ratio is against the faster of the two.
"""

import os
import tempfile
from pathlib import Path
from statistics import median

from .environment import BENCH, ENVIRONMENTS, THREADS, Failure, built, peer_python, run, run_json, say

BATCHES = (1, 8)
# Name, task, network, shape of a row, outputs, shape that free sides other than the batch get, repeats.
NETWORKS = (
    ("worked example", "image-classification", "worked-example", "1x28x28", 10, 5000),
    ("ResNet-18, 3x64x64", "image-classification", "resnet18", "3x64x64", 10, 200),
    ("MobileNetV2, 3x64x64", "image-classification", "mobilenet-v2", "3x64x64", 10, 400),
    ("LSTM, 100x8", "series-classification", "lstm", "100x8", 10, 1000),
    ("transformer, 64 words", "text-classification", "transformer", "64", 2, 400),
)
PEERS = ("onnxruntime", "openvino")


def infer(rounds, quick):
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
        for title, task, network, shape, outputs, repeats in NETWORKS[:1] if quick else NETWORKS:
            onnx = Path(folder) / f"{network}.onnx"
            run([exporter, task, network, shape, outputs, onnx])
            for number in range(1, rounds + 1):
                say(f"{title}, round {number} of {rounds}")
                for batch in BATCHES:
                    sizes = ["--threads", THREADS, "--repeats", 50 if quick else repeats]
                    sizes += ["--free", shape.split("x")[0], "--batches", batch]
                    for name, flags in engines.items():
                        result = run_json([timer, onnx, name, *sizes, *flags])
                        versions[f"Lepton with {name}"] = result["version"]
                        figures.setdefault((title, name, batch), []).append(result["median_us"])
                    for peer in PEERS:
                        result = run_json([python, BENCH / "peers" / "infer.py", peer, onnx, *sizes])
                        versions.update(result["versions"])
                        figures.setdefault((title, f"Python {peer}", batch), []).append(result["median_us"])
            for batch in BATCHES:
                peer, theirs = least(figures, title, [f"Python {peer}" for peer in PEERS], batch)
                ours = [(name, median(figures[title, name, batch])) for name in engines]
                for name, mine in [*ours, ("fastest", min(mine for _, mine in ours))]:
                    told = f"{title}, batch {batch}, {name}, against {peer}"
                    rows.append({"name": told, "ours": mine, "peer": theirs, "unit": "us", "ratio": theirs / mine})
    singles = {f"{title}, {side}, batch {batch}": values for (title, side, batch), values in figures.items()}
    return rows, {"versions": versions, "threads": THREADS, "figures": singles}


def least(figures, title, sides, batch):
    """The fastest of some sides, and its time."""
    times = {side: median(figures[title, side, batch]) for side in sides}
    side = min(times, key=times.get)
    return side, times[side]
