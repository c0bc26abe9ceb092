"""The criterion ``bic_robust``: how many factors, where rows may have heavy tails.

Rows u_n^1/2 z_n with a scale u_n that all equations share are uncorrelated after the factors, but
their squares are not, and in a sample the far rows look like factors: bic_ols takes too many of
them. So rows are weighted before they are counted,

    E       OLS residuals (N, K), columns divided by their root mean square
    signs   w = 1; five times  s_j = mean_n w_n e_nj^2,  u_n = mean_j e_nj^2 / s_j,  w_n = 1 / u_n,
            divided by their mean. This is Tyler's (1987) scatter with a diagonal matrix: what is
            left of a row is its direction, with which no tail goes far
    r0      the least of  C_r(w) = 2 n nll_r(diag(w)^1/2 E) + m(r) log n,  n = N - mean p_j
    tails   at r0, the Gaussian likelihood against multivariate t with scale matrix F F' + D and
            nu = 20, 9, 5, 3, by four steps of EM each, from the one before:
                q_n = e_n' (F F' + D)^-1 e_n,       w_n = (nu + K) / (nu + q_n), divided by their
            mean, and (F, d) the factor analysis of diag(w)^1/2 E. (EM of Dempster, Laird and Rubin
            1977; the mean is that of Kent, Tyler and Vardi 1994, the same fixed point in a
            fraction of the steps.) nu falls until the likelihood does
    rank    the least of C_r(w), with the weights of the best nu if 2 N (ll_t - ll_G) > log n,
            what BIC asks of one parameter, else with w = 1, which is bic_ols.

    ll_t = log Gamma((nu + K)/2) - log Gamma(nu/2) - (K log(nu pi) + log|F F' + D|)/2
           - (nu + K)/2 mean_n log(1 + q_n / nu)                       a row

Sign weights alone would do under heavy tails and lose under Gaussian rows: where K is small a sign
keeps little of how far out a row is, and factors are seen by rows that are far out.

Where rows are known to be in the order of time, errors that are correlated in time carry less than
n rows: n in the fit (not in log n) becomes

    n (1 - rho^2) / (1 + rho^2),       rho = (N rho_1 + 1) / (N - 3) in [0, .95],

the effective number of rows for a correlation between two independent AR(1) series (Bartlett 1935,
J. Royal Statistical Society 98); rho_1 = sum e_nj e_{n-1,j} / sum e_nj^2 over the rows in use
after weighting, with Kendall's (1954, Biometrika 41) correction.

A criterion for finding the number of factors, not for slopes: factors that follow far rows are
not there and make slopes more precise all the same (docs/measured/ranks.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from sm_alsgls.core.rank.path import factor_steps, path_gtol
from sm_alsgls.core.sigma.factor import FactorSolution, fit_factor, sigma_parameters
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray

DEGREES = (20.0, 9.0, 5.0, 3.0)
_SIGNS, _STEPS = 5, 4
_D_FLOOR = 1e-8
# No row weighs more than this many others: one that is zero in every column has no direction.
_LEAST = 1e-8
_MOST_RHO = 0.95


class RobustRank(NamedTuple):
    """What `robust_criterion` found."""

    values: dict[int, float]  #: the criterion of each candidate that was looked at
    nu: float  #: degrees of freedom of the rows; inf where they are taken as Gaussian
    weights: Array  #: (N,), of the rows, with mean 1
    rho: float  #: correlation of neighbouring rows that n was reduced for; 0 without order


def sign_weights(E: Array) -> Array:
    """Weights (N,), with mean 1, that leave of each row of ``E`` (N, K) its direction.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.random.default_rng(0).standard_normal((6, 40))
    >>> E[2] *= 100.0
    >>> w = sign_weights(E)
    >>> bool(w[2] < 1e-3 * w.max()), round(float(w.mean()), 12)
    (True, 1.0)
    """
    square, w = E * E, np.ones(len(E))
    for _ in range(_SIGNS):
        s = w @ square / len(E)
        u = (square / s).mean(axis=1)
        w = 1.0 / np.maximum(u, _LEAST * u.max())
        w /= w.mean()
    return w


def t_weights(E: Array, cov: LowRankDiag, nu: float) -> Array:
    """(nu + K) / (nu + q_n), divided by their mean: how much a row counts under t(nu)."""
    w = (nu + E.shape[1]) / (nu + _distances(E, cov))
    return np.asarray(w / w.mean())


def t_loglike(E: Array, cov: LowRankDiag, nu: float) -> float:
    """Log-likelihood per row of multivariate t with scale matrix ``cov``; nu = inf is Gaussian.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> E = np.random.default_rng(0).standard_normal((5, 3))
    >>> cov = LowRankDiag(np.ones((3, 1)), np.ones(3))
    >>> dense = stats.multivariate_t(shape=cov.to_dense(), df=4.0).logpdf(E).mean()
    >>> bool(abs(t_loglike(E, cov, 4.0) - dense) < 1e-12)
    True
    """
    K, q = E.shape[1], _distances(E, cov)
    if math.isinf(nu):
        return -0.5 * (K * math.log(2.0 * math.pi) + cov.logdet() + float(q.mean()))
    return float(
        special.gammaln(0.5 * (nu + K))
        - special.gammaln(0.5 * nu)
        - 0.5 * (K * math.log(nu * math.pi) + cov.logdet())
        - 0.5 * (nu + K) * np.log1p(q / nu).mean()
    )


def serial_rho(E: Array) -> float:
    """Pooled correlation of neighbouring rows of ``E``, in [0, .95]; columns of like size."""
    N = len(E)
    if N < 5:
        return 0.0
    rho = float(np.vdot(E[1:], E[:-1])) / float(np.vdot(E, E))
    return min(max((N * rho + 1.0) / (N - 3.0), 0.0), _MOST_RHO)


@on_one_thread
def robust_criterion(
    E: Array, ranks: Sequence[int], n: float, *, in_time: bool = False, gtol: float | None = None
) -> RobustRank:
    """The criterion of each candidate, up to the one at which it has risen twice in a row.

    Parameters
    ----------
    E : ndarray, shape (N, K)
        OLS residuals of all rows (not compressed: their sizes are what this is about).
    ranks : sequence of int
        Ascending.
    n : float
        Degrees of freedom of the rows.
    in_time : bool
        Whether rows are in the order of time.
    gtol : float, optional
        Of the factor analyses. Default `path_gtol`.

    Notes
    -----
    Cost: up to twenty Sigma-steps at r0, most of them from the last, and one for each candidate,
    twice.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> E = rng.standard_normal((100, 20)) * np.sqrt(3.0 / rng.chisquare(3.0, 100))[:, None]
    >>> found = robust_criterion(E, range(6), 100.0)
    >>> min(found.values, key=found.values.get), found.nu
    (0, 3.0)
    """
    E = E / np.sqrt(np.einsum("nk,nk->k", E, E) / len(E))
    gtol = path_gtol(len(E)) if gtol is None else gtol
    at, first = _least(E, sign_weights(E), ranks, n, gtol)
    nu, w = _tails(E, at, first, math.log(n), gtol)
    rho = serial_rho(_weighted(E, w)) if in_time else 0.0
    fit = n * (1.0 - rho * rho) / (1.0 + rho * rho)
    values = {r: value for r, value, _ in _criterion(E, w, ranks, n, fit, gtol)}
    return RobustRank(values, nu, w, rho)


def _tails(
    E: Array, rank: int, first: FactorSolution, margin: float, gtol: float
) -> tuple[float, Array]:
    """Degrees of freedom and weights of the rows at ``rank``."""
    N, K = E.shape
    gaussian = fit_factor(E, rank, d=None if rank == 0 else first.d, gtol=gtol)
    ll = t_loglike(E, LowRankDiag(gaussian.F, gaussian.d), math.inf)
    best = (ll + 0.5 * margin / N, math.inf, np.ones(N))
    # The fit to signs has the shape; its scale is that of the row in the middle.
    scale = float(np.median(_distances(E, LowRankDiag(first.F, first.d)))) / K
    cov, d = LowRankDiag(math.sqrt(scale) * first.F, scale * first.d), scale * first.d
    block, before = first.block, -math.inf
    for nu in DEGREES:
        for _ in range(_STEPS):
            w = t_weights(E, cov, nu)
            step = fit_factor(_weighted(E, w), rank, d=d, block=block, gtol=gtol)
            cov, d, block = LowRankDiag(step.F, step.d), step.d, step.block
        ll = t_loglike(E, cov, nu)
        if ll < before:
            break
        before = ll
        if ll > best[0]:
            best = (ll, nu, t_weights(E, cov, nu))
    return best[1], best[2]


def _least(
    E: Array, w: Array, ranks: Sequence[int], n: float, gtol: float
) -> tuple[int, FactorSolution]:
    """The rank that the criterion takes with weights ``w``, and its factor analysis."""
    rank, _, fit = min(_criterion(E, w, ranks, n, n, gtol), key=lambda found: found[1])
    return rank, fit


def _criterion(
    E: Array, w: Array, ranks: Sequence[int], n: float, fit: float, gtol: float
) -> Iterator[tuple[int, float, FactorSolution]]:
    """Candidates, 2 ``fit`` nll + m log n, factor analyses; until it has risen twice in a row."""
    Z, K = _weighted(E, w), E.shape[1]
    floor = _D_FLOOR * np.einsum("nk,nk->k", Z, Z) / len(Z)
    steps = factor_steps(Z, ranks, n_obs=len(Z), floor=floor, gtol=gtol)
    constant, last, risen = 0.5 * K * math.log(2.0 * math.pi), math.inf, 0
    for rank, step in zip(ranks, steps, strict=True):
        value = 2.0 * fit * (step.nll + constant) + math.log(n) * sigma_parameters(K, rank)
        yield rank, value, step
        risen, last = (risen + 1 if value > last else 0), value
        if risen == 2:
            return


def _weighted(E: Array, w: Array) -> Array:
    return np.sqrt(w)[:, None] * E


def _distances(E: Array, cov: LowRankDiag) -> Array:
    return np.asarray(np.einsum("nk,nk->n", cov.solve(E), E))
