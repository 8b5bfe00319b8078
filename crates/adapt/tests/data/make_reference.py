"""Values that lepton-adapt is held against: scikit-learn's logistic regression, numpy's and scipy's linear algebra, and
the formulas of the papers written out. Made with numpy 2.4, scipy 1.17, scikit-learn 1.9, and the CORAL, uLSIF and MMD of
the papers: python make_reference.py > reference.json"""

import json

import numpy as np
from scipy.linalg import fractional_matrix_power
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

random = np.random.default_rng(7)
source = random.normal(size=(24, 3)).astype(np.float32)
target = (random.normal(size=(18, 3)) @ np.array([[0.6, 0.2, 0], [0, 0.8, 0.3], [0, 0, 1.2]]) + [0.8, -0.5, 0.3]).astype(np.float32)
s, t = source.astype(float), target.astype(float)


def logistic():
    rows, domain = np.vstack([s, t]), np.r_[np.zeros(len(s)), np.ones(len(t))]
    fitted = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000).fit(rows, domain)
    probability = fitted.predict_proba(s)[:, 1]
    return {
        "weights": fitted.coef_[0].tolist(),
        "intercept": float(fitted.intercept_[0]),
        "ratios": (probability / (1 - probability) * len(s) / len(t)).tolist(),
    }


def coral(ridge):
    of_source, of_target = np.cov(s.T), np.cov(t.T)
    least = ridge * np.trace(of_source) / 3 * np.eye(3)
    whiten, colour = fractional_matrix_power(of_source + least, -0.5), fractional_matrix_power(of_target + least, 0.5)
    return ((s - s.mean(0)) @ np.real(whiten @ colour) + t.mean(0)).tolist()


def discrepancy(weights):
    rows = np.vstack([s, t])
    squares = cdist(rows, rows, "sqeuclidean")
    pairs = np.sort(squares[np.tril_indices(len(rows), -1)])
    kernel = np.exp(-squares / (2 * pairs[(len(pairs) - 1) // 2]))
    np.fill_diagonal(kernel, 0)
    n, w, v = len(s), np.asarray(weights), np.ones(len(t))
    within = w @ kernel[:n, :n] @ w / (w.sum() ** 2 - (w**2).sum()) + v @ kernel[n:, n:] @ v / (v.sum() ** 2 - v.sum())
    return float(within - 2 * w @ kernel[:n, n:] @ v / (w.sum() * v.sum()))


def penalty():
    """As numpy's slopes: a change of each value by 1e-5, with the width of the kernels kept."""
    rows = np.vstack([s[:5], t[:4]])
    share = np.r_[np.full(5, 1 / 5), np.full(4, -1 / 4)]
    squares = cdist(rows, rows, "sqeuclidean")
    mean = squares.sum() / (9 * 8)

    def value(rows):
        squares = cdist(rows, rows, "sqeuclidean")
        return float(np.mean([share @ np.exp(-squares / (factor * mean)) @ share for factor in [0.25, 0.5, 1, 2, 4]]))

    gradient = np.zeros_like(rows)
    for place in np.ndindex(*rows.shape):
        step = np.zeros_like(rows)
        step[place] = 1e-5
        gradient[place] = (value(rows + step) - value(rows - step)) / 2e-5
    return {"value": value(rows), "gradient": gradient.ravel().tolist()}


def least_squares(ridge):
    rows = np.vstack([s, t])
    pairs = np.sort(cdist(rows, rows, "sqeuclidean")[np.tril_indices(len(rows), -1)])
    width = 2 * pairs[(len(pairs) - 1) // 2]
    of_source, of_target = (np.exp(-cdist(x, t, "sqeuclidean") / width) for x in (s, t))
    parts = np.linalg.solve(of_source.T @ of_source / len(s) + ridge * np.eye(len(t)), of_target.mean(0))
    return np.maximum(of_source @ parts, 0).tolist()


def boost(rounds):
    """TrAdaBoost with a learner whose mistakes are given: row r is wrong in round k where (3 r + 2 k) % 5 == 0."""
    n, m = 12, 6
    weights, shrink, seen = np.ones(n + m), 1 / (1 + np.sqrt(2 * np.log(n) / rounds)), []
    for k in range(rounds):
        p = weights / weights.sum()
        wrong = np.array([(3 * r + 2 * k) % 5 == 0 for r in range(n + m)])
        error = min(p[n:][wrong[n:]].sum() / p[n:].sum(), 0.499)
        seen.append({"weights": (p * (n + m)).tolist(), "error": float(error)})
        beta = error / (1 - error)
        weights = weights * np.where(wrong, np.r_[np.full(n, shrink), np.full(m, 1 / beta)], 1)
    return seen


weights = np.linspace(0.2, 2.0, len(s))
print(json.dumps({
    "width": 3,
    "source": s.ravel().tolist(),
    "target": t.ravel().tolist(),
    "logistic": logistic(),
    "coral": np.ravel(coral(0.1)).tolist(),
    "discrepancy": discrepancy(np.ones(len(s))),
    "weights": weights.tolist(),
    "weighted_discrepancy": discrepancy(weights),
    "penalty": penalty(),
    "least_squares": least_squares(0.1),
    "effective_sample_size": float(weights.sum() ** 2 / (weights**2).sum()),
    "boost": boost(5),
}))
