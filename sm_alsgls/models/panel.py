"""``LowRankPanel``: pooled slopes of a panel whose errors are correlated across one dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, flag
from sm_alsgls.border.frames import table
from sm_alsgls.border.provenance import Provenance, snapshot
from sm_alsgls.core.errors.words import EXCHANGEABLE, FULL, SPHERICAL
from sm_alsgls.data.keywords import keywords, refuse
from sm_alsgls.data.panel_layout import PanelLayout, lay_out
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.weights import weights_of_data
from sm_alsgls.exceptions import FormulaError, OptionError
from sm_alsgls.formula.build import FormulaSystem, build_system
from sm_alsgls.formula.long import of_long, read_long
from sm_alsgls.models.base import read
from sm_alsgls.models.laws import AskedLaws
from sm_alsgls.models.maximum_likelihood import MaximumLikelihood
from sm_alsgls.models.of_formula import OfFormula, check_columns, provenance_of, scope_of
from sm_alsgls.models.panel_data import (
    as_columns,
    asked,
    complete,
    keys_of,
    laws_of,
    of_equations,
    of_two_variances,
    unmade,
    used_rows,
    which_rows,
    with_cells,
    with_own,
)
from sm_alsgls.models.panel_factors import RANDOM, ByFactors, model_of
from sm_alsgls.rank_choice.legal import resolve_law
from sm_alsgls.rank_choice.selector import is_rule
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.header import Header
from sm_alsgls.results.panel import LowRankPanelResults
from sm_alsgls.results.panel_header import PanelHeader
from sm_alsgls.results.sur import LowRankSURResults

_EFFECTS = ("entity", "time", "both")
_MISSING = ("fiml", "drop", "raise", "none")
# Of from_formula, and not of what another model is made with.
_NOT_PASSED = ("cls", "factors", "eval_env", "unknown")


class LowRankPanel(ByFactors, OfFormula, MaximumLikelihood):
    """A panel with pooled slopes, whose errors are low rank plus diagonal across one dimension.

    Units i, periods t,

        y_it = x_it' beta + z_it' beta_i + a_i + g_t + e_it,

    slopes beta common, those of ``heterogeneous`` regressors each unit's (or period's) own. Errors
    are independent over one dimension and have the covariance Sigma = F F' + D over the other, by
    maximum likelihood:

    * ``independent="time"``: periods are rows, units are equations, and Sigma is across units:
      macro panels, as Parks (1967) and xtgls with panels(correlated), also where units are more
      than periods and theirs is singular;
    * ``independent="entity"``: units are rows, periods are equations, and Sigma is across periods:
      micro panels. A random effect is a factor with equal loadings; any factor is one whose
      price changes over time.

    Default: units are independent where they are more than ten times the periods, else periods.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
        The response, a row a pair (entity, time).
    exog : array_like (n, p), Series or DataFrame
        Regressors. No constant is added.
    rank : int, "full", "exchangeable", "auto" or the name of a criterion
        As of `LowRankSUR`, and "exchangeable": Sigma = s_a 1 1' + s_u I, the classical random
        effect of a row, which is rank 1 with equal loadings and equal d
        (`LowRankPanelResults.random_effects_test` tests it); or "spherical": s_a = 0.
    entity, time : array_like (n,) or Series, optional
        Labels of units and periods; default the two levels of the data's index.
    independent : {"time", "entity"}, optional
    effects : {"entity", "time", "both"}, optional
        Effects that may move with the regressors. See the Notes.
    heterogeneous : list of str or True
        Regressors with a slope of each equation's own; True is all, the constant included.
        `LowRankPanelResults.mean_group` sums them up.
    mundlak : bool
        Add each regressor's mean over the periods of its unit (``mean_x``), which makes the other
        coefficients those of the within estimator where errors are exchangeable;
        `LowRankPanelResults.mundlak_test` tests them. For independent="entity".
    missing : {"fiml", "drop", "raise", "none"}
        "fiml" uses every cell that is there, by the exact likelihood; "drop" removes a row
        (period, or unit) in which any cell is missing or absent; with the others that is an error.
    weights : array_like (n,), optional
        Analytic weights of the cells: variances are sigma_jj / w, w over the mean of its equation;
        of rank="spherical" or "exchangeable", which have one variance for all, over that of all.
    ar : {"common", "entity"}, optional
        Errors are first-order autoregressive over time, with one coefficient or one for each unit,
        by the exact likelihood of the rows that are there, Prais and Winsten's first row with it.
        Of independent="time".
    row_scale, cell_scale : str, array_like, Series or DataFrame, optional
        Variances of rows (the same in every cell of one), or of cells, are exp(z'delta) times
        those of a mean one (Harvey 1976): columns of the data, their values, or a formula, "~ z".
    spatial_error, spatial_lag : matrix, graph or frame of neighbours, optional
        e = lam W e + u among units, and y = rho W y + X b + e. Any form that
        `sm_alsgls.border.neighbours` reads, aligned by the units' labels.
    standardize : bool
        Divide the weights of each unit's neighbours by their sum.
    factors : {"random", "fixed", "cce"}
        "random" ones are independent of the regressors, and in Sigma. "fixed" ones may move with
        them and are parameters, as in Bai (2009): the model is an `InteractivePanel`. "cce" puts
        averages over units in their place (Pesaran 2006): it is a `CCEPanel`.

    Attributes
    ----------
    layout : PanelLayout
        What is a row, an equation, an effect.
    equations, neqs, nobs, rank, rank_method, rank_selection, counts, n_cells, n_dropped
        As `LowRankSUR` has them.
    df_model : float
        Free parameters: coefficients and those of Sigma.
    data, formula : ModelData, str
        What statsmodels looks names and rows up in, and the formula, given ``data.frame``.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, IllegalRankError
    UnbalancedPanelError
        A pair (entity, time) is there twice; or, unless "fiml" or "drop", not at all.
    OptionError

    See Also
    --------
    from_formula : a formula and a long DataFrame.
    LowRankSUR : every coefficient its equation's own.

    Notes
    -----
    **Effects of the equations** (of entities with independent="time", of times with "entity") are
    constants of theirs: exact for unbalanced panels, and counted, one a unit, in the degrees of
    freedom.

    **Effects of the rows** would be a constant a row, N of them, and the likelihood of all has no
    maximum: an equation's error could be every row's effect. They are swept out, and the
    likelihood is that of what is left, forward orthogonal deviations of the K periods (Arellano
    and Bover 1995), K - 1 equations whose Sigma is low rank plus diagonal. At one variance for all
    (``rank="exchangeable"``) that is least squares within units; where cells are
    missing it, and it alone, sweeps levels out of those that are there. With independent="time"
    the deviations are of units, which have no order, and are refused but for "exchangeable",
    "spherical" and "full", which are the same in any: a factor of any loadings contains random
    effects of periods.

    **Coefficients of what does not vary within an equation** cannot be told from its constant by
    that equation, and a regressor must vary in each.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), entity="firm", time="year",
    ...     effects="entity", rank=0,
    ... )
    >>> model.layout.independent, model.neqs, model.nobs
    ('time', 11, 20)
    >>> res = model.fit()
    >>> res.params[["value", "capital"]].round(3).to_dict()
    {'value': 0.062, 'capital': 0.12}
    >>> res.effects.round(1)["IBM"]
    np.float64(17.0)
    """

    results_class: ClassVar[type[LowRankSURResults]] = LowRankPanelResults

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        rank: int | str = "auto",
        *,
        entity: Any = None,
        time: Any = None,
        independent: str | None = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] | bool = (),
        mundlak: bool = False,
        missing: str = "fiml",
        weights: Any = None,
        ar: str | None = None,
        row_scale: Any = None,
        cell_scale: Any = None,
        spatial_error: Any = None,
        spatial_lag: Any = None,
        standardize: bool = True,
        factors: str = RANDOM,
        _formula: FormulaSystem | None = None,
        _frame: pd.DataFrame | None = None,
        _weights: np.ndarray | None = None,
        **unknown: Any,
    ) -> None:
        refuse(unknown, keywords(LowRankPanel.__init__), "LowRankPanel()", "LowRankPanel")
        missing = choice(missing, "missing", _MISSING)
        effects = None if effects is None else choice(effects, "effects", _EFFECTS)
        mundlak, own = flag(mundlak, "mundlak"), asked(heterogeneous)
        if _formula is None:
            frame, entity, time, labelled = read_long(endog, exog, entity, time)
            independent = which_rows(independent, frame, entity, time)
            groups, rows = (entity, time) if independent == "time" else (time, entity)
            built = of_long(frame, groups, rows, missing in ("fiml", "drop"))
            source = Provenance(built.endog.index, built.rows, frame.index, labelled, time=rows)
            weights = weights_of_data(weights, source, list(built.endog))
        else:
            built, weights, source = _formula, _weights, provenance_of(_formula, _frame)
            own = as_columns(own, built)
        if independent == "entity":
            there = with_cells(built)
            if not there.all():  # the first ones of a formula with lags
                built = of_equations(built, there)
                source = replace(source, rows=np.asarray(source.rows)[there])
                if weights is not None and weights.ndim == 2:
                    weights = weights[:, there]
        endog_wide, designs, dropped = built.endog, list(built.exog), 0
        if missing == "drop":
            keep = complete(endog_wide, designs)
            dropped = int((~keep).sum())
            endog_wide, designs = endog_wide.loc[keep], [X.loc[keep] for X in designs]
            source = source.kept(np.flatnonzero(keep))
            weights = None if weights is None else weights[keep]
        wide = lay_out(
            endog_wide,
            designs,
            entity=str(entity),
            time=str(time),
            independent=str(independent),
            effects=effects,
            heterogeneous=own,
            mundlak=mundlak,
            ordered=not isinstance(rank, str) or rank not in (EXCHANGEABLE, SPHERICAL, FULL),
            alone=spatial_error is not None or spatial_lag is not None,
        )
        self.layout: PanelLayout = wide.layout
        self.rows_are_units = wide.layout.independent == "entity"
        self._response = built.specs[0].formula.partition("~")[0].strip() if built.specs else "y"
        if weights is not None and wide.layout.swept:
            raise OptionError(
                f"weights= do not go with effects={effects!r}, which are swept out: deviations of "
                "weighted errors are correlated"
            )
        holes = any(np.isnan(M.to_numpy()).any() for M in (wide.endog, *wide.exog))
        system = read(wide.endog, wide.exog, "fiml" if holes else "none", weights, rank)
        # Formulas make designs without means, and before deviations.
        plain = not wide.layout.mundlak and not wide.layout.swept and built.specs
        if (kept := system.provenance.rows) is not None:
            source = source.kept(kept)
        wanted = AskedLaws(ar, row_scale, cell_scale, spatial_error, spatial_lag, standardize)
        laws = laws_of(wanted, system, source, wide.layout)
        rule = rank if isinstance(rank, str) and is_rule(rank) else None
        law = of_two_variances(rank, wide.layout) or resolve_law(
            0 if rule else rank, system, built.groups
        )
        parameters = Parameters.of(system.labels, wide.common or False)
        super().__init__(system, parameters, law, built if plain else None, laws)
        self.n_dropped = system.n_dropped + built.n_dropped + dropped
        if not plain and built.specs:
            self.unmade = unmade(wide.layout)
        self._source = source
        self.rank_method = rank if isinstance(rank, str) and rank != FULL else None
        if rule:
            self._choose_rank(rule)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: pd.DataFrame,
        rank: int | str = "auto",
        *,
        entity: str | None = None,
        time: str | None = None,
        independent: str | None = None,
        effects: str | None = None,
        heterogeneous: Iterable[str] | bool = (),
        mundlak: bool = False,
        subset: Any = None,
        missing: str = "fiml",
        weights: Any = None,
        ar: str | None = None,
        row_scale: Any = None,
        cell_scale: Any = None,
        spatial_error: Any = None,
        spatial_lag: Any = None,
        standardize: bool = True,
        factors: str = RANDOM,
        eval_env: int | Mapping[str, Any] = 0,
        **unknown: Any,
    ) -> Self:
        """Model from a formula and a long DataFrame.

        Parameters
        ----------
        formula : str
            One response, ``"y ~ x1 + x2"``, whose constant is that of the formula. ``lag(x, k)``,
            ``lead(x, k)`` and ``diff(x, k)`` go by time within units, whatever is independent.
        data : DataFrame
            A row a pair (entity, time), of any library that `LowRankSUR.from_formula` reads.
        rank : int, "full", "auto" or the name of a criterion
        entity, time : str, optional
            Columns, or levels of the index; default its two levels.
        independent, effects, mundlak, missing, ar, spatial_error, spatial_lag, standardize, factors
            See the constructor.
        row_scale, cell_scale : str, array_like, Series or DataFrame, optional
            A formula, ``"~ z"``, columns, or values of the rows of ``data``. With names new data
            tell the scales of their rows; with values predictions of them are of mean scale.
        heterogeneous : list of str or True
            Terms of the formula, columns of the design, or of the data (they join the formula).
        subset : array_like, optional
            Rows of ``data`` to use, as ``data.loc[subset]``.
        weights : str, array_like or Series, optional
            A column of the data, or one weight for each of their rows.
        eval_env : int or mapping
            Where names that are not columns are looked up, as of `LowRankSUR.from_formula`.

        Raises
        ------
        FormulaError, UnbalancedPanelError, NonFiniteError
            And what the constructor raises.
        """
        given = {name: value for name, value in locals().items() if name not in _NOT_PASSED}
        if (other := model_of(factors)) is not None:
            scope = scope_of(eval_env, formula)
            return cast(Self, other.from_formula(**given, **unknown, _scope=scope))
        if unknown:
            refuse(unknown, keywords(cls.from_formula), "from_formula()", "LowRankPanel")
        said = [text for text in (row_scale, cell_scale) if isinstance(text, str)]
        scope = scope_of(eval_env, [formula, *said] if said else formula)
        missing = choice(missing, "missing", _MISSING)
        if not isinstance(formula, str):
            raise FormulaError(
                "the formula of a panel is one string, 'y ~ x1 + x2', for all of its units; "
                "LowRankSUR has systems of several formulas"
            )
        data = table(data)
        check_columns(entity=entity, time=time)
        entity, time = keys_of(data, entity, time)
        formula = with_own(formula, asked(heterogeneous), data)
        used = used_rows(data, subset)
        independent = which_rows(independent, used, entity, time)
        groups, rows = (entity, time) if independent == "time" else (time, entity)
        built = build_system(
            formula,
            data,
            groups=groups,
            time=rows,
            subset=subset,
            missing="fiml" if missing in ("fiml", "drop") else missing,
            scope=scope,
            units=independent == "entity",
        )
        frame = snapshot(data)
        wanted = AskedLaws(ar, row_scale, cell_scale, spatial_error, spatial_lag, standardize)
        wanted, scale = wanted.evaluated(frame, scope)
        source = provenance_of(built, frame)
        model = cls(
            None,
            None,
            rank,
            entity=entity,
            time=time,
            independent=independent,
            effects=effects,
            heterogeneous=heterogeneous,
            mundlak=mundlak,
            missing=missing,
            _formula=built,
            _frame=frame,
            **wanted._asdict(),
            _weights=weights_of_data(weights, source, list(built.endog)),
        )
        return cls._of(model, formula, frame, scale=scale, weights=weights)

    def _header(self) -> Callable[[Estimate], Header]:
        selection = self.rank_selection
        return PanelHeader(self.rank_method, selection.reason if selection else None, self.layout)

    @property
    def endog_names(self) -> str:
        """The response."""
        return self._response

    def remove_data(self) -> None:
        """Let go of the data, and of the means that effects are recovered by."""
        super().remove_data()
        self.layout = replace(self.layout, means=None)
