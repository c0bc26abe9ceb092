"""``ManySURResults``: estimates of very many equations, which are read in tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from statsmodels.iolib.smpickle import save_pickle

from sm_alsgls.border.arguments import flag, optional_flag, path
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.markup import shown_of, table
from sm_alsgls.progress import asking
from sm_alsgls.results.loading import Loadable
from sm_alsgls.results.many import covariance, predict, summary, tables
from sm_alsgls.results.many.columns import EquationColumns
from sm_alsgls.results.many.equation import ManyEquationResults
from sm_alsgls.results.many.estimate import ManyEstimate
from sm_alsgls.results.many.familiar import FamiliarMany
from sm_alsgls.results.many.found import ManyFit
from sm_alsgls.results.shown import Shown, one_line
from sm_alsgls.results.summary_text import SystemSummary

_ACROSS = (
    "{name} is about coefficients of several equations, whose covariances are not computed of "
    "equations in tiles: each would take the iterations of a fit; within one equation "
    "equations[name].{inner}() has it"
)


class ManySURResults(ManyFit, FamiliarMany, Loadable, Shown):
    """Results of `LowRankSUR` for equations that are read in tiles.

    What has a number for each coefficient is a Series labelled by (equation, variable); what has
    one for each cell, ``resid``, ``fittedvalues`` and predictions, is computed a tile at a time
    when it is asked for. Standard errors are computed when the first is, by a few passes over the
    data and 1.6 N^2 P r (r + 1) floating-point operations.

    Parameters
    ----------
    model : ManySUR
    estimate : ManyEstimate
    """

    _unlisted = frozenset(("columns", "estimate", "t_test", "wald_test", "f_test", "test_across"))

    def __init__(self, model: Any, estimate: ManyEstimate) -> None:
        self.model, self.estimate = model, estimate

    def __repr__(self) -> str:
        estimate = self.estimate
        facts = [f"N={estimate.nobs}", f"K={estimate.neqs}", f"r={estimate.rank}"]
        facts.append(f"llf={estimate.llf:.4f}")
        facts.append("converged" if self.converged else "NOT CONVERGED")
        return one_line("ManySURResults", facts)

    # -- standard errors -------------------------------------------------------------------

    @property
    def bse(self) -> pd.Series:
        """Standard errors (P,); computed once, by passes over the data."""
        return self._labelled(covariance.bse(self.estimate))

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over their standard errors (P,)."""
        return self._labelled(self.estimate.params / covariance.bse(self.estimate))

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values (P,), of t or normal."""
        t = np.abs(self.estimate.params / covariance.bse(self.estimate))
        return self._labelled(2.0 * covariance.law(self.estimate).sf(t))

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals (P, 2) of level 1 - ``alpha``, labelled by (equation, variable)."""
        return tables.conf_int(self.estimate, alpha)

    def cov_params(self, equation: str | None = None) -> pd.DataFrame:
        """Covariance (p_j, p_j) of the coefficients of one equation.

        Parameters
        ----------
        equation : str

        Raises
        ------
        UnknownEquationError
        NotApplicableError
            No equation is named: of coefficients of several equations there is none.
        """
        if equation is None:
            raise NotApplicableError(_ACROSS.format(name="cov_params()", inner="cov_params"))
        return self.equations[equation].cov_params()

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, **cov_kwds: Any
    ) -> ManySURResults:
        """The same estimates with other standard errors, without refitting.

        Parameters
        ----------
        cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"}
            As those of `LowRankSURResults.get_robustcov_results`; clusters have one grouping.
        use_t : bool, optional
            t or normal quantiles; default as the fit.
        **cov_kwds
            groups, correction, maxlags, kernel, terms, use_correction, dof.

        Raises
        ------
        OptionError, ShapeError, NonFiniteError, NotApplicableError
        """
        use_t, estimate = optional_flag(use_t, "use_t"), self.estimate
        rows = Provenance(estimate.rows, labelled=estimate.labelled)
        choice = covariance.choice_of(cov_type, cov_kwds, estimate.df.debiased, rows)
        again = estimate.with_covariance(choice, estimate.use_t if use_t is None else use_t)
        return type(self)(self.model, again)

    def t_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Of one equation: ``equations[name].t_test``; across equations NotApplicableError."""
        raise NotApplicableError(_ACROSS.format(name="t_test", inner="t_test"))

    def wald_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Of one equation: ``equations[name].wald_test``; across equations NotApplicableError."""
        raise NotApplicableError(_ACROSS.format(name="wald_test", inner="wald_test"))

    def f_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Of one equation: ``equations[name].f_test``; across equations NotApplicableError."""
        raise NotApplicableError(_ACROSS.format(name="f_test", inner="f_test"))

    def test_across(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not of equations in tiles: NotApplicableError."""
        raise NotApplicableError(_ACROSS.format(name="test_across", inner="wald_test"))

    @cached_property
    def equations(self) -> Mapping[str, ManyEquationResults]:
        """``equations[name]``: the results of one equation."""
        return _Equations(self)

    # -- rows ------------------------------------------------------------------------------

    @property
    def resid(self) -> EquationColumns:
        """Residuals y - X beta (N, K), made a tile at a time."""
        return self.columns("residuals")

    @property
    def fittedvalues(self) -> EquationColumns:
        """Fitted values X beta (N, K), made a tile at a time."""
        return self.columns("fitted values")

    def columns(self, what: str) -> EquationColumns:
        """A tile at a time, "residuals" or "fitted values", whatever form the system gives."""
        return predict.of_rows(self.estimate, what)

    @property
    def factor_scores(self) -> pd.DataFrame:
        """Posterior means E Sigma^-1 F of the factors (N, r): a pass over the data."""
        columns = [f"factor{i}" for i in range(1, self.rank + 1)]
        made = predict.factor_scores(self.estimate)
        return pd.DataFrame(made, index=self.estimate.rows, columns=columns)

    def predict(self, exog: Any = None) -> EquationColumns:
        """Fitted values of new rows, made a tile at a time.

        Parameters
        ----------
        exog : array (K, M, p), memory map of it, or chunks of (m, M, p), optional
            Regressors of all equations in M new rows, in the order of the fit's. Chunks are what
            `LowRankSUR.from_equations` takes, without responses. Default: the rows of the fit.

        Returns
        -------
        EquationColumns
            (M, K).

        Raises
        ------
        ShapeError, OptionError
        """
        if exog is None:
            return self.fittedvalues
        return predict.predicted(self.estimate, exog)

    # -- tables ----------------------------------------------------------------------------

    def summary(
        self, title: str | None = None, alpha: float = 0.05, *, equations: Any = None
    ) -> SystemSummary:
        """Tables of the system and of some equations.

        Parameters
        ----------
        title : str, optional
        alpha : float
            Level of the intervals.
        equations : list of str, optional
            Equations whose coefficients to print. Default: all up to 20; beyond, how each
            variable's coefficients are spread over the equations, and lines of the ten equations
            that fit best and of the ten that fit worst.
        """
        with asking(self.estimate.progress):
            return summary.summary(self, title, alpha, equations=equations)

    def tidy(
        self,
        conf_int: bool = True,
        alpha: float = 0.05,
        style: str = "plain",
        backend: str = "pandas",
        *,
        path: Any = None,
    ) -> Any:
        """One row per coefficient, as a frame, or in a file that is written in pieces.

        Parameters
        ----------
        conf_int : bool
            With the interval of level 1 - ``alpha``.
        alpha : float
        style : {"plain", "broom"}
            "broom" names the columns as R's broom does.
        backend : {"pandas", "polars"}
            Whose frame it is.
        path : str or Path, optional
            Of a file, .csv or .parquet (which needs pyarrow); None is then returned.
        """
        return tables.tidy(self.estimate, conf_int, alpha, style, backend, path=path)

    def glance(self, style: str = "plain", backend: str = "pandas") -> Any:
        """One row for the whole fit, with the columns of `LowRankSURResults.glance`."""
        return tables.glance(self.estimate, style, backend)

    # -- the data --------------------------------------------------------------------------

    def remove_data(self) -> None:
        """Let go of the data; standard errors are computed before."""
        if self.estimate.held.there:
            covariance.variances(self.estimate)
            covariance.coefficient_df(self.estimate)
            self.estimate = replace(self.estimate, rows=pd.RangeIndex(self.nobs), labelled=False)
        self.model.remove_data()

    def save(self, fname: Any, remove_data: bool = False) -> None:
        """Save a pickle of these results, always without the data.

        Opening a pickle runs code that it holds: keep the file where only those whom you trust
        write.

        Parameters
        ----------
        fname : str, path or file
        remove_data : bool
            Compute standard errors, and let go of the data here as well. Otherwise the pickle has
            them where they were asked for before.
        """
        path(fname, "fname", "write")
        if flag(remove_data, "remove_data"):
            self.remove_data()
        save_pickle(self, fname)


class _Equations(Mapping[str, ManyEquationResults]):
    """The equations by name, each view made when asked for."""

    def __init__(self, results: ManySURResults) -> None:
        self._results = results

    def __getitem__(self, name: Any) -> ManyEquationResults:
        return ManyEquationResults(self._results, self._results.estimate.labels.position(name))

    def __iter__(self) -> Iterator[str]:
        labels = self._results.estimate.labels
        return (labels.name(j) for j in range(labels.K))

    def __len__(self) -> int:
        return self._results.estimate.labels.K

    def __repr__(self) -> str:
        labels = self._results.estimate.labels
        return f"<{labels.K} equations: {labels.name(0)} .. {labels.name(labels.K - 1)}>"

    def _repr_html_(self) -> str:
        estimate = self._results.estimate
        rows = [
            [estimate.labels.name(j), f"{estimate.labels.p[j]}", f"{estimate.rsquared[j]:.3f}"]
            for j in shown_of(estimate.neqs)
        ]
        return table(repr(self), ["equation", "coefficients", "R-squared"], rows)
