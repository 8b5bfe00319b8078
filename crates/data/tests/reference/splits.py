"""Writes splits.json: grouped tables, and how well scikit-learn's group splitters keep size and classes on them.

    python3 -m venv env && env/bin/pip install numpy scikit-learn && env/bin/python splits.py

`rows_off` is the furthest that a test part is from a fifth of the rows, `classes_off` the furthest that the share of
a class in it is from that in the whole table; each is the mean over twenty seeds, of StratifiedGroupKFold(5)'s first
fold and of GroupShuffleSplit(test_size=0.2).
"""

import json
import pathlib

import numpy
import sklearn
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

HERE = pathlib.Path(__file__).parent
generator = numpy.random.default_rng(7)


def table(rows, groups, classes, skew, pure):
    weights = (1.0 + numpy.arange(groups)) ** -skew
    group = generator.choice(groups, rows, p=weights / weights.sum())
    label = group % classes if pure else generator.choice(classes, rows, p=numpy.arange(1, classes + 1) / sum(range(1, classes + 1)))
    return group.tolist(), label.tolist()


def off(label, test):
    label = numpy.array(label)
    shares = numpy.bincount(label, minlength=label.max() + 1) / len(label)
    inside = numpy.bincount(label[test], minlength=label.max() + 1) / len(test)
    return abs(len(test) - len(label) / 5), float(abs(shares - inside).max())


cases = []
for name, arguments in {
    "even": (300, 60, 3, 0.0, False),
    "skewed": (300, 40, 2, 1.0, False),
    "pure groups": (240, 48, 4, 0.0, True),
    "few groups": (200, 8, 2, 0.0, False),
}.items():
    group, label = table(*arguments)
    case = {"name": name, "group": group, "label": label}
    for splitter in ["StratifiedGroupKFold", "GroupShuffleSplit"]:
        seen = []
        for seed in range(20):
            if splitter == "GroupShuffleSplit":
                made = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
            else:
                made = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=seed)
            seen.append(off(label, next(iter(made.split(label, label, group)))[1]))
        rows_off, classes_off = numpy.mean(seen, axis=0)
        case[splitter] = {"rows_off": round(float(rows_off), 3), "classes_off": round(float(classes_off), 4)}
    cases.append(case)

text = json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}, separators=(",", ":"))
(HERE / "splits.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")
