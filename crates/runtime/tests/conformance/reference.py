"""Runs the conformance suite's models in Python's onnxruntime and writes down what it answers.

First `cargo run --release -p lepton-runtime --example conformance_models` writes the models and inputs.json; then
this script, with onnxruntime and numpy installed, writes expected.json beside them. Graph optimisations are off,
so that the reference is the plain reading of each graph.
"""

import json
import pathlib

import numpy
import onnxruntime

FOLDER = pathlib.Path(__file__).parent


def array(spec):
    values = [float(value) if isinstance(value, str) else value for value in spec["data"]]
    return numpy.array(values, dtype=spec["dtype"]).reshape(spec["shape"])


def spec(values):
    flat = values.reshape(-1)
    if values.dtype.kind == "f":
        data = [float(value) if numpy.isfinite(value) else str(value) for value in flat]
    else:
        data = flat.tolist()
    return {"dtype": values.dtype.name, "shape": list(values.shape), "data": data}


def main():
    inputs = json.loads((FOLDER / "inputs.json").read_text())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = {}
    for name, requests in inputs.items():
        session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
        outputs = [output.name for output in session.get_outputs()]
        expected[name] = []
        for request in requests:
            feed = {tensor: array(value) for tensor, value in request.items()}
            answers = session.run(outputs, feed)
            expected[name].append({output: spec(answer) for output, answer in zip(outputs, answers)})
    result = {"onnxruntime": onnxruntime.__version__, "numpy": numpy.__version__, "expected": expected}
    (FOLDER / "expected.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
