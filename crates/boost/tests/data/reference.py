"""Makes the data and the reference values of the tests with scikit-learn and LightGBM.

Needs scikit-learn, lightgbm, pandas and plotnine (for its table of diamonds). Run it in this folder:

    python reference.py

It writes breast_cancer.json, wine.json, diamonds.json, quantile.json and twins.json, and, for examples/diamonds.rs
only, diamonds_full.csv (which is not committed), and prints what the two libraries need for the full table.
"""

import json
import os
import time

import lightgbm
import numpy
import pandas
import plotnine
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

SHARED = dict(learning_rate=0.1, num_leaves=31, min_child_samples=20, reg_lambda=1.0, max_bin=255, n_jobs=2,
              random_state=0, verbose=-1)


def write(name, value):
    with open(name, "w") as file:
        json.dump(value, file, separators=(",", ":"))
    print(name, os.path.getsize(name))


def short(values):
    """float32 values in their shortest spelling."""
    return [None if numpy.isnan(x) else float(str(numpy.float32(x))) for x in numpy.asarray(values).ravel()]


def folds_of(x, y):
    folds = numpy.zeros(len(y), dtype=int)
    for number, (_, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)):
        folds[test] = number
    return folds


def by_fold(make, x, y, folds, score):
    scores = []
    for fold in range(5):
        model = make().fit(x[folds != fold], y[folds != fold])
        scores.append(score(model, x[folds == fold], y[folds == fold]))
    return float(numpy.mean(scores))


def auc(model, x, y):
    return roc_auc_score(y, model.predict_proba(x)[:, 1])


def accuracy(model, x, y):
    return accuracy_score(y, model.predict(x))


def breast_cancer():
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype(numpy.float32)
    folds = folds_of(x, y)
    holes = x.copy()
    rows, columns = numpy.indices(x.shape)
    holes[(rows * 31 + columns * 17) % 5 == 0] = numpy.nan
    ours = lambda: lightgbm.LGBMClassifier(n_estimators=200, **SHARED)
    theirs = lambda: HistGradientBoostingClassifier(max_iter=200, l2_regularization=1.0, early_stopping=False)
    write("breast_cancer.json", {
        "columns": x.shape[1], "features": short(x), "targets": short(y), "folds": folds.tolist(),
        "lightgbm_auc": by_fold(ours, x, y, folds, auc), "sklearn_auc": by_fold(theirs, x, y, folds, auc),
        "lightgbm_auc_with_holes": by_fold(ours, holes, y, folds, auc),
        "sklearn_auc_with_holes": by_fold(theirs, holes, y, folds, auc),
    })


def wine():
    x, y = load_wine(return_X_y=True)
    x = x.astype(numpy.float32)
    folds = folds_of(x, y)
    ours = lambda: lightgbm.LGBMClassifier(n_estimators=100, **SHARED)
    theirs = lambda: HistGradientBoostingClassifier(max_iter=100, l2_regularization=1.0, early_stopping=False)
    write("wine.json", {
        "columns": x.shape[1], "features": short(x), "targets": short(y), "folds": folds.tolist(),
        "lightgbm_accuracy": by_fold(ours, x, y, folds, accuracy),
        "sklearn_accuracy": by_fold(theirs, x, y, folds, accuracy),
    })


