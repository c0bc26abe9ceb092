"""Monte Carlo of panels with laws of the errors: RMSE and coverage of a common slope, and of delta.

    python benchmarks/panel_laws.py ar --periods 40 --units 30 --draws 500
    python benchmarks/panel_laws.py ar --periods 20 --units 40 --draws 500
    python benchmarks/panel_laws.py scale --periods 100 --units 20 --draws 500

AR: y_tj = a + x_tj + e_tj, e_tj = rho_j e_{t-1,j} + u_tj, u_t = F z_t + d^1/2 u, one factor, rho_j
uniform on .5 to .9; x white, with a common part. Scale: u_t times exp(z_t / 2)
(delta = 1), a slope of each equation. Coverage is of nominal 95 %, with its Monte Carlo standard
error. PCSE: OLS with the sandwich of E'E/T (Beck and Katz 1995); Parks: FGLS with a rho for each
unit and a full Sigma, where units are fewer than periods; oracle: GLS with rho and Sigma known. The
law switched off is the control.
"""

import argparse
import time
from functools import partial

import numpy as np
from scipy import stats

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.leverage_scale import leverage_scale
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.no_ar import no_ar
from sm_alsgls.core.laws.observed_information import observed_covariance
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.shrunken_ar import shrunken_ar, shrunken_from
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.covariance import LowRankDiag

Z = stats.norm.ppf(0.975)


def autoregression(rng, rho, T, K):
    """(T, K) of unit innovations, stationary."""
    e = np.empty((T, K))
    e[0] = rng.standard_normal(K) / np.sqrt(1.0 - rho**2)
    for t in range(1, T):
        e[t] = rho * e[t - 1] + rng.standard_normal(K)
    return e


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


def pooled(x, own_constant):
    """Blocks [1, x] with a common slope, and the binding."""
    blocks = [np.column_stack([np.ones(len(x)), c]) for c in x.T]
    share = np.array([-1, 0]) if own_constant else np.array([0, 1])
    return blocks, Pooling(Places([share] * x.shape[1]))


def flat(Y, x, own_constant):
    """y and X of all cells, period after period."""
    T, K = Y.shape
    X = np.column_stack([np.tile(np.eye(K), (T, 1)) if own_constant else np.ones(T * K), x.ravel()])
    return Y.ravel(), X


def gls(Y, x, cov_inverse, own_constant):
    """Slope and its standard error by a precision of all cells of a row."""
    y, X = flat(Y, x, own_constant)
    K = Y.shape[1]
    W = (X.T.reshape(-1, len(Y), K) @ cov_inverse).reshape(X.shape[1], -1)
    V = np.linalg.inv(W @ X)
    return (V @ (W @ y))[-1], V[-1, -1] ** 0.5


def pcse(Y, x, own_constant):
    """OLS and Beck and Katz's standard error; residuals too."""
    y, X = flat(Y, x, own_constant)
    bread = np.linalg.inv(X.T @ X)
    b = bread @ (X.T @ y)
    E = (y - X @ b).reshape(Y.shape)
    S = E.T @ E / len(E)
    shaped = X.T.reshape(-1, *Y.shape)
    meat = np.einsum("ptj,jk,qtk->pq", shaped, S, shaped, optimize=True)
    return b[-1], (bread @ meat @ bread)[-1, -1] ** 0.5, E


def filtered(M, rho):
    out = M.copy()
    out[0] *= np.sqrt(1.0 - rho**2)
    out[1:] -= rho * M[:-1]
    return out


def transformed_gls(Y, x, rho, precision, own_constant):
    """GLS of Prais and Winsten's rows; the constant is filtered as well."""
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


def parks(Y, x, own_constant):
    """Two-step FGLS with rho_j of OLS residuals and a full Sigma."""
    E = pcse(Y, x, own_constant)[2]
    rho = np.clip((E[1:] * E[:-1]).sum(0) / (E[:-1] ** 2).sum(0), -0.97, 0.97)
    U = transformed_gls(Y, x, rho, np.eye(Y.shape[1]), own_constant)[2]
    return transformed_gls(Y, x, rho, np.linalg.inv(U.T @ U / len(U)), own_constant)[:2]


class Table:
    """Estimates and standard errors by estimator."""

    def __init__(self):
        self.rows = {}

    def add(self, name, estimate, se, seconds=np.nan):
        self.rows.setdefault(name, []).append((estimate, se, seconds))

    def show(self, truth):
        print(
            f"{'':28s}{'RMSE':>8s}{'bias':>9s}{'coverage':>10s}{'(se)':>8s}{'sd(t)':>7s}{'s':>7s}"
        )
        for name, rows in self.rows.items():
            b, se, seconds = np.array(rows).T
            t = (b - truth) / se
            covered = np.mean(np.abs(t) < Z)
            error = np.sqrt(covered * (1.0 - covered) / len(t))
            rmse = np.sqrt(np.mean((b - truth) ** 2))
            print(
                f"{name:28s}{rmse:8.4f}{b.mean() - truth:+9.4f}{covered:10.3f}{error:8.3f}"
                f"{t.std():7.2f}{np.nanmean(seconds) if np.isfinite(seconds).any() else 0:7.3f}"
            )


