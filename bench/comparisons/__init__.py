"""The comparisons by name. Each takes (rounds, quick), and `only` where it can be cut to some of its rows, and gives
(rows, details): rows of {name, ours, peer, unit, ratio}, and details with the versions and every single figure."""

from .advise import advise
from .augment import augment
from .cost import cost
from .data import data
from .environment import Failure
from .infer import infer
from .train_example import train_example
from .train_zoo import train_zoo
from .tune import tune

COMPARISONS = {
    "advise": ("the first choice of an advice against the best candidate on six datasets: test scores", advise),
    "augment": ("pictures/s of augmentation on one core against albumentations", augment),
    "cost": ("how a training grows with batch, depth and data, beside PyTorch; draws bench/cost.svg", cost),
    "data": ("profiling a table against pandas, polars, DuckDB and ydata-profiling: seconds, memory", data),
    "train-example": ("the worked example on MNIST against Keras and PyTorch: samples/s, test accuracy, seconds to 98.5 %", train_example),
    "train-zoo": ("training steps of ten networks against PyTorch's and TensorFlow's fastest way: ms a step, peak memory", train_zoo),
    "tune": ("the best of equal trials against Optuna's TPE: Branin, Hartmann-6 and one training", tune),
    "infer": ("latency at batch 1 and 8 against Python onnxruntime and OpenVINO on the same ONNX files", infer),
}

__all__ = ["COMPARISONS", "Failure"]
