"""Makes the ONNX files beside it with Python's onnx package (1.23). Run: python make.py"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)
weight = numpy_helper.from_array(rng.standard_normal((3, 1, 3, 3)).astype(np.float32), "w")
typed = helper.make_tensor("typed", TensorProto.INT64, [2], [-1, 75])  # in int64_data, not raw
halves = helper.make_tensor("small", TensorProto.UINT8, [3], [0, 128, 255])  # in int32_data
then = helper.make_graph([helper.make_node("Identity", ["flat"], ["then_out"])], "then", [], [helper.make_tensor_value_info("then_out", 1, None)])
other = helper.make_graph([helper.make_node("Neg", ["flat"], ["else_out"])], "else", [], [helper.make_tensor_value_info("else_out", 1, None)])
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3], strides=[1, 1]),
        helper.make_node("LeakyRelu", ["c"], ["r"], name="relu", alpha=0.0),
        helper.make_node("Reshape", ["r", "typed"], ["flat"], name="reshape"),
        helper.make_node("If", ["flag"], ["y"], name="if", then_branch=then, else_branch=other),
    ],
    "sample",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 7, 7]), helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 75])],
    [weight, typed, halves],
    doc_string="made by make.py",
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="make.py")
helper.set_model_props(model, {"author": "make.py", "purpose": "test"})
onnx.checker.check_model(model)
onnx.save(model, "sample.onnx")

onnx.save_model(model, "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
import os
os.remove("weights.bin")
