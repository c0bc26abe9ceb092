"""``LowRankSUR``: seemingly unrelated regressions with Sigma = F F' + D, or unrestricted."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from sm_alsgls.core.errors.words import FULL
from sm_alsgls.data.keywords import refuse
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.stream import FormulaStream
from sm_alsgls.models.base import read
from sm_alsgls.models.construction import Construction
from sm_alsgls.models.in_tiles import InTiles
from sm_alsgls.models.laws import AskedLaws, read_laws
from sm_alsgls.models.maximum_likelihood import MaximumLikelihood
from sm_alsgls.rank_choice.legal import resolve_law
from sm_alsgls.rank_choice.selector import is_rule


class LowRankSUR(Construction, InTiles, MaximumLikelihood):
    """Seemingly unrelated regressions whose error covariance is low rank plus diagonal.

    K equations on N rows,

        y_j = X_j beta_j + e_j,    e_n = (e_n1 .. e_nK)' ~ N(0, Sigma),    Sigma = F F' + D,

    with loadings F (K, r) and uniquenesses D = diag(d) > 0, estimated by maximum likelihood:
    GLS for beta alternates with factor analysis of the residuals for (F, d). The fit exists at
    any K, also K > N, where an unrestricted covariance is singular.

    Parameters
    ----------
    endog : array_like (N, K), DataFrame, mapping {equation: vector}, or iterator
        Responses. Equations are named by the columns or the keys, else y1, y2, ... An iterator
        yields chunks of rows, pairs (endog, exog), see `from_chunks`; ``exog`` is then not given.
        dask arrays chunked along rows, and dask DataFrames, are read in partitions, of which no
        rows are kept (docs/guide/dask.md).
    exog : array_like (N, p), list of K designs, or mapping {equation: design}
        Regressors. A single array is shared by all equations; designs may differ in their number
        of columns. No constant is added. A memory map (K, N, p) has those of K equations, which
        are then read a tile at a time: the model is a `ManySUR`, see `from_equations`. A dask
        array (K, N, p) has them on workers, as has any ``exog`` beside a dask ``endog`` that is
        chunked along equations: the model is a `DaskSUR`.
    rank : int, "full", "auto" or the name of a criterion
        Number of factors r. "full" leaves Sigma unrestricted, K (K + 1) / 2 parameters: the
        textbook's iterated SUR, for K < N - p (see the Notes). "auto" chooses it from the data,
        here and not in `fit`: the BIC of the factor structure of OLS residuals, among the ranks
        that N supports, so that intervals keep their level (`sm_alsgls.core.rank.default`);
        missing cells are no obstacle. 0 makes
        Sigma diagonal, so that the fit is OLS equation by equation. "bic_ols" (the same without
        the limit), "bic_robust" (that with rows weighted for heavy tails, where the number of
        factors is what you want to know), "aic_ols", "bic", "aic", "ebic", "ic1", "ic2", "ic3",
        "er", "gr", "ed", "lr" and "cv" choose as `sm_alsgls.select_rank` with its defaults does:
        criteria of OLS residuals (all but bic, aic, ebic, lr, cv) in about the time of one fit,
        the others in that of several. "rule" is max(1, min(8, ceil(K/10))), cut to the largest
        legal rank.
    missing : {"none", "drop", "raise", "fiml"}
        "drop" removes every row in which any equation misses a value. "fiml" (full-information
        maximum likelihood) leaves out only the cells (row, equation) that miss the response or a
        regressor, and maximises the likelihood of all the others; see the Notes. With "none" and
        "raise" a missing value is an error.
    weights : array_like (N,) or (N, K), Series, DataFrame or mapping {equation: vector}, optional
        Analytic weights of rows, or of cells: the error of a cell has variance sigma_jj / w. Only
        ratios matter: they are divided by their mean (of the rows; of the cells of each
        equation). 0 leaves the row or cell out. Labelled weights are aligned with the rows.
    common : list of str or True, optional
        Regressors that have one coefficient in all equations that have them, called as the
        regressor; True is every regressor that equations share. Factors are taken as independent
        of them, see the Notes.
    ar : {"common", "equation"}, optional
        Errors are first-order autoregressive, with one coefficient or one for each equation; rows
        are in the order of time, whose gaps are those of their labels where these are times.
    row_scale, cell_scale : array_like, DataFrame, or a formula "~ z" (`from_formula`), optional
        Variances are exp(z'delta) times those of a mean row (Harvey 1976): z of rows (N, m), or
        of cells, (N, K) or (N, K, m).
    spatial_error, spatial_lag : matrix, graph or frame of neighbours, optional
        Errors, or responses, reach neighbouring equations: e = lam W e + u, y = rho W y + X b + e.
        Any form that `sm_alsgls.border.neighbours` reads, aligned by the equations' names.
    standardize : bool
        Divide the weights of each equation's neighbours by their sum.

    Attributes
    ----------
    equations : list of str
        Equation names.
    neqs, nobs : int
        K and N.
    rank : int
        r.
    rank_method : str or None
        The rule behind it, "auto", "rule" or a criterion; None where it was given.
    rank_selection : RankSelection or None
        What it was chosen from; None where no data were looked at. Restrictions of
        `fit_constrained` come later: the rank is not chosen again.
    n_dropped : int
        Rows dropped for missing values, or for weights of zero; with "fiml", rows without a cell.
    counts : Series (K,)
        Rows N_j that each equation has.
    n_cells : int
        Cells in use, N K where nothing is missing.
    df_model : float
        Free parameters: coefficients and those of Sigma.
    data : ModelData
        What statsmodels looks names and rows up in; ``data.frame`` is what formulas were given.
    formula : str
        Of a model made from formulas: these.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, IllegalRankError
        All are ValueErrors; each names equation, column and row. Dependent columns, exactly
        fitted responses and twin equations are found, and raised, by `fit`, or here where the
        rank is chosen from the data.

    See Also
    --------
    from_formula : formulas and a DataFrame.
    from_chunks : data that do not fit into memory.
    from_system : pairs of response and design.
    from_equations : more equations than fit into memory.

    Notes
    -----
    The likelihood has many local maxima on real data (Anderson and Rubin 1956 for factor
    analysis alone); `fit` explores, and says how many of its starts ended where.

    **Factors and regressors.** Factors are errors, taken as independent of the regressors, as in
    random effects. Where they move together coefficients are biased: in Bai's (2009) design of 50
    equations and rows common ones by +.06, with 95 % intervals that cover 20 %, and own ones by
    +.16 (``benchmarks/checks.py``). See `LowRankSURResults.exogeneity_test`.

    **An unrestricted Sigma.** With rank="full" Sigma is any positive definite matrix. Two
    equations identify no factor, and three often end in a Heywood case; there, and for shares
    that add up to one, it is what to fit. Its ``sigma`` is an `Unrestricted`, and what is about
    factors raises UnrestrictedSigmaError. Standard errors use the covariance of OLS residuals
    with N - p_j degrees of freedom and Kenward and Roger's correction
    (`sm_alsgls.core.beta.estimated_unrestricted`): 95 % intervals cover .95 to .96 where the
    plug-in covers .75 to .90 (K=5, N=20; K=10, N=50). A RankWarning says when K is large for N,
    where a low rank is the better model.

    **Missing cells.** With "fiml" row n has the covariance Sigma_n = F_O F_O' + D_O of the
    equations O that it has, and the likelihood is exact where cells are missing at random: what
    is missing may depend on what is seen, also on other equations' responses, not on what is not
    (Little and Rubin 2002, chapter 6). Pairs of equations may never meet in a row. Where nothing
    is missing it is the complete-data fit. Where r + 1 equations that meet share so few rows that
    factors and coefficients fit them all, the likelihood has no bound but that of ``d_floor``,
    whose default is then 1e-2, and the summary names them.

    **Weights.** They are those of Stata's aweights and linearmodels: sqrt(w) times response and
    regressors have the covariance Sigma, that of a cell with w = 1, the mean. Integer weights
    give the coefficients of repeated rows of complete data; standard errors are of N rows, not
    of sum(w).

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> data = load_grunfeld()
    >>> model = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ... )
    >>> res = model.fit()
    >>> res.converged
    True
    >>> res.params[["General Motors_value", "US Steel_value"]].round(3).to_dict()
    {'General Motors_value': 0.107, 'US Steel_value': 0.149}
    """

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        rank: int | str = "auto",
        *,
        missing: str = "none",
        weights: Any = None,
        common: Iterable[str] | bool = False,
        ar: str | None = None,
        row_scale: Any = None,
        cell_scale: Any = None,
        spatial_error: Any = None,
        spatial_lag: Any = None,
        standardize: bool = True,
        _formula: FormulaSystem | FormulaStream | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(unknown, _of_constructor(), "LowRankSUR()")
        system = read(endog, exog, missing, weights)
        rule = rank if isinstance(rank, str) and is_rule(rank) else None
        groups = getattr(_formula, "groups", None)  # a stream has none
        law = resolve_law(0 if rule else rank, system, groups)
        asked = AskedLaws(ar, row_scale, cell_scale, spatial_error, spatial_lag, standardize)
        time = getattr(_formula, "time", None)
        laws = read_laws(asked, system, system.provenance, "equation", time=time)
        super().__init__(system, Parameters.of(system.labels, common), law, _formula, laws)
        self.rank_method = rank if isinstance(rank, str) and rank != FULL else None
        if rule:
            self._choose_rank(rule)


def _of_constructor() -> list[str]:
    """Keywords of the constructor."""
    parameters = inspect.signature(LowRankSUR.__init__).parameters
    return [name for name in parameters if name not in ("self", "_formula", "unknown")]
