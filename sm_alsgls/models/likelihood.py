"""The Gaussian likelihood of a system and its derivatives in the coefficients, at any point.

With W = (Y - X beta) Sigma^-1 (N, K) and Sigma given,

    score_obs   row n:  [w_nj x_nj]_j                        (N, P)
    score       [X_j' w_j]_j, its sum over rows              (P,)
    information blocks (Sigma^-1)_jl X_j' X_l                (P, P)

The log-likelihood is quadratic in beta, so the hessian is exactly minus the information, at any
beta, and the expected information is the observed one. With missing cells w_n = Sigma_n^-1 e_n in
the observed cells of row n, zero elsewhere, and the information is a sum over rows; weights
multiply the rows of y_j and X_j by their roots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.covariance.base import Covariance, is_covariance
from sm_alsgls.data.keywords import coefficients
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.results.model import Model
from sm_alsgls.results.sample import residuals

#: Largest P of which a P x P matrix is made.
LARGEST = 4_000
# Rows of all designs, side by side, that are in memory at a time.
_CHUNK = 2**22


class Likelihood:
    """Mixin of `LowRankSUR`."""

    def loglike(self: Model, params: Any, sigma: Covariance | None = None) -> float:
        """Gaussian log-likelihood of all rows at coefficients (P,) and an error covariance.

        Neither this nor its derivatives in the coefficients have a default for ``sigma``: it is
        not part of ``params``, and an OptionError says so. Ridges are not included.
        """
        return loglike(self, params, sigma)

    def score(self: Model, params: Any, sigma: Covariance | None = None) -> np.ndarray:
        """Derivative (P,) of the log-likelihood in the coefficients, given Sigma."""
        return score(self, params, sigma)

    def score_obs(self: Model, params: Any, sigma: Covariance | None = None) -> np.ndarray:
        """Rows' contributions (N, P) to the score."""
        return score_obs(self, params, sigma)

    def information(self: Model, params: Any, sigma: Covariance | None = None) -> np.ndarray:
        """Fisher information (P, P) of the coefficients given Sigma; up to P = 4,000."""
        return information(self, params, sigma)

    def hessian(self: Model, params: Any, sigma: Covariance | None = None) -> np.ndarray:
        """Minus the information: given Sigma the log-likelihood is quadratic."""
        return -information(self, params, sigma)


def loglike(model: Model, params: Any, sigma: Any) -> float:
    """See `LowRankSUR.loglike`."""
    beta, sigma = _point(model, params, sigma, "loglike")
    cells = model.system.cells
    return float(cells.log_jacobian - model.nobs * cells.nll(_residuals(model, beta), sigma))


def score(model: Model, params: Any, sigma: Any) -> np.ndarray:
    """See `LowRankSUR.score`."""
    beta, sigma = _point(model, params, sigma, "score")
    rows = model.system.rows
    W = model.system.cells.solve(_residuals(model, beta), sigma)
    each = np.concatenate([X.T @ W[:, j] for j, X in enumerate(rows.blocks)])
    return model.labels.gather(each[None, :])[0]


def score_obs(model: Model, params: Any, sigma: Any) -> np.ndarray:
    """See `LowRankSUR.score_obs`."""
    beta, sigma = _point(model, params, sigma, "score_obs")
    cells = model.system.cells
    E = residuals(model.endog, model.exog, model.labels.by_equation(beta))
    W = cells.solve(cells.used(E), sigma)
    out = np.empty((model.nobs, int(model.labels.p.sum())))
    start = 0
    for j, X in enumerate(model.system.used_blocks):
        stop = start + X.shape[1]
        np.multiply(X, W[:, j : j + 1], out=out[:, start:stop])
        start = stop
    return model.labels.gather(out)


def information(model: Model, params: Any, sigma: Any) -> np.ndarray:
    """See `LowRankSUR.information`."""
    P = int(model.labels.p.sum())
    if P > LARGEST:
        raise OptionError(
            f"the information of {P} coefficients is a {P} x {P} matrix, {8e-9 * P * P:.1f} GB; it "
            f"is made up to {LARGEST} only. Results do without it: bse, conf_int, and "
            "cov_params(r_matrix=...) for combinations"
        )
    _, sigma = _point(model, params, sigma, "information")
    cells = model.system.cells
    if not cells.complete:
        H = sigma.seen(cells.patterns).information(model.system.used_blocks)
        return _both_ways(model, H)
    # Columns of a design that several equations share are multiplied once.
    blocks = model.system.rows.blocks
    distinct = {id(X): X for X in blocks}
    first = dict(
        zip(distinct, np.cumsum([0, *(X.shape[1] for X in distinct.values())]), strict=False)
    )
    column = np.concatenate([first[id(X)] + np.arange(X.shape[1]) for X in blocks])
    owner = np.repeat(np.arange(model.neqs), [X.shape[1] for X in blocks])
    q = int(column.max()) + 1
    gram = np.zeros((q, q))
    step = max(1, _CHUNK // q)
    for start in range(0, len(blocks[0]), step):
        Z = np.concatenate([X[start : start + step] for X in distinct.values()], axis=1)
        gram += Z.T @ Z
    precision = sigma.solve(np.eye(model.neqs))
    out = gram[np.ix_(column, column)]
    out *= ((precision + precision.T) / 2.0)[np.ix_(owner, owner)]
    return _both_ways(model, out)


def _both_ways(model: Model, H: np.ndarray) -> np.ndarray:
    """Second derivatives in all coefficients (sum p_j, sum p_j) as those in the parameters."""
    return model.labels.gather(model.labels.gather(H).T)


def _residuals(model: Model, params: np.ndarray) -> np.ndarray:
    """Y - X beta on the compressed rows, whose products are those of all; (n, K).

    In missing cells it is anything finite: who reads it masks them.
    """
    rows = model.system.rows
    return residuals(rows.Y, rows.blocks, model.labels.by_equation(params))


def _point(model: Model, params: Any, sigma: Any, method: str) -> tuple[np.ndarray, Covariance]:
    """A coefficient vector and an error covariance that fit the model."""
    if getattr(model, "laws", None) is not None:
        raise NotApplicableError(
            f"{method}(params, sigma) is of rows that are independent draws of Sigma, and the "
            "errors of this model follow laws with parameters that are in neither; res.llf is the "
            "log-likelihood of a fit, res.law_params() has these parameters, and res.cov_params() "
            "the covariance of the coefficients"
        )
    if sigma is None:
        raise OptionError(
            f"{method}(params, sigma) needs the error covariance as well: pass res.sigma, or "
            "LowRankDiag.from_factors(F, d)"
        )
    if not is_covariance(sigma):
        raise OptionError(
            f"sigma must be a LowRankDiag or Unrestricted, got {type(sigma).__name__}; make one "
            "with LowRankDiag.from_factors(F, d), LowRankDiag.from_dense(Sigma, r) or "
            "Unrestricted.from_dense(Sigma)"
        )
    if sigma.K != model.neqs:
        raise OptionError(f"sigma is of {sigma.K} equations, the model has {model.neqs}")
    return coefficients(params, model.exog_names, "params"), sigma
