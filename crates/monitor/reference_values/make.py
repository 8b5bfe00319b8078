"""Writes scipy.json: what scipy says about the statistics of this crate.

Run: python make.py   (needs numpy and scipy; the versions are written into the file)
"""

import json
import math
from pathlib import Path

import numpy
import scipy
from scipy import special, stats

rng = numpy.random.default_rng(20261123)


def ks_case(left, right):
    left, right = numpy.asarray(left, float), numpy.asarray(right, float)
    distance = stats.ks_2samp(left, right).statistic
    root = math.sqrt(len(left) * len(right) / (len(left) + len(right)))
    return {
        "left": left.tolist(),
        "right": right.tolist(),
        "statistic": float(distance),
        "p": float(special.kolmogorov(root * distance)),
    }


def table_case(left, right):
    left, right = numpy.asarray(left, float), numpy.asarray(right, float)
    # Half a row in each cell, then both directions of the relative entropy: their sum is the PSI.
    p, q = (left + 0.5) / (left + 0.5).sum(), (right + 0.5) / (right + 0.5).sum()
    both = (left + right) > 0
    statistic, p_value, degrees, _ = stats.chi2_contingency([left[both], right[both]], correction=False)
    return {
        "left": left.tolist(),
        "right": right.tolist(),
        "psi": float(stats.entropy(p, q) + stats.entropy(q, p)),
        "chi_square": float(statistic),
        "degrees": int(degrees),
        "p": float(p_value),
    }


values = {
    "numpy": numpy.__version__,
    "scipy": scipy.__version__,
    "kolmogorov_smirnov": [
        ks_case(rng.normal(size=40), rng.normal(size=60)),
        ks_case(rng.normal(size=50), rng.normal(0.8, size=35)),
        ks_case(rng.integers(0, 4, 80), rng.integers(0, 5, 70)),
        ks_case([1, 2, 3], [4, 5]),
        ks_case([1, 1, 1, 2], [1, 1, 1, 2]),
    ],
    "tables": [
        table_case([10, 20, 30], [12, 18, 33]),
        table_case([500, 300, 200, 5], [80, 10, 7, 0]),
        table_case([1000, 0, 3], [90, 10, 0]),
        table_case([7, 0, 7], [7, 0, 7]),
        table_case(rng.integers(0, 900, 25), rng.integers(0, 90, 25)),
    ],
    "chi_square_tail": [
        {"degrees": degrees, "x": x, "p": float(stats.chi2.sf(x, degrees))}
        for degrees in (1, 2, 9, 30, 255)
        for x in (0.0, 0.3, 2.5, 11.0, 40.0, 300.0)
    ],
    "chi_square_quantile": [
        {"degrees": degrees, "p": p, "x": float(stats.chi2.isf(p, degrees))}
        for degrees in (1, 2, 9, 30, 255)
        for p in (0.5, 0.05, 0.001, 1e-6)
    ],
}

Path(__file__).with_name("scipy.json").write_text(json.dumps(values, indent=1) + "\n")
