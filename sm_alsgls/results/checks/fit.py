"""Convergence, curvature, Heywood cases, designs, the rank, and what correlation factors leave."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.core.instruments.three_stage import ThreeStage
from sm_alsgls.core.residuals.correlation import robust_squares, sum_of_correlations, unit_columns
from sm_alsgls.core.residuals.residual_tests import condition_numbers, residual_correlations
from sm_alsgls.core.residuals.wild_signs import wild_pvalue
from sm_alsgls.exceptions import DataRemovedError, InsufficientRowsError, OptionError
from sm_alsgls.results.checks.check import Check, skipped, verdict
from sm_alsgls.results.checks.check import convergence as of_starts
from sm_alsgls.results.checks.report import listed
from sm_alsgls.results.criteria import curvature as lowest_curvature
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.exogeneity import exogeneity_test
from sm_alsgls.results.factors import communalities, factors, factors_left, last_factor

# Belsley, Kuh and Welsch (1980): beyond it a coefficient may be mostly its neighbours'.
_CONDITION = 30.0
# Share of an equation's error variance beyond which the factors nearly are that equation.
_NEAR_HEYWOOD = 0.99
_PAIRS = 10
# Equations up to which a diagonal Sigma is tested, and draws of that test.
_FEW, _REPS = 100, 199
EXOGENEITY = "factors and regressors"
DETERMINED = "equations that others determine"
NO_FACTORS = "there are no factors: Sigma is unrestricted"
PAIR = ["equation", "other", "correlation"]


def convergence(estimate: Estimate) -> Check:
    """Whether the maximum was found, and by how many starts; or whether moments were solved."""
    if estimate.moments is not None:
        return _solved(estimate.moments)
    fit = estimate.likelihood.retvals()
    return of_starts(
        max(fit["gradient_d"], fit["score_beta"]),
        fit,
        estimate.likelihood.converged,
        "likelihood",
        "raise max_sweeps, or doubt the rank",
    )


def _solved(found: ThreeStage) -> Check:
    """Whether the estimating equations were solved and, iterated, a fixed point was reached."""
    last = found.steps[-1].residual if found.steps else 0.0
    return Check(
        "convergence",
        last,
        np.nan,
        verdict(not found.converged),
        found.status,
        "not converged: raise maxiter, or take the two-step estimate",
    )


def curvature(estimate: Estimate) -> Check:
    """Whether it is a maximum."""
    if estimate.has_factors and estimate.rank == 0:
        return Check("curvature", np.nan, np.nan, "ok", "no factors, no other maximum", "")
    lowest = lowest_curvature(estimate)
    if lowest is None:
        return skipped("curvature", "Sigma is singular here")
    found = "a saddle: the likelihood rises along some direction"
    return Check(
        "curvature",
        lowest.lowest,
        np.nan,
        verdict(lowest.is_saddle),
        found if lowest.is_saddle else "no direction found in which the likelihood rises",
        "raise n_starts",
    )


def heywood(estimate: Estimate, equations: pd.DataFrame) -> list[Check]:
    """Equations that the factors reproduce."""
    if not estimate.has_factors:
        bad = equations.index[np.array(estimate.at_bound)]
        equations["determined"] = np.array(estimate.at_bound)
        found = f"{len(bad)} of {len(equations)} equations"
        found += f": {listed(bad)}" if len(bad) else ""
        advice = "Sigma is singular: leave an equation out, or fit with a low rank"
        return [
            Check(DETERMINED, float(len(bad)), np.nan, verdict(len(bad) > 0), found, advice),
            skipped("communalities", NO_FACTORS),
        ]
    share = communalities(estimate).to_numpy()
    on_bound = np.array(estimate.at_bound)
    equations["communality"], equations["heywood"] = share, on_bound
    names = equations.index
    near = (share > _NEAR_HEYWOOD) | on_bound
    least, middle, top = np.quantile(share, [0.0, 0.5, 1.0])
    found = f"{near.sum()} of {len(names)} equations above {_NEAR_HEYWOOD:g}"
    if near.any():
        found += f": {listed(names[near])}; {on_bound.sum()} on their bound"
    return [
        Check(
            "Heywood cases",
            float(near.sum()),
            np.nan,
            verdict(bool(near.any())),
            found,
            "the factors reproduce these equations' errors: lower the rank, or look for an "
            "equation that is nearly a combination of others",
        ),
        Check(
            "communalities",
            float(middle),
            np.nan,
            "ok",
            f"from {least:.2f} ({names[share.argmin()]!r}) to {top:.2f} "
            f"({names[share.argmax()]!r}), median {middle:.2f}",
            "",
        ),
    ]


def condition(estimate: Estimate, equations: pd.DataFrame) -> Check:
    """Designs whose columns move together."""
    values = condition_numbers(estimate.sample.problem.rows.blocks)
    equations.insert(0, "condition", values)
    bad = equations.index[values > _CONDITION]
    found = f"largest {values.max():.3g} ({equations.index[values.argmax()]!r})"
    if len(bad):
        found += f"; {len(bad)} of {len(values)} above {_CONDITION:g}: {listed(bad)}"
    return Check(
        "condition of designs",
        float(values.max()),
        np.nan,
        verdict(len(bad) > 0),
        found,
        "single coefficients are poorly determined: centre regressors, drop one of those that "
        "move together, or test combinations; fitted values and Sigma are not hurt",
    )


def rank(estimate: Estimate, alpha: float) -> list[Check]:
    """A factor too many, or too few."""
    if not estimate.has_factors:
        return [skipped(name, NO_FACTORS) for name in ("last factor", "factors left")]
    last = last_factor(estimate)
    spare = Check("last factor", np.nan, np.nan, "-", "there is none", "")
    if last is not None and np.isfinite(last.pvalue):
        spare = Check(
            "last factor",
            last.eigenvalue,
            np.nan,
            verdict(last.is_spare),
            f"eigenvalue {last.eigenvalue:.3g}; that of noise is {last.noise:.3g} or more half "
            "the time",
            "the rank is too high, which makes intervals too short: rank='auto'",
        )
    left = factors_left(estimate)
    if left is None:
        return [spare, Check("factors left", np.nan, np.nan, "-", "too few equations", "")]
    return [
        spare,
        Check(
            "factors left",
            left.root,
            left.pvalue,
            verdict(left.pvalue < alpha),
            f"largest eigenvalue that {estimate.rank} factors leave {left.root:.3g}; that of noise "
            f"is {left.noise:.3g} or more half the time (Tracy-Widom)",
            "the rank may be too low, or equations form groups: select_rank(model).table",
        ),
    ]


def left_over(estimate: Estimate, alpha: float) -> tuple[list[Check], pd.DataFrame]:
    """Correlation that the factors leave."""
    if not estimate.has_factors:
        return [skipped("residual correlation", NO_FACTORS)], pd.DataFrame(columns=PAIR)
    K, names = estimate.neqs, estimate.equations
    sigma, problem = estimate.sigma, estimate.sample.problem
    N = problem.n_obs
    if K < 2:
        check = Check("residual correlation", np.nan, np.nan, "-", "one equation", "")
        return [check], pd.DataFrame(columns=PAIR)
    sample, F = estimate.sample, factors(estimate).loadings
    E = sample.without_neighbours(sample.E)
    rms, at, values = residual_correlations(E, F, sigma.diag(), N, _PAIRS)
    pairs = pd.DataFrame(
        [(names[j], names[m], v) for (j, m), v in zip(at, values, strict=True)], columns=PAIR
    )
    # Pesaran's CD of what the factors leave.
    U = E - (sigma.solve(E) @ F) @ F.T
    scale = np.sqrt(2.0 * N / (K * (K - 1)))
    before = scale * sum_of_correlations(unit_columns(sample.without_neighbours(problem.E_ols)))
    after = scale * sum_of_correlations(unit_columns(U))
    first = pairs.iloc[0]
    called = "OLS" if estimate.moments is None else "2SLS"
    p, tested = np.nan, ""
    if estimate.rank == 0 and K <= _FEW:
        p = _uncorrelated(estimate)
        tested = f"; {_REPS} draws of uncorrelated errors (diagonality_test 'lm_robust')"
    found = (
        f"root mean square {rms:.3f}; worst {first.correlation:+.2f}, {first.equation!r} and "
        f"{first.other!r}. CD {before:.1f} of {called} residuals (N(0, 1) without correlation), "
        f"{after:.1f} of what the factors leave (no p-value: its law is another after factors, "
        "Juodis and Reese 2022)"
    )
    return [
        Check(
            "residual correlation",
            float(rms),
            p,
            verdict(abs(float(first.correlation)) > 0.5 or p < alpha),
            found + tested,
            "a pair above 0.5 shares what no factor carries: a regressor both lack, or a rank "
            "that is too low; at rank 0, GLS with a factor would be better",
        )
    ], pairs


def _uncorrelated(estimate: Estimate) -> float:
    """P-value of uncorrelated errors."""
    sample = estimate.sample
    try:
        Y = sample.responses
    except DataRemovedError:
        return np.nan
    design = sample.whole_design
    E = design.least_squares(Y)[1]
    return wild_pvalue(robust_squares, E, design, _REPS)[1]


def exogeneity(estimate: Estimate, alpha: float) -> Check:
    """Whether factors move with the regressors."""
    try:
        test = exogeneity_test(estimate)
    except (InsufficientRowsError, OptionError) as error:
        return skipped(EXOGENEITY, str(error).partition(",")[0])
    except DataRemovedError:
        return skipped(EXOGENEITY, "the rows were read in chunks and not kept")
    return Check(
        EXOGENEITY,
        test.statistic,
        test.pvalue,
        verdict(test.pvalue < alpha),
        f"score test of {test.alternative} (exogeneity_test)",
        "coefficients are biased where factors move with regressors: add the equations' means of "
        "the regressors to every equation (Pesaran 2006), or instrument them",
    )
