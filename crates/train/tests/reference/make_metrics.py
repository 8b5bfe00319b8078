"""Makes metrics.json, the reference values of the metric tests, with scikit-learn.

Run: python3 make_metrics.py > metrics.json   (needs numpy and scikit-learn)
"""

import json
import sys

import numpy
import sklearn
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_recall_fscore_support


def case(name, logits, truth):
    logits = numpy.asarray(logits, dtype=numpy.float32)
    truth = numpy.asarray(truth)
    classes = logits.shape[1]
    labels = list(range(classes))
    wide = logits.astype(numpy.float64)
    wide -= wide.max(axis=1, keepdims=True)
    probabilities = numpy.exp(wide)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    return {
        "name": name,
        "classes": classes,
        "logits": [[float(value) for value in row] for row in logits],
        "truth": truth.tolist(),
        "accuracy": accuracy_score(truth, predicted),
        "log_loss": log_loss(truth, probabilities, labels=labels),
        "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": confusion_matrix(truth, predicted, labels=labels).tolist(),
    }


random = numpy.random.default_rng(7)


def drawn(rows, classes, skill, present=None):
    truth = random.choice(present if present is not None else classes, size=rows)
    logits = random.normal(size=(rows, classes))
    logits[numpy.arange(rows), truth] += skill
    return logits.round(3), truth


cases = [
    case("two classes", *drawn(40, 2, 1.0)),
    case("ten classes", *drawn(80, 10, 2.0)),
    case("a class that never appears", *drawn(30, 5, 8.0, present=[0, 2, 3])),
    case("chance", *drawn(50, 4, 0.0)),
    case("far too sure, and wrong", [[60.0, -60.0], [-60.0, 60.0], [60.0, -60.0]], [1, 1, 0]),
    case("one class is never called", [[3.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5]], [0, 2, 1, 2]),
]
json.dump({"made_with": f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}", "cases": cases}, sys.stdout)
sys.stdout.write("\n")
