"""``SystemModel``: what every model of a system of equations is, whatever its errors follow."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModel

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.dask_inputs import chunked_along, partitions_of
from sm_alsgls.core.errors.law import Law
from sm_alsgls.core.errors.words import OF_ALL
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.joint_rows import JointRows
from sm_alsgls.data.cell_system import cell_system
from sm_alsgls.data.error_laws import ErrorLaws
from sm_alsgls.data.held_system import hold
from sm_alsgls.data.keywords import coefficients
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.new_weights import NewWeights
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.partitions import read_partitions
from sm_alsgls.data.problem import build_problem
from sm_alsgls.data.read import build_system
from sm_alsgls.data.restrictions import Restrictions
from sm_alsgls.data.stream import read_stream
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import MISSING
from sm_alsgls.exceptions import OptionError, ShapeError
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.stream import FormulaStream
from sm_alsgls.markup import listed
from sm_alsgls.models.labels import SystemAttributes, SystemData
from sm_alsgls.models.shown import facts, system_table
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.prediction import predict_rows
from sm_alsgls.results.shown import Listed

# Residuals of a start over the response: fourth powers of it must be floats.
_FAR = 1e70


def read(
    endog: Any, exog: Any, missing: str = "none", weights: Any = None, rank: Any = None
) -> System:
    """The checked system of what a user hands in, in any of the forms `LowRankSUR` documents.

    Where ``rank`` is that of one variance for all equations, weights are not scaled in each.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, OptionError
    """
    missing = choice(missing, "missing", MISSING)
    if isinstance(endog, Iterator):
        if weights is not None:
            raise OptionError(
                "weights do not go with a stream of chunks; multiply the responses and "
                "regressors of each chunk (the constant as well) by the roots of its weights"
            )
        if exog is not None:
            raise ShapeError(
                "endog is an iterator, whose chunks are pairs (endog, exog); give no exog beside it"
            )
        return read_stream(endog, missing)
    axis = chunked_along(endog, exog)
    if axis == "rows":
        return read_partitions(partitions_of(endog, exog), missing, weights)
    if axis == "equations":
        raise ShapeError(
            "endog is chunked along equations; rechunk it along rows, with "
            'endog.rechunk({0: "auto", 1: -1})'
        )
    if weights is None and missing != "fiml":
        return hold(build_system(endog, exog, missing))
    together = isinstance(rank, str) and rank in OF_ALL
    return hold(cell_system(endog, exog, missing, weights, together))


class SystemModel(Listed, SystemAttributes, LikelihoodModel):
    """Labelled equations on rows, coefficients, and the law of the errors.

    A model adds how it is made and how it is fitted: `_problem` is what a maximiser takes, and
    `sm_alsgls.results.maximised` makes an estimate of what comes back.

    Parameters
    ----------
    system : System
    parameters : Parameters
    law : Law
    formula : FormulaSystem or FormulaStream, optional
        What formulas make of new data.
    """

    _formula_max_endog = None
    # What results, rules for the rank and statsmodels' tables look up.
    _unlisted = frozenset(
        (
            "formula_system", "has_likelihood", "initialize", "k_constant", "labels", "law", "laws",
            "new_weights", "parameters", "provenance", "raw_system", "results_class",
            "rows_are_units", "system", "system_of_ranks", "unmade",
        )
    )  # fmt: skip
    #: Whether a likelihood is maximised, which some rules for the rank look at.
    has_likelihood = True
    #: Why new data do not become designs, where formulas made those of the model.
    unmade: str | None = None
    #: What errors follow beside Sigma.
    laws: ErrorLaws | None = None
    #: What makes weights of new data.
    new_weights: NewWeights | None = None
    #: Whether rows are units of a panel, and equations its periods.
    rows_are_units: bool = False

    def __init__(
        self,
        system: System,
        parameters: Parameters,
        law: Law,
        formula: FormulaSystem | FormulaStream | None = None,
    ) -> None:
        self._system, self._source = system, None
        self.n_dropped = system.n_dropped + (formula.n_dropped if formula else 0)
        self.parameters, self.labels, self.law = parameters, parameters.labels, law
        self.equations = list(system.names)
        self.formula_system = None if formula is None else formula.recipe()
        super().__init__(system)
        self.data.open(system)
        self.k_constant = 0
        self.nobs, self.neqs = system.nobs, len(system.names)
        self._counts, self.n_cells = system.cells.counts, system.cells.n_cells
        self._joint: dict[int, JointRows | None] = {}
        self._count()

    def _facts(self) -> list[str]:
        """What a prompt says of this."""
        rank = getattr(self, "rank", None)
        sigma = [] if rank is None else [f"r={rank}" if rank != "full" else "Sigma unrestricted"]
        return [f"N={self.nobs}", f"K={self.neqs}", *sigma, f"{self.labels.P} coefficients"]

    def __repr__(self) -> str:
        return facts(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        names = self.labels.params
        common = [names[i] for i in self.labels.common]
        notes = [f"One coefficient in several equations: {listed(common)}."] if common else []
        return system_table(repr(self), self.labels, self._counts.tolist(), notes)

    def _count(self) -> None:
        """The parameters counted are the free ones."""
        self.df_model = float(self.parameters.free + self.law.parameters(self.neqs))

    def _with(self, parameters: Parameters) -> Self:
        """The same model with other coefficients."""
        model = copy.copy(self)
        model.parameters, model.labels = parameters, parameters.labels
        model.data = self.data.renamed(parameters.labels)
        model._count()
        return model

    @property
    def restrictions(self) -> Restrictions | None:
        """Restrictions on the coefficients, of `fit_constrained`; common ones need none."""
        return self.parameters.restrictions

    def _handle_data(
        self, endog: System, exog: None, missing: str, hasconst: bool | None, **kwargs: Any
    ) -> SystemData:
        return SystemData(endog, self.labels)

    @property
    def system_of_ranks(self) -> System:
        """What a rank is chosen from."""
        return self.system

    # -- names statsmodels looks up --------------------------------------------------------

    @property
    def endog_names(self) -> str:
        """One name for tables that compare models; `equations` lists the responses."""
        return f"SUR of {self.neqs} equations" if self.neqs > 3 else ", ".join(self.equations)

    @property
    def exog_names(self) -> list[str]:
        """Names of the coefficients: ``equation_variable``, or the variable of a common one."""
        return self.labels.params

    @property
    def counts(self) -> pd.Series:
        """Rows N_j that each equation has (K,)."""
        return pd.Series(self._counts, index=self.equations, name="rows")

    # -- what a maximiser takes --------------------------------------------------------------

    def _problem(self, options: ALSOptions) -> Problem:
        """The rows, the design and the law of the errors, factorised.

        Raises
        ------
        RankDeficientError, DegenerateResponseError, DuplicateEquationError, SystemInputError
        """
        return build_problem(self.system, options, self.parameters, self.law.make)

    def raw_system(
        self, options: ALSOptions, laws: ErrorLaws | None, law: Law | None = None
    ) -> RawSystem:
        """The rows as they are, with laws of their errors at first values, and Sigma's law."""
        make = (self.law if law is None else law).make
        laws = ErrorLaws() if laws is None else laws
        return laws.raw(self.system, options, make, self.parameters.binding())

    def _joint_rows(self) -> JointRows | None:
        """Equations that share too few rows for the likelihood to have a bound; kept by rank."""
        meeting = min(self.law.meeting, max(self.neqs - 1, 0))
        if meeting not in self._joint:
            cells = self.system.cells
            self._joint[meeting] = cells.joint_rows(meeting, self.labels.p)
        return self._joint[meeting]

    def _first_start(self, problem: Problem, start_params: Any) -> Start | None:
        """Where a run from the caller's coefficients begins; None where there are none.

        Raises
        ------
        OptionError
            They do not fit the names, or lie too far off.
        """
        if start_params is None:
            return None
        names = self.exog_names
        beta = self.labels.by_equation(coefficients(start_params, names, "start_params"))
        with np.errstate(over="ignore", invalid="ignore"):
            gamma = problem.design.from_beta(beta)
            size = np.abs(problem.residuals(gamma)).max(axis=0)
        far = ~(size <= _FAR * np.abs(problem.Y).max(axis=0))
        if far.any():
            name = self.equations[int(np.flatnonzero(far)[0])]
            raise OptionError(
                f"start_params: fitted values of equation {name!r} are more than {_FAR:g} times "
                "its response; start nearer, or leave start_params out"
            )
        return Start("start_params", gamma=gamma)

    def without_restrictions(self) -> Self:
        """The same model with free coefficients, each equation with its own."""
        free = Labels.of_own(self.labels.equations, self.labels.regressors, self.labels.named)
        return self._with(Parameters.of(free))

    # -- prediction ------------------------------------------------------------------------

    def predict(
        self, params: Any, exog: Any = None, transform: bool = True, equations: Any = None
    ) -> pd.DataFrame | pd.Series:
        """Fitted values at any coefficients.

        Parameters
        ----------
        params : array_like (P,) or Series
            Coefficients in the order of ``exog_names``, or labelled by them.
        exog, transform, equations : optional
            As `LowRankSURResults.predict`, which takes the estimates.
        """
        beta = self.labels.by_equation(coefficients(params, self.exog_names, "params"))
        return predict_rows(beta, rows_of_system(self, exog, transform, equations))
