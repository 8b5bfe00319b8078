"""Tables of the truncated normal distribution and of log expected improvement, for src/numbers/normal.rs.

    pip install scipy mpmath
    python normal_tables.py > normal_tables.json
"""

import json
import sys

import mpmath
from scipy.stats import truncnorm

mpmath.mp.dps = 60


def truncated(x, mean, deviation, quantile):
    law = truncnorm(-mean / deviation, (1 - mean) / deviation, loc=mean, scale=deviation)
    return [x, mean, deviation, float(law.logpdf(x)), quantile, float(law.ppf(quantile))]


def log_excess(z):
    z = mpmath.mpf(z)
    return [float(z), float(mpmath.log(mpmath.npdf(z) + z * mpmath.ncdf(z)))]


json.dump(
    {
        "truncated_normal": [
            truncated(x, mean, deviation, quantile)
            for x in [0.0, 0.2, 0.9]
            for mean in [0.0, 0.3, 1.0]
            for deviation in [0.05, 0.4, 1.0]
            for quantile in [0.02, 0.5, 0.97]
        ],
        "log_expected_excess": [log_excess(z) for z in [3, 1, 0, -1, -4.9, -5.1, -7, -12, -30, -200]],
    },
    sys.stdout,
    indent=1,
)
