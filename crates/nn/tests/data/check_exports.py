"""Checks exported ONNX files with onnx's checker and onnxruntime against reference.json, layers.json and reversible.json.

Run: cargo run --release -p lepton-nn --example export_cases FOLDER && python check_exports.py FOLDER
Needs: onnx, onnxruntime, numpy."""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

folder = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__).parent
cases = [case for name in ["reference.json", "layers.json", "reversible.json"] for case in json.loads((here / name).read_text())]
worst = 0.0
for case in cases:
    path = folder / (case["architecture"]["name"] + ".onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch", path
    tensor = lambda flat: np.array(flat["values"], flat["dtype"]).reshape(flat["shape"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x, expected = tensor(case["input"]), tensor(case["output"])
    difference = float(np.abs(session.run(["output"], {"input": x})[0] - expected).max())
    one = session.run(["output"], {"input": x[:1]})[0]  # the batch axis is free
    difference = max(difference, float(np.abs(one - expected[:1]).max()))
    if case["architecture"]["input"].get("free_length"):  # and the time axis
        assert model.graph.input[0].type.tensor_type.shape.dim[1].dim_param, path
        session.run(["output"], {"input": np.concatenate([x, x], 1) if "learned" not in path.name else x[:, :-1]})
    worst = max(worst, difference)
    assert difference < 1e-5, (path, difference)
print(f"{len(cases)} exports agree with PyTorch in onnxruntime {onnxruntime.__version__}; largest difference {worst:.2e}")
