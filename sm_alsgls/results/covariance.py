"""The covariance of the coefficients behind a ``cov_type``, and the Sigma behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.core.beta.bias_reduced import BiasReducedCovariance, TwoWayCovariance
from sm_alsgls.core.beta.cosine_weights import Cosines
from sm_alsgls.core.beta.hotelling import System
from sm_alsgls.core.beta.robust import (
    Clusters,
    Kernel,
    RowWeights,
    SandwichCovariance,
    White,
    WorkingCovariance,
    kernel_weights,
)
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.design.base import Bread
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.beside_laws import BesideLaws
from sm_alsgls.results.cov_types import (
    CovarianceChoice,
    check_instrumented,
    check_least_squares,
)
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import rank_of
from sm_alsgls.results.fitted import Fitted, kept
from sm_alsgls.results.in_sample import used_residuals
from sm_alsgls.results.parameter_covariance import ParameterCovariance


@kept
def covariance(estimate: Fitted) -> ParameterCovariance:
    """The covariance of the parameters that the estimate's choice stands for."""
    return estimate.new_covariance()


@kept
def sigma_inference(estimate: Estimate) -> Covariance:
    """The error covariance behind ``cov_type`` "nonrobust" and "KH".

    ``sigma`` itself where the fit is not debiased. Otherwise its loadings are those under the
    prior that they show (`core.errors.loading_prior`), which keeps the intervals of small
    samples from being too short; that of an unrestricted Sigma is made of OLS residuals, which
    are not bent to it; and its element (j, l) is multiplied by the roots of
    N_j / (N_j - p_j - r) and N_l / (N_l - p_l - r).
    """
    sample, maximum, moments = estimate.sample, estimate.maximum, estimate.moments
    if not estimate.debiased:
        return estimate.row_sigma if moments is None else moments.first_cov
    E, found = sample.E, estimate.row_sigma if maximum is None else maximum.search.best.cov
    if moments is not None:
        # What the coefficients were weighted with, and the residuals that it is of.
        E, found = sample.problem.residuals(moments.first_g), moments.first_cov
    made = sample.problem.interval_sigma(E, found)
    return made.scaled(estimate.df.correction)


def build(estimate: Estimate, choice: CovarianceChoice) -> ParameterCovariance:
    """The covariance operator of a choice at an estimate."""
    made, laws = _given_laws(estimate, choice), estimate.laws
    if laws is None or laws.slopes is None or not np.isfinite(laws.cov).all():
        return made
    return BesideLaws(made, laws.slopes, laws.cov, estimate.labels)


def _given_laws(estimate: Estimate, choice: CovarianceChoice) -> ParameterCovariance:
    """The same at given parameters of laws of the errors."""
    sample, sigma, N = estimate.sample, estimate.row_sigma, estimate.nobs
    problem, counts = sample.problem, estimate.counts
    if choice.cov_type in ("nonrobust", "KH"):
        sigma = sigma_inference(estimate)
        bread = problem.covariance(sigma)
        if choice.cov_type == "KH":
            return problem.errors.corrected(bread, sigma, estimate.at_bound, estimate.debiased)
        if choice.cov_type == "nonrobust" and estimate.debiased:
            stretch = problem.errors.stretch(bread.design, sigma)
            return bread if stretch is None else bread.stretched(stretch)
        return bread
    if choice.cov_type == "pcse":
        return _panel_corrected(estimate)
    bread = problem.covariance(sigma)
    p, labels = estimate.p, estimate.labels
    factor = np.ones(len(p))
    corrected = choice.kwds.get("correction", choice.cov_type) not in ("HC0", "CR0")
    corrected = corrected and choice.kwds.get("use_correction", True)
    if choice.cov_type == "sandwich":
        corrected = estimate.debiased
    if corrected:
        taken = p + (estimate.df.taken if choice.kwds["dof"] == "p+r" else 0)
        factor = np.sqrt(counts / (counts - taken))
    scale = labels.mean(factor) * (bent(estimate, bread) if corrected else 1.0)
    if choice.cov_type == "sandwich":
        W = sigma.solve(sample.E)
        return WorkingCovariance(bread, W, N, scale)
    cells, E = sample.cells, used_residuals(estimate)
    if choice.cov_type == "HAC":
        weights = weights_of_time(choice.kwds, N)
        W = cells.solve(E, sigma)
        return SandwichCovariance(bread, sample.blocks, W, weights, scale)
    factor = beside_leverage(estimate, bread) if choice.power else scale
    seen = System(bread, sample.blocks, E, cells, sigma)

    def one_way(code: np.ndarray | None, debias: bool) -> BiasReducedCovariance:
        weights = White() if code is None else Clusters(code, debias=debias)
        return BiasReducedCovariance(seen, Units(N, code), weights, choice.power or 0.0, factor)

    if choice.cov_type != "cluster":
        return one_way(None, False)
    # G / (G - 1) is what multipliers of the leverage are in place of.
    debias, codes = choice.kwds["correction"] == "CR1", choice.kwds["codes"]
    if len(codes) == 1:
        return one_way(codes[0], debias)
    both = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()
    parts = [one_way(code, debias) for code in (*codes, both)]
    return TwoWayCovariance(*parts)


