"""Monte Carlo of panels with laws of the errors, as users fit them: `LowRankPanel`, default errors.

    python benchmarks/panel_laws.py ar --periods 40 --units 30 [--draws 500]
    python benchmarks/panel_laws.py ar --periods 20 --units 40 [--own-constants]
    python benchmarks/panel_laws.py scale --periods 100 --units 20

AR: y_tj = a + x_tj + e_tj, e_tj = rho_j e_{t-1,j} + u_tj, u_t = F z_t + d^1/2 u, one factor, rho_j
uniform on .5 to .9; x white, with a common part. Scale: u_t times exp(z_t / 2)
(delta = 1), a slope of each equation. The law switched off is the control. Coverage is of nominal
95 %; Monte Carlo standard errors in brackets. PCSE: OLS with the sandwich of E'E/T (Beck and Katz
1995), which is rank=0 with cov_type="pcse"; Parks: FGLS with a rho for each unit and a full Sigma,
where units are fewer than periods; oracle: GLS with rho and Sigma known. Tests are of data in which
the law is absent, and of rho = .1, delta = .05.
"""

import argparse
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from law_table import Draws, long_frame
from scipy import stats

from sm_alsgls import LowRankPanel
from sm_alsgls.covariance import LowRankDiag

Z = stats.norm.ppf(0.975)


def ar_draw(rng, T, K, rho=None):
    """Y, x, rho and Sigma of one draw."""
    rho = rng.uniform(0.5, 0.9, K) if rho is None else np.full(K, rho)
    x = 0.55 * (rng.standard_normal((T, K)) + 0.3 * rng.standard_normal((T, 1)))
    cov = LowRankDiag(rng.uniform(0.3, 1.3, (K, 1)), rng.uniform(0.3, 0.8, K))
    u = cov.sample(rng, T)
    e = np.empty((T, K))
    # The first row as Prais and Winsten's filter has it.
    e[0] = u[0] / np.sqrt(1.0 - rho**2)
    for t in range(1, T):
        e[t] = rho * e[t - 1] + u[t]
    return 1.0 + x + e, x, rho, cov


def scale_draw(rng, T, K, delta):
    """Y, x and z of one draw."""
    z = rng.standard_normal((T, 1))
    x = 0.4 * (rng.standard_normal((T, K)) + rng.standard_normal((T, 1)))
    cov = LowRankDiag(rng.uniform(0.3, 1.3, (K, 1)), rng.uniform(0.3, 0.8, K))
    return 1.0 + x + cov.sample(rng, T) * np.exp(0.5 * delta * z), x, z


def panel(frame, rank, **laws):
    """As a user makes it."""
    return LowRankPanel.from_formula(
        "y ~ x", frame, rank, entity="i", time="t", independent="time", **laws
    )


def filtered(M, rho):
    """Prais and Winsten's rows."""
    out = M.copy()
    out[0] *= np.sqrt(1.0 - rho**2)
    out[1:] -= rho * M[:-1]
    return out


def transformed_gls(Y, x, rho, precision, own_constant):
    """Slope and standard error by GLS of Prais and Winsten's rows, and what is left of them."""
    T, K = Y.shape
    ones = filtered(np.ones((T, K)), rho)
    fy, fx = filtered(Y, rho), filtered(x, rho)
    if own_constant:
        constants = np.zeros((K, T, K))
        constants[np.arange(K), :, np.arange(K)] = ones.T
        D = np.concatenate([constants, fx[None]])
    else:
        D = np.stack([ones, fx])
    W = D @ precision
    V = np.linalg.inv(np.einsum("ptk,qtk->pq", W, D))
    b = V @ np.einsum("ptk,tk->p", W, fy)
    return b[-1], V[-1, -1] ** 0.5, fy - np.tensordot(b, D, axes=1)


def pooled_residuals(Y, x):
    """Of least squares with one constant, (T, K)."""
    X = np.column_stack([np.ones(x.size), x.ravel()])
    b = np.linalg.lstsq(X, Y.ravel(), rcond=None)[0]
    return Y - (X @ b).reshape(Y.shape)