def ar(draws, seed, T, K, own_constant):
    table, sizes = Table(), []
    for i in range(draws):
        rng = np.random.default_rng([seed, i])
        Y, x, rho, cov = ar_draw(rng, T, K)
        P = np.linalg.inv(cov.to_dense())
        table.add("oracle", *transformed_gls(Y, x, rho, P, own_constant)[:2])
        table.add("PCSE", *pcse(Y, x, own_constant)[:2])
        if K < T:
            table.add("Parks", *parks(Y, x, own_constant))
        blocks, binding = pooled(x, own_constant)
        slope = 0 if own_constant else 1
        plain = RawSystem(Y, blocks, Chain([]), ALSOptions(), binding=binding)
        off = maximise(plain, 1)
        se = off.problem.covariance(off.found.best.cov).variances()[slope] ** 0.5
        table.add("low rank, no law", off.problem.design.to_params(off.found.best.gamma)[slope], se)
        for name, law in (("each", np.zeros(K)), ("common", np.zeros(1))):
            raw = RawSystem(Y, blocks, AR.of(T, law, K), ALSOptions(), binding=binding)
            start = time.perf_counter()
            if name == "each":
                fit = shrunken_ar(raw, 1)
                refit = partial(shrunken_from, rank=1)
            else:
                fit = maximise(raw, 1)
                refit = partial(maximise_from, rank=1)
            b = fit.problem.design.to_params(fit.found.best.gamma)[slope]
            se = fit.problem.covariance(fit.found.best.cov).variances()[slope] ** 0.5
            table.add(f"low rank, AR {name}, H", b, se, time.perf_counter() - start)
            V = observed_covariance(fit, np.array([slope]), refit).cov
            table.add(f"low rank, AR {name}, J", b, V[0, 0] ** 0.5, time.perf_counter() - start)
        # Under no AR the test's size, and its power at rho = .1.
        tests = []
        for r in (0.0, 0.1):
            Y, x, _, _ = ar_draw(rng, T, K, r)
            blocks, binding = pooled(x, own_constant)
            plain = RawSystem(Y, blocks, Chain([]), ALSOptions(), binding=binding)
            tests.append(no_ar(plain, maximise(plain, 1)).pvalue < 0.05)
        sizes.append(tests)
    print(f"AR, T={T}, {K} units, {'own' if own_constant else 'common'} constants, {draws} draws")
    table.show(1.0)
    size, power = np.mean(sizes, axis=0)
    print(
        f"test of no AR: size {size:.3f} ({np.sqrt(size * (1 - size) / draws):.3f}), "
        f"power at .1 {power:.3f}"
    )


def scale(draws, seed, T, K, own_constant):
    slopes, deltas = Table(), Table()
    for i in range(draws):
        rng = np.random.default_rng([seed, i])
        z = rng.standard_normal((T, 1))
        x = 0.4 * (rng.standard_normal((T, K)) + rng.standard_normal((T, 1)))
        cov = LowRankDiag(rng.uniform(0.3, 1.3, (K, 1)), rng.uniform(0.3, 0.8, K))
        Y = 1.0 + x + cov.sample(rng, T) * np.exp(0.5 * z)
        # Slopes of their own, as in a system; the table is of the mean over equations.
        blocks = [np.column_stack([np.ones(T), c]) for c in x.T]
        plain = RawSystem(Y, blocks, Chain([]), ALSOptions())
        raw = RawSystem(Y, blocks, RowScale(z, K, np.zeros(1)), ALSOptions())
        off = maximise(plain, 1)
        start = time.perf_counter()
        ml = maximise(raw, 1)
        seconds = time.perf_counter() - start
        gamma = leverage_scale(ml, 1)
        last = time.perf_counter() - start
        for name, fit, took in (
            ("no law", off, np.nan), ("ML", ml, seconds), ("leverage", gamma, last),
        ):  # fmt: skip
            b = fit.problem.design.to_params(fit.found.best.gamma)[1::2]
            cov = fit.problem.interval_sigma(fit.found.best.E, fit.found.best.cov)
            factor = np.sqrt(T / (T - 3.0))
            se = fit.problem.covariance(cov).variances()[1::2] ** 0.5 * factor
            for one, s in zip(b, se, strict=True):
                slopes.add(name, one, s, took)
        for name, fit in (("ML", ml), ("leverage", gamma)):
            nuisance = fit.found.best.nuisance
            deltas.add(name, nuisance.values[0], nuisance.cov[0, 0] ** 0.5)
    print(f"row scale, N={T}, K={K}, {draws} draws; slopes (their draws are {draws} x {K})")
    slopes.show(1.0)
    print("delta")
    deltas.show(1.0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["ar", "scale"])
    parser.add_argument("--periods", type=int, default=40)
    parser.add_argument("--units", type=int, default=30)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--own-constants", action="store_true")
    given = parser.parse_args()
    run = {"ar": ar, "scale": scale}[given.what]
    run(given.draws, given.seed, given.periods, given.units, given.own_constants)


if __name__ == "__main__":
    main()
