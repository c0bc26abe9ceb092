"""``InteractivePanel``: slopes of a panel beside factors that may move with the regressors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from sm_alsgls.border.arguments import choice, count, flag, generator, number, starts
from sm_alsgls.core.interactive.climb import Climb
from sm_alsgls.core.interactive.corrected import corrected
from sm_alsgls.core.interactive.starts import CONSTRUCTED
from sm_alsgls.core.interactive.weights import Weights
from sm_alsgls.data.keywords import coefficients, guarded, keywords, refuse
from sm_alsgls.data.panel_cells import PanelCells, check_cells, effects_of
from sm_alsgls.models.cells import CellsPanel
from sm_alsgls.models.interactive_data import (
    correction_of,
    follows,
    own_of,
    read_arrays,
    refuse_others,
)
from sm_alsgls.models.interactive_doubts import warn
from sm_alsgls.models.interactive_made import results, rho_of
from sm_alsgls.models.of_formula import scope_of
from sm_alsgls.rank_choice.interactive import WORDS, check_rank, is_rule, select_interactive
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.results.interactive import InteractivePanelResultsWrapper
from sm_alsgls.results.interactive_covariance import choose_interactive
from sm_alsgls.results.progress import says

Array = np.ndarray


class InteractivePanel(CellsPanel):
    """A panel whose errors have factors that may move with the regressors: interactive effects.

    Units i, periods t,

        y_it = x_it' b + a_i + g_t + f_t' lambda_i + e_it,      var e_it = d_i,

    with slopes b, effects a and g, factors f and loadings lambda as parameters (Bai 2009). Nothing
    is assumed of how factors and loadings move with x, where ``factors="random"`` takes them as
    independent of it. It is what ``LowRankPanel(..., factors="fixed")`` makes.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
        The response, a row a pair (entity, time).
    exog : array_like (n, p), Series or DataFrame
        Regressors. A constant among them is left out: it is in the effects and factors.
    rank : int, "auto" or the name of a criterion
        Number of factors r. "auto" is "ed", Onatski's (2010) differences of eigenvalues; "ic1" to
        "ic3" and "pc1" to "pc3" are Bai and Ng's (2002) criteria, "er" and "gr" Ahn and
        Horenstein's (2013) ratios, all of the residuals of a fit with the most factors; "cv" is
        cross-validation by blocks of cells.
    entity, time : array_like (n,) or Series, optional
        Labels of units and periods; default the two levels of the data's index. A Series goes by
        its row labels, in any order.
    effects : {"entity", "time", "both"}, optional
        Additive effects beside the factors.
    heterogeneous : list of str, optional
        Regressors that are the same for all units, as a trend is: known factors, whose coefficients
        differ between units (``res.unit_slopes``).
    missing : {"fiml", "drop", "raise", "none"}
        "fiml" uses every cell that is there; "drop" removes a period in which any is missing; with
        the others that is an error.

    Attributes
    ----------
    factors : str
        "fixed".
    rank : int
    rank_method : str or None
        The rule behind it, None where it was given.
    rank_selection : RankSelection or None
    effects : str or None
    nobs, n_dropped : int
        Observed cells; periods that were left out.
    data, formula : CellsData, str or None
        What statsmodels looks names and rows up in; the formula, where there was one.

    Raises
    ------
    RankDeficientError
        A regressor that is constant over time, or over units, or otherwise of as few dimensions as
        the factors, has no slope beside them.
    InsufficientRowsError
        A unit has no more cells than loadings.
    IllegalRankError, OptionError, UnbalancedPanelError, ShapeError, NonFiniteError

    See Also
    --------
    from_formula : a formula and a long DataFrame.
    CCEPanel : averages over units in place of factors.

    Notes
    -----
    **Weights.** Bai's estimator takes all units for equally precise, and all cells for independent.
    `fit` weighs by 1/d_i, where error variances d_i are drawn towards one another, for with factors
    as parameters sum log d has no maximum (`core.interactive.variances`), and by the correlation
    of errors in time, for correlated errors look like factors (`core.interactive.correlated`).
    Standard errors rely on neither.

    **Bias.** With r (T + n) parameters slopes are biased by 1/T and 1/n; `fit` subtracts what
    Bai (2009) and Moon and Weidner (2017) have of it.

    References
    ----------
    Bai (2009), Econometrica 77; Moon and Weidner (2015), Econometrica 83, and (2017), Econometric
    Theory 33.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), rank=1, entity="firm", time="year",
    ...     effects="entity", factors="fixed",
    ... )
    >>> res = model.fit()
    >>> res.factors.shape, res.loadings.shape
    ((20, 1), (11, 1))
    """

    factors: ClassVar[str] = "fixed"

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        rank: int | str = "auto",
        *,
        entity: Any = None,
        time: Any = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] = (),
        missing: str = "fiml",
        **unknown: Any,
    ) -> None:
        own = own_of(heterogeneous, self.factors)
        refuse_others(unknown, keywords(InteractivePanel.__init__), "LowRankPanel()", self.factors)
        cells = read_arrays(endog, exog, entity, time, missing, own, self.factors)
        self._make(cells, rank=rank, effects=effects)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        rank: int | str = "auto",
        *,
        entity: str | None = None,
        time: str | None = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] = (),
        subset: Any = None,
        missing: str = "fiml",
        eval_env: int | Mapping[str, Any] = 0,
        _scope: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> Self:
        """Model from a formula and a long DataFrame.

        Parameters
        ----------
        formula : str
            One response, ``"y ~ x1 + x2"``. ``lag(x, k)``, ``lead(x, k)`` and ``diff(x, k)`` go by
            time within units; lags of the response are corrected for (`fit`).
        data : DataFrame
            A row a pair (entity, time).
        rank : int, "auto" or the name of a criterion
        entity, time : str, optional
            Columns, or levels of the index; default its two levels.
        effects, heterogeneous, missing
            See the constructor.
        subset : array_like, optional
            Rows of ``data`` to use, as ``data.loc[subset]``.
        eval_env : int or mapping
            Where names that are not columns are looked up.

        Raises
        ------
        FormulaError, UnbalancedPanelError, NonFiniteError
            And what the constructor raises.
        """
        return cls._from_formula(
            formula,
            data,
            entity=entity,
            time=time,
            subset=subset,
            missing=missing,
            scope=scope_of(eval_env, formula) if _scope is None else _scope,
            unknown=unknown,
            own=own_of(heterogeneous, cls.factors),
            rank=rank,
            effects=effects,
        )

    def _make(self, cells: PanelCells, *, rank: Any = "auto", effects: Any = None) -> None:
        self._read(cells, effects)
        known, panel = effects_of(cells, self.effects), cells.panel
        rule = is_rule(rank)
        check_cells(cells, self.effects, 1 if rule else check_rank(rank, panel, known))
        if rule:
            self.rank_selection = select_interactive(panel, known, rank)
            self.rank_method, rank = rank, int(self.rank_selection.rank)
            check_cells(cells, self.effects, rank)
        self.rank: int = int(rank)

    def _facts(self) -> list[str]:
        return [*super()._facts(), f"{self.rank} fixed factor{'s' * (self.rank != 1)}"]

    def select_rank(
        self,
        method: str = "auto",
        most: int | None = None,
        *,
        folds: int = 5,
        rng: np.random.Generator | int | None = None,
    ) -> RankSelection:
        """Criteria of every number of factors.

        Parameters
        ----------
        method : str
            "auto" or the name of a criterion, see ``rank``; "cv" is computed where asked for.
        most : int, optional
            The most factors; default 8, or a third of the shorter side.
        folds : int
            Of "cv".
        rng : numpy Generator or int, optional
            Of the folds; default a fixed seed.

        Returns
        -------
        RankSelection

        Raises
        ------
        OptionError, IllegalRankError
        """
        panel = self.cells.panel
        folds = count(folds, "folds", 2, min(panel.T, panel.n))
        most = None if most is None else count(most, "most", 1)
        return select_interactive(
            panel,
            effects_of(self.cells, self.effects),
            choice(method, "method", ("auto", *WORDS)),
            most=most,
            folds=folds,
            rng=generator(rng),
        )

    @says
    def fit(
        self,
        start_params: Any = None,
        *,
        weighted: bool = True,
        ar: float | str = "auto",
        bias: str | None = "analytic",
        serial: int = 0,
        predetermined: int | str = "auto",
        n_starts: int | str = "auto",
        rng: np.random.Generator | int | None = None,
        maxiter: int = 500,
        gtol: float = 1e-8,
        callback: Callable[[Climb], object] | None = None,
        progress: bool | None = None,
        cov_type: str = "cluster",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool = True,
        **unknown: Any,
    ) -> InteractivePanelResultsWrapper:
        """The least weighted sum of squares over slopes, effects, factors and loadings.

        Parameters
        ----------
        start_params : array_like (p,), optional
            Another start for the slopes, before all others.
        weighted : bool
            Weights by the errors' variances d_i and their correlation in time; False is Bai's
            (2009) estimator.
        ar : float or "auto"
            rho of errors e_it = rho e_i,t-1 + u_it, of all units the same. "auto" is that of the
            residuals where it is more than chance; it is 0 where cells are missing, where lags of
            the response are regressors, with ``predetermined`` above 0, and with
            ``weighted=False``.
        bias : {"analytic", "jackknife"} or None
            What is subtracted: the terms of Bai (2009) and Moon and Weidner (2017), or what fits
            of half the periods, and of half the units, say.
        serial : int
            Periods over which the analytic terms take errors to be correlated.
        predetermined : int or "auto"
            Periods over which the analytic terms let regressors follow errors; "auto" is
            4 (T / 100)^(2/9) where a regressor is a lag of the response, else 0.
        n_starts : int or "auto"
            Starts to run: least squares, within, common correlated effects, nuclear norm, more
            factors, then random ones, of which "auto" has two, or none in large panels; as many
            again, and what the first found, with a correlation in time. ``start_params`` count.
        rng : numpy Generator or int, optional
            Of random starts and the jackknife's halves; default a fixed seed.
        maxiter : int
            Most steps of a start, or rounds of missing cells.
        gtol : float
            Length of the last step, in standard errors.
        callback : callable, optional
            Gets the end of every start; a true value ends the starts.
        progress : bool, optional
            Whether to say how far it is: True with a bar from the start (needs tqdm), False never;
            by default after two seconds, where standard error is a terminal or a notebook.
        cov_type : {"cluster", "nonrobust", "HC2", "HAC"}
            "cluster" is robust to any variances and any correlation of a unit's errors in time
            (t of n - 1 degrees of freedom), or of a period's; "HC2" to any variances of errors
            that are independent, "HAC" to correlation over some lags as well.
        cov_kwds : mapping, optional
            ``maxlags`` of "HAC"; ``groups`` of "cluster", "entity" (default) or "time".
        use_t : bool
            t and F, or normal and chi2.

        Returns
        -------
        InteractivePanelResults

        Raises
        ------
        OptionError, UnknownArgumentError

        Warns
        -----
        ConvergenceWarning
        """
        refuse(unknown, keywords(InteractivePanel.fit))
        cells = self.cells
        panel = cells.panel
        sizes = panel.T, panel.n
        weighted, use_t = flag(weighted, "weighted"), flag(use_t, "use_t")
        chosen = choose_interactive(cov_type, cov_kwds, sizes)
        how = correction_of(cells, bias, serial, predetermined)
        limit, source = starts(n_starts), generator(rng) or np.random.default_rng(0)
        start = start_params
        if start is not None:
            start = coefficients(start, self.exog_names, "start_params")
        watch = guarded(callback, "a Climb", lambda climb: f"start {climb.label!r}")
        weights = Weights(weighted, rho_of(ar, weighted, follows(cells, how), panel))
        found = weights.fit(
            panel,
            effects_of(cells, self.effects),
            self.rank,
            n_random=None if limit is None else max(limit - CONSTRUCTED, 0),
            most=None if limit is None else limit - (start is not None),
            rng=source,
            beta=start,
            gtol=number(gtol, "gtol", least=1e-14, most=1.0, what="a number from 1e-14 to 1"),
            max_iter=count(maxiter, "maxiter"),
            callback=watch,
        )
        warn(found)
        made = corrected(found, how, rng=source)
        return results(self, found, made, how, weights, chosen, use_t, progress)