def weights_of_time(kwds: dict[str, Any], N: int) -> RowWeights:
    """How N rows depend over time, by the options of ``cov_type="HAC"``."""
    if kwds["kernel"] == "cosine":
        return Cosines(N, kwds["terms"])
    return Kernel(kernel_weights(kwds["kernel"], kwds["maxlags"], N))


def check_fitted(estimate: Estimate, choice: CovarianceChoice) -> None:
    """Say at once, not when standard errors are read, that a type is not one of such a fit.

    Raises
    ------
    OptionError
    """
    if choice.cov_type == "pcse":
        _panel_corrected(estimate)
    if estimate.moments is not None:
        check_instrumented(choice, estimate.sample.problem.design.restricted)


def _panel_corrected(estimate: Estimate) -> WorkingCovariance:
    """(X'X)^-1 X'(S x I)X (X'X)^-1, S = E'E / N, under restrictions if there are any."""
    problem, maximum = estimate.sample.problem, estimate.maximum
    check_least_squares(rank_of(estimate), problem.options.lam_B)
    bread = problem.covariance(LowRankDiag.diagonal(np.ones(estimate.neqs)))
    if bread.tied.any() and maximum is not None and maximum.search.method != "ols":
        raise OptionError(
            "cov_type='pcse' is the covariance of least squares, and with restrictions across "
            "equations maximum likelihood weights them by 1 / d_j; fit with fit(cov_type='pcse'), "
            "whose coefficients are those of least squares"
        )
    return WorkingCovariance(bread, estimate.sample.E, estimate.nobs, np.ones(len(estimate.params)))


def beside_leverage(estimate: Estimate, bread: Bread) -> np.ndarray:
    """What else makes residuals too small, beside the leverage that multipliers undo, (P,).

    The r factors take (N - p_j) / (N - p_j - r), and estimating Sigma stretches as it does the
    model-based covariance. Restricted fits have one factor: coefficients that are equal must have
    equal standard errors.
    """
    counts, p = estimate.counts, estimate.p
    taken = estimate.df.taken if estimate.choice.kwds.get("dof", "p+r") == "p+r" else 0
    factor = np.sqrt((counts - p) / (counts - p - taken))
    tied = bool(bread.tied.any())
    design = bread.design
    stretch = None
    errors = estimate.sample.problem.errors
    if errors.bends:
        return estimate.labels.mean(factor) * bent(estimate, bread)
    if estimate.debiased and estimate.rank:
        stretch = errors.stretch(design, sigma_inference(estimate))
    out = []
    for j, f in enumerate(factor):
        M = design.beta_map(j)
        before = np.square(M).sum(axis=1)
        after = before if stretch is None else np.square(M @ stretch(j)).sum(axis=1)
        out.append(f * np.sqrt(after / before))
    flat = np.concatenate(out)
    if tied:
        return np.full(estimate.labels.P, float(np.exp(np.mean(np.log(flat)))))
    return flat


def bent(estimate: Estimate, bread: Bread) -> np.ndarray:
    """What the fit of Sigma takes off residuals, and its estimation adds, of a law that bends them.

    The ratio (P,) of the small-sample standard errors to those at the fit's own Sigma, with
    N_j / (N_j - p_j) for the coefficients: ones where the law tells by degrees of freedom.
    Where restrictions may make coefficients equal they have one ratio, the geometric mean; common
    ones are held once.
    """
    problem, P = estimate.sample.problem, estimate.labels.P
    if not (estimate.debiased and problem.errors.bends):
        return np.ones(P)
    sigma = sigma_inference(estimate)
    made: Bread = problem.covariance(sigma)
    stretch = problem.errors.stretch(made.design, sigma)
    made = made if stretch is None else made.stretched(stretch)
    own = bread.variances() * estimate.labels.least(estimate.counts / estimate.df.equation)
    free = own > 0.0
    ratio = np.sqrt(np.divide(made.variances(), own, out=np.ones(P), where=free))
    if estimate.model.restrictions is not None:
        return np.full(P, float(np.exp(np.mean(np.log(ratio[free])))))
    return ratio