def parks(Y, x, E, own_constant):
    """Two-step FGLS with rho_j of OLS residuals E and a full Sigma."""
    rho = np.clip((E[1:] * E[:-1]).sum(0) / (E[:-1] ** 2).sum(0), -0.97, 0.97)
    U = transformed_gls(Y, x, rho, np.eye(Y.shape[1]), own_constant)[2]
    return transformed_gls(Y, x, rho, np.linalg.inv(U.T @ U / len(U)), own_constant)[:2]


def ar_rep(draws, i, rng, T, K, own):
    """One replication: estimators of x's slope, and tests."""
    effects = "entity" if own else None
    Y, x, rho, cov = ar_draw(rng, T, K)
    frame = long_frame(Y, x=x)

    def peer(name, b, se):
        draws.add(name, b, b - Z * se, b + Z * se, 1.0)

    def ours(name, res):
        draws.fitted(name, i, res)
        draws.add(name, res.params["x"], *res.conf_int().loc["x"], 1.0)

    peer(
        "GLS, everything known", *transformed_gls(Y, x, rho, np.linalg.inv(cov.to_dense()), own)[:2]
    )
    ols = panel(frame, 0, effects=effects).fit(cov_type="pcse")
    ours("OLS, cov_type='pcse'", ols)
    if K < T:
        peer("Parks", *parks(Y, x, np.asarray(ols.resid), own))
    for name, law in (
        ("no law", {}),
        ("ar='entity'", {"ar": "entity"}),
        ("ar='common'", {"ar": "common"}),
    ):
        ours(f"rank=1, {name}", panel(frame, 1, effects=effects, **law).fit())
    for r, what in ((0.0, "size"), (0.1, "power at .1")):
        Y, x, _, _ = ar_draw(rng, T, K, r)
        res = panel(long_frame(Y, x=x), 1, effects=effects, ar="common").fit()
        draws.fitted(f"ar='common', rho {r}", i, res)
        for row in res.law_tests().itertuples():
            draws.test(f"{row.test}, {what}", row.statistic, row.pvalue)


def scale_rep(draws, i, rng, T, K, own):
    """One replication: K slopes, and delta."""
    Y, x, z = scale_draw(rng, T, K, 1.0)
    frame = long_frame(Y, x=x, z=z)
    for name, law in (("no law", {}), ("row_scale='~ z'", {"row_scale": "~ z"})):
        res = panel(frame, 1, heterogeneous=True, **law).fit()
        draws.fitted(name, i, res)
        ends = res.conf_int().filter(regex="_x$", axis=0)
        draws.add(f"slopes, {name}", res.params[ends.index], ends.iloc[:, 0], ends.iloc[:, 1], 1.0)
    ml = panel(frame, 1, heterogeneous=True, row_scale="~ z").fit(reml=False)
    for name, fit in (("delta", res), ("delta, reml=False", ml)):
        draws.add(name, *fit.row_scale.iloc[0, [0, 4, 5]], 1.0)
        draws.add(f"{name}, law_intervals()", *fit.law_intervals().iloc[0, :3], 1.0)
    for delta, what in ((0.0, "size"), (0.05, "power at .05")):
        Y, x, z = scale_draw(rng, T, K, delta)
        res = panel(long_frame(Y, x=x, z=z), 1, heterogeneous=True, row_scale="~ z").fit()
        for row in res.law_tests().itertuples():
            draws.test(f"{row.test}, {what}", row.statistic, row.pvalue)


def main(argv=None):
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["ar", "scale"])
    parser.add_argument("--periods", type=int, default=40)
    parser.add_argument("--units", type=int, default=30)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--own-constants", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    draws, T, K = Draws(), given.periods, given.units
    one = {"ar": ar_rep, "scale": scale_rep}[given.what]
    constants = "own" if given.own_constants else "common"
    title = f"{given.what}, {T} periods, {K} units, {constants} constants"
    for i in range(given.draws):
        one(draws, i, np.random.default_rng([given.seed, i]), T, K, given.own_constants)
        if given.json is not None and i % 20 == 19:
            draws.save(given.json)
    draws.show(f"{title}, {given.draws} draws")
    if given.json is not None:
        draws.save(given.json)
    return draws


if __name__ == "__main__":
    main()
