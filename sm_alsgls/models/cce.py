"""``CCEPanel``: slopes of a panel beside averages over units, which stand for its factors."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from sm_alsgls.border.arguments import choice, count, flag
from sm_alsgls.core.interactive.cce import cce, default_lags, half_panel
from sm_alsgls.core.interactive.corrected import lags_of_response as lags_of
from sm_alsgls.core.interactive.identified import unidentified
from sm_alsgls.data.keywords import keywords, refuse
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.panel_cells import PanelCells, effects_of, refuse_unidentified
from sm_alsgls.exceptions import InsufficientRowsError, OptionError
from sm_alsgls.models.cells import CellsPanel
from sm_alsgls.models.interactive_data import read_arrays, refuse_others
from sm_alsgls.models.of_formula import scope_of
from sm_alsgls.models.panel_data import asked
from sm_alsgls.results.cce import CCEPanelResults, CCEPanelResultsWrapper
from sm_alsgls.results.cce_estimate import CCEEstimate, build_cce, choose_cce


class CCEPanel(CellsPanel):
    """A panel whose factors are taken out with averages over units: common correlated effects.

    Units i, periods t,

        y_it = x_it' b_i + a_i + f_t' lambda_i + e_it.

    Averages over units of y and x, period by period, span what factors can do to them as units
    become many (Pesaran 2006), so that each unit's rows are taken beside a constant and these
    averages. No factor is counted; at most 1 + p may matter. It is what
    ``LowRankPanel(..., factors="cce")`` makes.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
        The response, a row a pair (entity, time).
    exog : array_like (n, p), Series or DataFrame
        Regressors. A constant among them is left out: each unit has its own.
    rank : "auto"
        There is no number of factors to give.
    entity, time : array_like (n,) or Series, optional
        Labels of units and periods; default the two levels of the data's index. A Series goes by
        its row labels, in any order.
    effects : {"entity"}, optional
        Units have constants in any case; averages stand for effects of periods.
    heterogeneous : bool or list of str
        False pools the slopes; True is the mean group estimator, the mean of the units' own. Names
        are of regressors that are the same for all units, as a trend is, and whose coefficients
        differ between units, while slopes are pooled; of True these are found. Averages may move
        with them, and share their coefficients, which results do not have.
    missing : {"fiml", "drop", "raise", "none"}
        "fiml" uses every cell that is there; "drop" removes a period in which any is missing; with
        the others that is an error.

    Attributes
    ----------
    factors : str
        "cce".
    rank_method, rank_selection : None
        There is no number of factors.
    heterogeneous : bool
        Whether slopes are the mean of units' own; False where series were named.
    effects : str
    nobs, n_dropped : int
        Observed cells; periods that were left out.
    data, formula : CellsData, str or None
        What statsmodels looks names and rows up in; the formula, where there was one.

    Raises
    ------
    RankDeficientError
        A regressor that is constant over time, or over units, has no slope.
    OptionError, UnbalancedPanelError, ShapeError, NonFiniteError

    See Also
    --------
    from_formula : a formula and a long DataFrame.
    InteractivePanel : factors as parameters.

    References
    ----------
    Pesaran (2006), Econometrica 74; Chudik and Pesaran (2015), Journal of Econometrics 188.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), entity="firm", time="year",
    ...     factors="cce", heterogeneous=True,
    ... ).fit()
    >>> res.slopes.shape
    (11, 2)
    """

    factors: ClassVar[str] = "cce"

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        rank: str = "auto",
        *,
        entity: Any = None,
        time: Any = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] | bool = False,
        missing: str = "fiml",
        **unknown: Any,
    ) -> None:
        refuse_others(unknown, keywords(CCEPanel.__init__), "LowRankPanel()", self.factors)
        whole, own = _own(heterogeneous)
        cells = read_arrays(endog, exog, entity, time, missing, own, self.factors)
        self._make(cells, rank=rank, effects=effects, heterogeneous=whole)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        rank: str = "auto",
        *,
        entity: str | None = None,
        time: str | None = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] | bool = False,
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
            time within units; with lags of the response `fit` adds lags of the averages.
        data : DataFrame
            A row a pair (entity, time).
        rank : "auto"
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
        whole, own = _own(heterogeneous)
        return cls._from_formula(
            formula,
            data,
            entity=entity,
            time=time,
            subset=subset,
            missing=missing,
            scope=scope_of(eval_env, formula) if _scope is None else _scope,
            unknown=unknown,
            own=own,
            rank=rank,
            effects=effects,
            heterogeneous=whole,
        )

    def _make(
        self,
        cells: PanelCells,
        *,
        rank: Any = "auto",
        effects: Any = None,
        heterogeneous: bool = False,
    ) -> None:
        if not (isinstance(rank, str) and rank == "auto"):
            raise OptionError(
                f"rank={rank!r} with factors='cce': averages of the response and of each regressor "
                "stand for the factors, whose number is not asked for; leave it out"
            )
        self.heterogeneous: bool = heterogeneous
        if effects is not None:
            choice(
                effects,
                "effects",
                ("entity",),
                said=" with factors='cce', whose averages over units stand for effects of periods",
            )
        self._read(cells, "entity")
        both = effects_of(cells, "both")
        refuse_unidentified(
            cells, unidentified(cells.panel, both, 0), "averages over units and effects of units"
        )

    def _facts(self) -> list[str]:
        kind = "mean group" if self.heterogeneous else "pooled"
        return [*super()._facts(), f"common correlated effects, {kind}"]

    def fit(
        self,
        *,
        lags: int | str = "auto",
        bias: str | None = None,
        cov_type: str = "nonparametric",
        use_t: bool = True,
        **unknown: Any,
    ) -> CCEPanelResultsWrapper:
        """Least squares beside the averages, in closed form.

        Parameters
        ----------
        lags : int or "auto"
            Lags of the averages; as many periods are lost. "auto" is the whole part of T^1/3 where
            a regressor is a lag of the response (Chudik and Pesaran 2015), else 0.
        bias : {"jackknife"} or None
            The half-panel jackknife, for the bias of order 1/T that lags of the response have.
        cov_type : {"nonparametric"}
            Pesaran's (2006): of how slopes differ between units, which holds where they do not
            as well. It allows for any variances, and any correlation within units.
        use_t : bool
            t with n - 1 degrees of freedom, and F; or normal and chi2.

        Returns
        -------
        CCEPanelResults

        Raises
        ------
        OptionError, UnknownArgumentError, InsufficientRowsError
        """
        refuse(unknown, keywords(CCEPanel.fit))
        cells, use_t = self.cells, flag(use_t, "use_t")
        panel = cells.panel
        T, n, p = panel.T, panel.n, panel.p
        bias = None if bias is None else choice(bias, "bias", ("jackknife",), said=" or None")
        lagged, L = len(lags_of(panel.Y, panel.X, cells.seen)), effects_of(cells, "entity").L
        if isinstance(lags, str) and lags == "auto":
            lags = default_lags(T) if lagged else 0
        lags = count(lags, "lags", 0, T - 1, " (or 'auto')")
        # An average of a lag is a lag of an average.
        columns = L.shape[1] + (1 + p) * (1 + lags) - lagged * lags
        _check_periods(T - lags if bias is None else (T - lags) // 2, columns, p, bias)
        found = cce(panel, L, lags=lags)
        known = n - int(found.singular.sum())
        if known < 2:
            raise InsufficientRowsError(
                f"of {n} units {known} tell their slopes beside {found.averages.shape[1]} averages "
                "and constants: leave regressors or lags out"
            )
        params = found.mean_group if self.heterogeneous else found.pooled
        if bias is not None:
            params = half_panel(panel, L, lags=lags)[int(self.heterogeneous)]
        model = copy.copy(self)
        model.data = copy.copy(self.data)
        nobs = int(found.used.sum())
        estimate = CCEEstimate(
            model=model,
            labels=Labels.of_one(self.endog_names, self.exog_names),
            params=params,
            nobs=nobs,
            df_model=float(n * found.averages.shape[1] + (n * p if self.heterogeneous else p)),
            choice=choose_cce(cov_type, float(known - 1)),
            use_t=use_t,
            covariances=build_cce,
            cells=cells,
            fit=found,
            corrected=bias,
            sizes=(T, n),
        )
        return CCEPanelResultsWrapper(CCEPanelResults(model, estimate))


def _own(heterogeneous: Any) -> tuple[bool, list[str] | bool]:
    """Whether all slopes are units' own, and which series are."""
    own = asked(heterogeneous)
    return (own, own) if isinstance(own, bool) else (False, own)


def _check_periods(left: int, columns: int, p: int, bias: str | None) -> None:
    if left <= columns + 1:
        which = "half of the panel (bias='jackknife') has" if bias else "there are"
        raise InsufficientRowsError(
            f"{which} {left} periods beside those that lags take, and each unit a constant, "
            f"{columns - 1} averages and {p} slopes: leave regressors or lags= out"
        )
