"""Likelihood-ratio, Wald and score tests of the restrictions of a restricted fit."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.core.laws.estimated import ML
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.restrictions import Restrictions
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.beside_laws import BesideLaws
from sm_alsgls.results.estimate import Estimate, estimate_of
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.likelihood_model import LikelihoodModel
from sm_alsgls.results.nested import compare_lr
from sm_alsgls.results.parameter_covariance import ParameterCovariance


def restriction_tests(restricted: Estimate, unrestricted: object = None) -> pd.DataFrame:
    """Three tests that the restrictions of `fit_constrained`, or of ``common=``, hold.

    LR compares the maxima (`compare_lr`), Wald asks at the unrestricted estimate how far it is
    from obeying, and the score test (Rao 1948) how steep the likelihood is at the restricted
    one: u' V u with u = [X_j' w_j]_j, W = E Sigma^-1, and V = (X' Sigma^-1 X)^-1 at the
    restricted estimates. Where the fit is debiased, Sigma is scaled as for standard errors and
    Wald and score are F tests.

    Parameters
    ----------
    unrestricted : LowRankSURResults, optional
        Of the same data without restrictions; fitted when not given.

    Returns
    -------
    DataFrame
        Rows LR, Wald, score; columns statistic, df, df_denom (NaN for chi2), pvalue.

    Raises
    ------
    OptionError
        Without restrictions there is nothing to test; or ``unrestricted`` shares coefficients
        between equations, as panels and ``common=`` do: that is tested as well.
    """
    # Who has a likelihood has a model that can be fitted again.
    model = cast(LikelihoodModel, restricted.model)
    if model.restrictions is None and restricted.labels.own:
        raise OptionError("the fit has no restrictions; use fit_constrained or common=")
    if unrestricted is None:
        # As the restricted one was, laws of the errors with it.
        options = {} if restricted.laws is None else {"reml": restricted.laws.how != ML}
        free = model.without_restrictions().fit(debiased=restricted.debiased, **options).estimate
    else:
        found = estimate_of(unrestricted)
        if found is None:
            raise OptionError(
                "unrestricted must be the results of LowRankSUR.fit, got "
                f"{type(unrestricted).__name__}"
            )
        free = found
    R, q = of_free_coefficients(restricted.labels, model.restrictions)
    m = len(q)
    if not free.labels.own:
        raise OptionError(
            f"unrestricted: its equations share {len(free.labels.common)} of its "
            f"{free.labels.P} coefficients, as the restricted fit's do, and these tests are of all "
            "restrictions, that one too; leave it out, and the unpooled model is fitted, or pass "
            "results that share none. What fit_constrained adds alone is tested by "
            "unrestricted.wald_test and unrestricted.compare_lr(restricted)"
        )
    if free.labels.P != R.shape[1]:
        raise OptionError(
            f"unrestricted has {free.labels.P} coefficients where the equations have "
            f"{R.shape[1]}; pass results of the same equations and regressors, or leave it out"
        )
    lr, lr_pvalue, lr_df = compare_lr(free, restricted)
    wald = wald_test(free, (R, q), use_f=False, scalar=True).statistic
    sigma = restricted.sigma.scaled(restricted.df.correction)
    if restricted.laws is None:
        everything = model.without_restrictions()
        u = everything.score(restricted.labels.split(restricted.params), sigma)
        V = free.sample.problem.covariance(sigma)
        score = float(u @ V.times(u[None, :])[:, 0])
    else:
        score = _score_beside_laws(restricted, free)
    df = restricted.df.fewest
    rows = {"LR": (lr, lr_df, np.nan, lr_pvalue)}
    for name, statistic in (("Wald", float(wald)), ("score", score)):
        if restricted.use_t:
            rows[name] = (statistic / m, m, df, stats.f.sf(statistic / m, m, df))
        else:
            rows[name] = (statistic, m, np.nan, stats.chi2.sf(statistic, m))
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["statistic", "df", "df_denom", "pvalue"]
    )


def _score_beside_laws(restricted: Estimate, free: Estimate) -> float:
    """u' V u on what filters leave at the restricted fit's values of the laws' parameters.

    With a spatial lag V has what estimating its coefficient adds: it is no orthogonal one.
    """
    sigma = restricted.row_sigma.scaled(restricted.df.correction)
    raw = restricted.sample.raw
    problem = replace(raw, binding=None).problem(compress=False)
    E = problem.residuals(problem.design.from_beta(list(restricted.beta)))
    W = problem.observed(sigma).solve(E)
    blocks = raw.filter.blocks(raw.raw)
    u = np.concatenate([X.T @ W[:, j] for j, X in enumerate(blocks)])
    V: ParameterCovariance = problem.covariance(sigma)
    laws = free.laws
    if laws is not None and laws.slopes is not None and np.isfinite(laws.cov).all():
        V = BesideLaws(V, laws.slopes, laws.cov, free.labels)
    return float(V.combinations(u[None, :])[0, 0])


def of_free_coefficients(
    labels: Labels, restrictions: Restrictions | None
) -> tuple[np.ndarray, np.ndarray]:
    """R and q of all that binds the coefficients that each equation would have alone."""
    R = labels.equalities()
    q = np.zeros(len(R))
    if restrictions is None:
        return R, q
    more = labels.of_free(restrictions.R)
    return np.vstack([more, R]), np.concatenate([restrictions.q, q])
