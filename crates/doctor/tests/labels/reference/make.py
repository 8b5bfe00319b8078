"""Writes reference.json: what cleanlab makes of small tables of probabilities.

    python3 -m venv env && env/bin/pip install numpy cleanlab && env/bin/python make.py
"""

import json
import pathlib

import cleanlab
import numpy
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

HERE = pathlib.Path(__file__).parent


def case(seed, rows, classes, sharpness, share, prior):
    """Probabilities that are right more often than not, and labels of which some are changed."""
    generator = numpy.random.default_rng(seed)
    truth = generator.choice(classes, rows, p=prior)
    scores = generator.normal(0, 1, (rows, classes))
    scores[numpy.arange(rows), truth] += 2
    scores = numpy.exp(sharpness * scores)
    # Rounded to what float32 holds, so that both sides see the same numbers.
    probabilities = (scores / scores.sum(1, keepdims=True)).round(4).astype(numpy.float32)
    labels = truth.copy()
    changed = generator.random(rows) < share
    labels[changed] = (labels[changed] + generator.integers(1, classes, changed.sum())) % classes
    labels[:classes] = numpy.arange(classes)
    wide = probabilities.astype(numpy.float64)
    counts, off = compute_confident_joint(labels, wide, calibrate=False, return_indices_of_off_diagonals=True)
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "probabilities": [[float(str(value)) for value in row] for row in probabilities],
        "thresholds": get_confident_thresholds(labels, wide).tolist(),
        "joint": counts.tolist(),
        "calibrated": compute_confident_joint(labels, wide, calibrate=True).tolist(),
        "off_diagonal": sorted(int(row) for row in off),
        "issues": sorted(
            int(row) for row in numpy.flatnonzero(find_label_issues(labels, wide, filter_by="confident_learning"))
        ),
        "normalized_margin": get_label_quality_scores(labels, wide, method="normalized_margin").tolist(),
    }


if __name__ == "__main__":
    cases = {
        "two classes": case(1, 60, 2, 1.5, 0.1, [0.7, 0.3]),
        "four classes": case(2, 90, 4, 1.2, 0.15, [0.4, 0.3, 0.2, 0.1]),
        "nearly sure": case(3, 60, 3, 4.0, 0.05, [0.34, 0.33, 0.33]),
    }
    reference = {"cleanlab": cleanlab.__version__, "cases": cases}
    (HERE / "reference.json").write_text(json.dumps(reference) + "\n")
