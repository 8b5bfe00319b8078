"""Times an ONNX file in Python's onnxruntime or OpenVINO, in turns: reads numbers of runs, one a line, and answers each with
one JSON object."""

import argparse
import json
import sys
import time

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("engine", choices=("onnxruntime", "openvino"))
parser.add_argument("onnx")
for name in ("--batch", "--threads", "--free"):
    parser.add_argument(name, type=int, required=True)
arguments = parser.parse_args()


def zeros(shape, dtype):
    """The same input as on the other side: zeros, one batch size, other free sides as told."""
    sides = [side if isinstance(side, int) and side > 0 else arguments.free for side in shape[1:]]
    return numpy.zeros([arguments.batch, *sides], dtype=dtype)


if arguments.engine == "onnxruntime":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(arguments.onnx, options, providers=["CPUExecutionProvider"])
    (spec,) = session.get_inputs()
    inputs = {spec.name: zeros(spec.shape, numpy.int64 if "int64" in spec.type else numpy.float32)}
    version = onnxruntime.__version__

    def infer():
        return session.run(None, inputs)

else:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(arguments.onnx, "CPU", settings)
    (port,) = model.inputs
    shape = [side.get_length() if side.is_static else -1 for side in port.partial_shape]
    request = model.create_infer_request()
    inputs = [zeros(shape, port.element_type.to_dtype())]
    version = openvino.__version__

    def infer():
        return [value.copy() for value in request.infer(inputs, share_inputs=True, share_outputs=True).values()]


for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        started = time.perf_counter_ns()
        infer()
        times.append(time.perf_counter_ns() - started)
    middle = float(numpy.median(times))
    print(json.dumps({"version": version, "median_us": middle / 1000, "min_us": min(times) / 1000}), flush=True)
