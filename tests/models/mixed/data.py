"""Groups whose slopes have two factors, and what tests ask of them."""

import numpy as np
import pandas as pd

from sm_alsgls import LowRankMixedLM

SLOPES = "~ x1 + x2 + x3"


def frame(m=25, seed=0, most=9):
    """m groups of 1 to ``most`` rows; four random effects, one factor and a diagonal."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most + 1, m)
    g = np.repeat(np.arange(m), counts)
    n = len(g)
    X = rng.standard_normal((n, 3))
    Z = np.column_stack([np.ones(n), X])
    effects = rng.standard_normal((m, 1)) @ np.array([[1.0, 0.8, -0.6, 0.5]])
    effects = effects + 0.5 * rng.standard_normal((m, 4))
    y = 1.0 + X @ [1.0, -0.5, 0.0] + np.einsum("nq,nq->n", Z, effects[g])
    y = y + 0.7 * rng.standard_normal(n)
    columns = {f"x{j + 1}": X[:, j] for j in range(3)}
    t = np.concatenate([np.arange(count) for count in counts])
    kind = np.array(["low", "high"])[rng.integers(0, 2, n)]
    data = pd.DataFrame(
        {"y": y, **columns, "g": g, "t": t, "kind": kind, "w": rng.uniform(1, 2, n)}
    )
    return data.set_index(pd.Index([f"r{i}" for i in range(n)]))


def made(data, rank=1, formula="y ~ x1 + x2 + x3", re_formula=SLOPES, **how):
    return LowRankMixedLM.from_formula(formula, data, re_formula, rank, groups="g", **how)


def dense_llf(model, res, reml):
    """The log-likelihood at the estimate, with n x n matrices and nothing of the package."""
    rows = model.rows
    X, Z, y, codes = rows.X, rows.Z, rows.y, rows.codes
    G, s2 = res.cov_re.to_numpy(), res.scale
    n, p = X.shape
    w = np.ones(n) if rows.weights is None else rows.weights
    R = np.diag(1.0 / w)
    if model.ar is not None:
        apart = np.abs(rows.times[:, None] - rows.times)
        R = np.sign(res.estimate.theta[0]) ** apart * np.abs(res.estimate.theta[0]) ** apart
    V = np.where(codes[:, None] == codes, Z @ G @ Z.T + s2 * R, 0.0)
    W = np.linalg.inv(V)
    b = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    np.testing.assert_allclose(res.params, b, rtol=1e-7, atol=1e-8)
    e = y - X @ b
    out = n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + e @ W @ e
    if reml:
        # lme4's and nlme's constant: X as it is.
        out += np.linalg.slogdet(X.T @ W @ X)[1] - p * np.log(2 * np.pi)
    return -out / 2
