"""Six generations of the package cmaes, for src/sampler/cma_state.rs.

    pip install cmaes==0.13.1
    python cma_es.py > cma_es.json

Draws that lie outside the distance at which cma_state.rs takes them back are left out, because cmaes keeps them.
"""

import json
import sys

import cmaes
import numpy as np


def loss(x):
    return float(sum((i + 1) * (value - 0.3) ** 2 for i, value in enumerate(x)) + x[0] * x[1])


def case(size, step, population):
    mean = np.full(size, 0.5)
    optimizer = cmaes.CMA(mean=mean.copy(), sigma=step, seed=size, population_size=population)
    farthest = np.sqrt(size) + 2 * size / (size + 2)
    generations = []
    for _ in range(6):
        draws = []
        while len(draws) < population:
            x = optimizer.ask()
            B, D = optimizer._eigen_decomposition()
            whitened = B @ np.diag(1 / D) @ B.T @ ((x - optimizer._mean) / optimizer._sigma)
            if np.linalg.norm(whitened) < farthest:
                draws.append(x)
        draws.sort(key=loss)
        optimizer.tell([(x, loss(x)) for x in draws])
        generations.append(
            {
                "ranked": [x.tolist() for x in draws],
                "mean": optimizer._mean.tolist(),
                "step": float(optimizer._sigma),
                "covariance": optimizer._C.tolist(),
            }
        )
    return {"mean": mean.tolist(), "step": step, "population": population, "generations": generations}


json.dump({"cmaes": cmaes.__version__, "cases": [case(2, 0.3, 6), case(5, 0.2, 8), case(3, 0.3, 14)]}, sys.stdout)
