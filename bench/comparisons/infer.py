"""Latency of one run of the exported worked example: Lepton's runtime with each of its engines, timed in process,
against Python's onnxruntime on the same file, input and thread count."""

from statistics import median

from .environment import BENCH, ENVIRONMENTS, THREADS, Failure, lepton, peer_python, run, run_json, say, target

BATCHES = (1, 8)


def infer(rounds, quick):
    python = peer_python("onnxruntime")
    library = next((ENVIRONMENTS / "onnxruntime").glob("lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so*"), None)
    if library is None:
        raise Failure("the onnxruntime wheel holds no libonnxruntime.so")
    onnx, repeats = exported(lepton(), quick), 200 if quick else 5000
    run(["cargo", "build", "--release", "--quiet", "--workspace", "--example", "time_infer"])
    sizes = ["--threads", THREADS, "--repeats", repeats, "--batches"]
    ours = [target() / "release" / "examples" / "time_infer", onnx]
    peer = [python, BENCH / "peers" / "infer_onnxruntime.py", onnx, *sizes]
    engines = {"rten": [], "onnxruntime": ["--ort", library]}
    figures, versions = {}, {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for batch in BATCHES:
            for engine, flags in engines.items():
                result = run_json([*ours, engine, *sizes, batch, *flags])
                versions[f"Lepton with {engine}"] = result["version"]
                figures.setdefault((engine, batch), []).append(result["median_us"])
                result = run_json([*peer, batch])
                versions.update(result["versions"])
                figures.setdefault(("peer", batch), []).append(result["median_us"])
    rows = []
    for engine in engines:
        for batch in BATCHES:
            mine, theirs = median(figures[engine, batch]), median(figures["peer", batch])
            name = f"{engine}, batch {batch}, against Python onnxruntime"
            rows.append({"name": name, "ours": mine, "peer": theirs, "unit": "us", "ratio": theirs / mine})
    singles = {f"{side}, batch {batch}": values for (side, batch), values in figures.items()}
    return rows, {"versions": versions, "threads": THREADS, "onnx": str(onnx), "figures": singles}


def exported(binary, quick):
    """The ONNX file of a short training: weights do not change the time, shapes do."""
    project = BENCH.parent / "examples" / "digits" if quick else BENCH / "train-example"
    command = [binary, "run", project, "--fetch", "--json", "--home", ENVIRONMENTS / "home"]
    result = run_json([*command, "--set", "train.epochs=1", "--set", "deploy.require={}"])
    package = result.get("package")
    if not package:
        raise Failure(f"the run made no package: {result}")
    return f"{package}/model.onnx"
