"""Predictions and the log marginal likelihood of scikit-learn, for src/sampler/process.rs.

    pip install scikit-learn==1.9.1
    python gaussian_process.py > gaussian_process.json
"""

import json
import sys

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

rng = np.random.default_rng(11)
points = rng.uniform(size=(15, 3))
values = np.sin(5 * points[:, 0]) + points[:, 1] ** 2 + 0.05 * rng.normal(size=15)
values = (values - values.mean()) / values.std()
lengths, scale, noise = [0.4, 0.9, 2.5], 1.3, 0.02
kernel = ConstantKernel(scale) * Matern(lengths, nu=2.5)
process = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(points, values)
at = np.vstack([rng.uniform(size=(8, 3)), points[:2]])
mean, deviation = process.predict(at, return_std=True)
noisy = GaussianProcessRegressor(kernel + WhiteKernel(noise), alpha=0.0, optimizer=None).fit(points, values)
json.dump(
    {
        "points": points.tolist(),
        "values": values.tolist(),
        "lengths": lengths,
        "scale": scale,
        "noise": noise,
        "at": at.tolist(),
        "predictions": [[float(m), float(d) ** 2] for m, d in zip(mean, deviation)],
        "log_likelihood": float(noisy.log_marginal_likelihood()),
    },
    sys.stdout,
)
