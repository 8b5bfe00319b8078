"""Makes labels.json, the reference values of the metrics of several labels a row, with scikit-learn.

Run: python3 make_labels.py > labels.json   (needs numpy and scikit-learn)
"""

import json
import sys

import numpy
import sklearn
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    hamming_loss,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)


def case(name, logits, truth):
    logits = numpy.asarray(logits, dtype=numpy.float32)
    truth = numpy.asarray(truth)
    probabilities = 1 / (1 + numpy.exp(-logits.astype(numpy.float64)))
    given = (probabilities >= 0.5).astype(int)
    precision, recall, f1, support = precision_recall_fscore_support(truth, given, zero_division=0)
    losses = [log_loss(truth[:, label], probabilities[:, label], labels=[0, 1]) for label in range(truth.shape[1])]
    return {
        "name": name,
        "logits": [[float(value) for value in row] for row in logits],
        "truth": truth.tolist(),
        "micro_f1": f1_score(truth, given, average="micro", zero_division=0),
        "macro_f1": f1_score(truth, given, average="macro", zero_division=0),
        "subset_accuracy": accuracy_score(truth, given),
        "hamming_loss": hamming_loss(truth, given),
        "log_loss": float(numpy.mean(losses)),
        "average_precision": average_precision_score(truth, probabilities, average="macro"),
        "roc_auc": roc_auc_score(truth, probabilities, average="macro"),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
    }


random = numpy.random.default_rng(11)


def drawn(rows, labels, skill, share=0.3, digits=3):
    truth = (random.random((rows, labels)) < share).astype(int)
    truth[0], truth[1] = 1, 0
    logits = random.normal(size=(rows, labels)) + skill * (truth - 0.5)
    return logits.round(digits), truth


cases = [
    case("three labels", *drawn(40, 3, 2.0)),
    case("nine labels, rare", *drawn(80, 9, 3.0, share=0.08)),
    case("chance", *drawn(50, 4, 0.0)),
    case("many ties", *drawn(60, 3, 1.0, digits=0)),
    case("a label that is never given", [[2.0, -3.0], [-1.0, -2.0], [1.0, -1.0]], [[1, 0], [0, 1], [0, 1]]),
]
json.dump({"made_with": f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}", "cases": cases}, sys.stdout)
sys.stdout.write("\n")
