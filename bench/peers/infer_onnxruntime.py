"""Times runs of an ONNX file in Python's onnxruntime and prints one JSON object."""

import argparse
import json
import time

import numpy
import onnxruntime

parser = argparse.ArgumentParser()
parser.add_argument("onnx")
for name in ("--batches", "--threads", "--repeats"):
    parser.add_argument(name, type=int, required=True)
arguments = parser.parse_args()

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = arguments.threads
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(arguments.onnx, options, providers=["CPUExecutionProvider"])
(spec,) = session.get_inputs()
# The same input as on the other side: zeros, one batch size.
shape = [arguments.batches, *spec.shape[1:]]
inputs = {spec.name: numpy.zeros(shape, dtype=numpy.float32)}

for _ in range(max(20, arguments.repeats // 10)):
    session.run(None, inputs)
times = []
for _ in range(arguments.repeats):
    started = time.perf_counter_ns()
    session.run(None, inputs)
    times.append(time.perf_counter_ns() - started)
print(
    json.dumps(
        {
            "median_us": float(numpy.median(times)) / 1000,
            "minimum_us": min(times) / 1000,
            "versions": {"Python onnxruntime": onnxruntime.__version__},
        }
    )
)
