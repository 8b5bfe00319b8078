"""Writes similarity.json, forest.json and correlation.json: what jellyfish makes of pairs of words, scikit-learn's
IsolationForest of a small set with outliers, and pandas and scipy of columns that depend on each other.

    python3 -m venv env && env/bin/pip install jellyfish scikit-learn pandas scipy && env/bin/python make.py
"""

import json
import pathlib

import jellyfish
import numpy
import pandas
from scipy.stats import chi2_contingency
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

HERE = pathlib.Path(__file__).parent

PAIRS = """
martha marhta|dwayne duane|dixon dicksonx|jones johnson|abroms abrams|hardin martinez|itman smith|amber amberr
rudd rdud|michele michelle|herman heermann|robert rupert|ashcraft ashcroft|tymczak pfister|honeyman jackson
washington lee|gutierrez jackson|lawrence lawrance|killarney killanrey|thomas flynn|whillas coulson|a a|a b|ab ba
2272 2227|19720812 19720821|1451137 1451137|5615832 9175450|511 15|144 |jack ja|middleton middletoz|circuit cwircuit
camdn camden|hollyo holly|nsw nrw|munmorah mnunorah|zara zera|kayla kaylah|dunningham cunnigham|shackleford shackelford
caeser caesar|galloway calloway|lewis lewes|yvonne yvette|tagliaferro taglieferro|overlongname overlongnamesake
""".replace("\n", "|").split("|")


def main():
    similarity()
    forest()
    correlation()


def similarity():
    cases = []
    for pair in PAIRS:
        if not pair:
            continue
        left, right = pair.split(" ")
        # Soundex of texts without a letter is left out: jellyfish gives digits back.
        sound = jellyfish.soundex(left) if left[0].isalpha() else None
        cases.append([
            left, right, jellyfish.jaro_winkler_similarity(left, right), osa(left, right), sound,
        ])
    (HERE / "similarity.json").write_text(json.dumps(cases, indent=0) + "\n")


def osa(left, right):
    """Optimal string alignment; equal to jellyfish's unrestricted distance unless an exchange is edited again."""
    distance = jellyfish.damerau_levenshtein_distance(left, right)
    cost = {(i, 0): i for i in range(len(left) + 1)} | {(0, j): j for j in range(len(right) + 1)}
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            best = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (left[i - 1] != right[j - 1]))
            if i > 1 and j > 1 and left[i - 2] == right[j - 1] and left[i - 1] == right[j - 2]:
                best = min(best, cost[i - 2, j - 2] + 1)
            cost[i, j] = best
    found = cost[len(left), len(right)]
    assert found == distance, (left, right, found, distance)
    return found


def forest():
    """Two clouds along a line, and rows between and around them that are ordinary in each column alone."""
    generator = numpy.random.default_rng(11)
    inside = numpy.vstack([
        generator.multivariate_normal([0, 0, 0], [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], 280),
        generator.multivariate_normal([6, 6, 1], [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], 200),
    ])
    outside = numpy.column_stack([
        generator.uniform(-2, 8, 20), generator.uniform(-2, 8, 20), generator.uniform(-4, 5, 20),
    ])
    rows = numpy.round(numpy.vstack([inside, outside]), 3)
    is_outlier = numpy.arange(len(rows)) >= len(inside)
    scores = numpy.mean([
        -IsolationForest(n_estimators=200, max_samples=256, random_state=seed).fit(rows).score_samples(rows)
        for seed in range(5)
    ], axis=0)
    (HERE / "forest.json").write_text(json.dumps({
        "rows": rows.tolist(), "is_outlier": is_outlier.tolist(),
        "scores": numpy.round(scores, 5).tolist(), "auc": roc_auc_score(is_outlier, scores),
    }) + "\n")


def cramers_v(one, other):
    """Bergsma's bias-corrected V (2013)."""
    table = pandas.crosstab(one, other)
    chi = chi2_contingency(table, correction=False)[0]
    count = table.to_numpy().sum()
    rows, columns = table.shape
    phi = max(0, chi / count - (rows - 1) * (columns - 1) / (count - 1))
    rows = rows - (rows - 1) ** 2 / (count - 1)
    columns = columns - (columns - 1) ** 2 / (count - 1)
    return float(numpy.sqrt(phi / min(rows - 1, columns - 1)))


def correlation_ratio(category, number):
    frame = pandas.DataFrame({"category": category, "number": number}).dropna()
    means = frame.groupby("category")["number"].agg(["mean", "size"])
    between = ((means["mean"] - frame["number"].mean()) ** 2 * means["size"]).sum()
    return float(numpy.sqrt(between / ((frame["number"] - frame["number"].mean()) ** 2).sum()))


def correlation():
    generator = numpy.random.default_rng(5)
    base = generator.normal(size=300)
    frame = pandas.DataFrame({
        "a": numpy.round(base * 10, 2),
        "b": numpy.round(numpy.exp(base) + generator.normal(0, 0.05, 300), 3),
        "c": numpy.round(generator.normal(size=300) * 3),
        "colour": numpy.where(base > 0.5, "red", numpy.where(base > -0.5, "blue", "green")),
        "shape": generator.choice(["round", "square"], 300),
        "size": numpy.where(base + generator.normal(0, 0.7, 300) > 0, "large", "small"),
    })
    frame.loc[generator.choice(300, 40, replace=False), "b"] = numpy.nan
    frame.loc[generator.choice(300, 30, replace=False), "colour"] = None
    frame.to_csv(HERE / "correlation.csv", index=False)
    numbers, categories = ["a", "b", "c"], ["colour", "shape", "size"]
    pairs = []
    for index, one in enumerate(numbers):
        for other in numbers[index + 1:]:
            pairs.append([one, other, "pearson", frame[one].corr(frame[other])])
            pairs.append([one, other, "spearman", frame[one].corr(frame[other], method="spearman")])
        for other in categories:
            pairs.append([one, other, "correlation_ratio", correlation_ratio(frame[other], frame[one])])
    for index, one in enumerate(categories):
        for other in categories[index + 1:]:
            pairs.append([one, other, "cramers_v", cramers_v(frame[one], frame[other])])
    (HERE / "correlation.json").write_text(json.dumps(pairs, indent=0) + "\n")


main()
