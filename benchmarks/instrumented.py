"""Systems with instruments of their own, and who estimates them: for `instruments.py`.

`draw`: N rows of K equations. Equation j is a constant, an exogenous x_j and an endogenous
w_j = strength * (sum of its instruments) + v_j, with two and three instruments in turns; errors are
F f_n + u_n with F ~ N(0, 1) of two factors, u_nj ~ N(0, d_j), d_j ~ U(.5, 1.5), and v_j is
correlated .6 with e_j. All N(0, 1) besides, slopes are 1, everything is drawn anew in every
replication. Every instrument is exogenous to every equation, so that all estimators are consistent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sm_alsgls import LowRank3SLS
from sm_alsgls.exceptions import AlsglsWarning

RANK, TRUE = 2, 1.0
STRONG, WEAK = 0.56, 0.15  # of an instrument in the first stage
ENDOGENEITY = 0.6
FITTED = 2  # the place of w among the regressors: const, x, w


@dataclass(frozen=True)
class Drawn:
    """Responses (N, K), K arrays of const, x, w, and K of const, x, instruments."""

    Y: np.ndarray
    X: list[np.ndarray]
    Z: list[np.ndarray]


def draw(
    N: int, K: int, rng: np.random.Generator, strength: float = STRONG, rank: int = RANK
) -> Drawn:
    """The system above."""
    F, d = rng.standard_normal((K, rank)), rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, rank)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    size = np.sqrt((F**2).sum(axis=1) + d)
    Y, X, Z = np.empty((N, K)), [], []
    for j in range(K):
        z = rng.standard_normal((N, 2 + j % 2))
        v = ENDOGENEITY * E[:, j] / size[j]
        v += np.sqrt(1 - ENDOGENEITY**2) * rng.standard_normal(N)
        x = np.column_stack([np.ones(N), rng.standard_normal(N), strength * z.sum(axis=1) + v])
        X.append(x)
        Z.append(np.column_stack([x[:, :2], z]))
        Y[:, j] = x.sum(axis=1) * TRUE + E[:, j]
    return Drawn(Y, X, Z)


def crossed(N: int, rng: np.random.Generator) -> Drawn:
    """Two equations: w1 and w2 both move with z1 and z2, and each equation has one of them."""
    z = rng.standard_normal((N, 2))
    E = rng.standard_normal((N, 2)) @ np.linalg.cholesky([[1.0, 0.7], [0.7, 1.0]]).T
    W = z.sum(axis=1)[:, None] + ENDOGENEITY * E + 0.8 * rng.standard_normal((N, 2))
    return Drawn(W * TRUE + E, [W[:, [0]], W[:, [1]]], [z[:, [0]], z[:, [1]]])


# -- estimators: slopes of w, their standard errors, and half-widths of 95 % intervals ---


def ours(method: str, s: Drawn, rank: int = RANK, **options: object):
    """A fit of LowRank3SLS."""
    # Heywood cases and weak instruments belong to the experiment.
    warnings.simplefilter("ignore", AlsglsWarning)
    return LowRank3SLS(s.Y, s.X, s.Z, rank=rank).fit(method=method, **options)


def of_ours(res: object, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Endogenous slopes (K,) and their intervals (K, 2)."""
    each = len(res.params) // res.model.neqs
    at = slice(place, None, each)
    return np.asarray(res.params)[at], np.asarray(res.conf_int())[at]


def peer_equations(s: Drawn, exogenous: int) -> dict[str, dict[str, np.ndarray | None]]:
    """linearmodels' mapping; the first ``exogenous`` columns of X and Z are the same."""
    return {
        f"e{j}": {
            "dependent": s.Y[:, [j]],
            "exog": x[:, :exogenous] if exogenous else None,
            "endog": x[:, exogenous:],
            "instruments": z[:, exogenous:],
        }
        for j, (x, z) in enumerate(zip(s.X, s.Z, strict=True))
    }


def iv3sls(s: Drawn, exogenous: int = FITTED, **options: str):
    """linearmodels' IV3SLS."""
    from linearmodels.system import IV3SLS

    return IV3SLS(peer_equations(s, exogenous)).fit(**(options or {"cov_type": "unadjusted"}))


def system_gmm(s: Drawn, exogenous: int = FITTED):
    """linearmodels' IVSystemGMM with the weight of homoskedastic errors."""
    from linearmodels.system import IVSystemGMM

    model = IVSystemGMM(peer_equations(s, exogenous), weight_type="unadjusted")
    return model.fit(cov_type="unadjusted")


def of_peer(fit: object, K: int, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Endogenous slopes (K,) and their intervals (K, 2)."""
    each = len(fit.params) // K
    b, se = fit.params.to_numpy()[place::each], fit.std_errors.to_numpy()[place::each]
    z = stats.norm.ppf(0.975)
    return b, np.column_stack([b - z * se, b + z * se])


def estimators(K: int) -> dict[str, Callable[[Drawn], tuple[np.ndarray, np.ndarray]]]:
    """By the name of a column."""
    return {
        "2SLS": lambda s: of_ours(ours("2sls", s), FITTED),
        "low-rank IV": lambda s: of_ours(ours("iv", s), FITTED),
        "low-rank GMM": lambda s: of_ours(ours("gmm", s), FITTED),
        "IV3SLS": lambda s: of_peer(iv3sls(s), K, FITTED),
        "IVSystemGMM": lambda s: of_peer(system_gmm(s), K, FITTED),
    }