def diamonds():
    table = pandas.read_csv(os.path.join(os.path.dirname(plotnine.__file__), "data", "diamonds.csv"))
    orders = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": ["J", "I", "H", "G", "F", "E", "D"],
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    for column, order in orders.items():
        table[column] = table[column].map({word: number for number, word in enumerate(order)})
    names = ["carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z"]
    x = table[names].to_numpy(numpy.float32)
    y = table["price"].to_numpy(numpy.float32)

    sample = numpy.random.default_rng(0).permutation(len(y))[:4000]
    train, test = sample[:3200], sample[3200:]
    values = {"columns": x.shape[1], "names": names, "training_rows": 3200,
              "features": short(x[sample]), "targets": short(y[sample])}
    model = lightgbm.LGBMRegressor(n_estimators=200, **SHARED).fit(x[train], y[train])
    values["lightgbm_r2"] = r2_score(y[test], model.predict(x[test]))
    model = HistGradientBoostingRegressor(max_iter=200, l2_regularization=1.0, early_stopping=False)
    values["sklearn_r2"] = r2_score(y[test], model.fit(x[train], y[train]).predict(x[test]))
    write("diamonds.json", values)

    order = numpy.random.default_rng(1).permutation(len(y))
    cut = len(y) * 4 // 5
    train, test = order[:cut], order[cut:]
    is_test = numpy.zeros(len(y), dtype=int)
    is_test[test] = 1
    full = table[names + ["price"]].copy()
    full["is_test"] = is_test
    full.to_csv("diamonds_full.csv", index=False)
    makers = {
        "LightGBM": lambda: lightgbm.LGBMRegressor(n_estimators=500, **SHARED),
        "scikit-learn": lambda: HistGradientBoostingRegressor(max_iter=500, l2_regularization=1.0,
                                                              early_stopping=False),
    }
    for name, make in makers.items():
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            model = make().fit(x[train], y[train])
            seconds.append(time.perf_counter() - start)
        print(f"diamonds, all rows, 500 rounds: {name} R2 {r2_score(y[test], model.predict(x[test])):.5f}, "
              f"fit {min(seconds):.2f} s")


def quantile():
    random = numpy.random.default_rng(2)
    x = random.uniform(0, 10, (3000, 2)).astype(numpy.float32).round(3)
    y = (numpy.sin(x[:, 0]) * 5 + random.normal(0, 0.5 + 0.3 * x[:, 1])).astype(numpy.float32).round(3)
    values = {"columns": 2, "training_rows": 2000, "features": short(x), "targets": short(y), "lightgbm": []}
    for q in [0.1, 0.5, 0.9]:
        settings = dict(SHARED, num_leaves=7, learning_rate=0.05)
        model = lightgbm.LGBMRegressor(objective="quantile", alpha=q, n_estimators=150, **settings)
        scores = model.fit(x[:2000], y[:2000]).predict(x[2000:])
        errors = y[2000:] - scores
        values["lightgbm"].append({
            "q": q, "coverage": float(numpy.mean(errors <= 0)),
            "loss": float(numpy.mean(numpy.maximum(q * errors, (q - 1) * errors))),
        })
    write("quantile.json", values)


def twins():
    """Few distinct values get a bin each in both programs, so that the trees can be compared one for one. Leaves are
    bounded by their second derivatives alone, since LightGBM estimates how many rows a leaf has.

    The settings of each case are ones under which the programs agree. They do not always: softmax parts between the
    8th and the 12th round, by the 3rd with a min_child_weight of 1, and logistic between the 12th and the 20th with
    0.001. Why is not established; equally good splits taken differently would be one way."""
    x, y = load_wine(return_X_y=True)
    settings = dict(learning_rate=0.1, num_leaves=7, min_data_in_leaf=0, lambda_l2=1.0, min_data_in_bin=1, max_bin=255,
                    feature_pre_filter=False, deterministic=True, num_threads=1, verbose=-1)
    features, proline = x[:, :12].astype(numpy.float32), x[:, 12].astype(numpy.float32)
    cases = {
        "squared_error": ({"objective": "regression"}, proline, 1.0, 20),
        "logistic": ({"objective": "binary"}, (y == 0).astype(numpy.float32), 1.0, 20),
        "softmax": ({"objective": "multiclass", "num_class": 3}, y, 0.001, 8),
    }
    values = {"columns": 12, "features": short(features), "cases": {}}
    for name, (objective, targets, min_child_weight, most_rounds) in cases.items():
        for rounds in [1, most_rounds]:
            all_settings = {**settings, **objective, "min_sum_hessian_in_leaf": min_child_weight}
            model = lightgbm.train(all_settings, lightgbm.Dataset(features, targets), num_boost_round=rounds)
            values["cases"][f"{name}_{rounds}"] = {
                "targets": short(targets), "rounds": rounds, "min_child_weight": min_child_weight,
                "scores": short(model.predict(features, raw_score=True)),
            }
    write("twins.json", values)


if __name__ == "__main__":
    breast_cancer()
    wine()
    diamonds()
    quantile()
    twins()
