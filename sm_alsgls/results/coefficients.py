"""Standard errors, tests and intervals of the coefficients of a fitted system."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from sm_alsgls.border.alignment import by_coefficient
from sm_alsgls.border.arguments import level, optional_flag
from sm_alsgls.border.labels import shown
from sm_alsgls.core.maximise.bootstrap import Replicate
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.exceptions import CovarianceWarning, DataRemovedError, OptionError
from sm_alsgls.results.bootstrap import BootstrapResults, bootstrap_results
from sm_alsgls.results.covariance import ParameterCovariance, build, check_fitted, choose
from sm_alsgls.results.freedom import Freedom, left_to_test
from sm_alsgls.results.joint import check_hypotheses, joint_test
from sm_alsgls.results.nlcom import NonlinearCombinations, nlcom
from sm_alsgls.results.selection import combinations, positions, square_of, wald_arguments

# Coefficients whose whole covariance is made: 0.8 GB, and twice that on the way.
LARGEST = 10_000


def listed_names(names: np.ndarray) -> str:
    """The first of some coefficients' names."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown(name) for name in names[:5]) + more


class Coefficients(LikelihoodModelResults):
    """What `LowRankSURResults` says of ``params``, whatever the ``cov_type``."""

    @cached_property
    def _covariance(self) -> ParameterCovariance:
        return build(self, self._choice)

    @property
    def normalized_cov_params(self) -> ParameterCovariance:
        """An operator, not an array: statsmodels only asks whether there is one."""
        return self._covariance

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """statsmodels' constructor sets None."""

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, **cov_kwds: Any
    ) -> Any:
        """The same estimates with other standard errors, without refitting.

        Parameters
        ----------
        cov_type : str
            "nonrobust": Sigma correctly specified; where the fit is debiased, at
            ``sigma_inference``, whose loadings are drawn in at small N (`loading_prior`),
            and with what the estimation of Sigma adds in closed form (`core.beta.estimated_sigma`).
            "KH": the same with that addition exactly (Kackar and Harville 1984), at the cost of
            P x P arrays. "sandwich": Sigma as
            a working covariance. "HC0" to "HC3": heteroscedasticity and any correlation within a
            row. "cluster": rows of a group are dependent. "HAC": rows are dependent over time
            (Driscoll and Kraay 1998). "pcse": least squares (rank=0) with the residuals' own
            covariance between equations (Beck and Katz 1995).
        use_t : bool, optional
            t or normal quantiles; default as the fit.
        **cov_kwds
            groups: labels of rows, for "cluster", one or two variables: a column of the data by its
            name, a Series or DataFrame (aligned by label), or an array with the rows of the data
            (those that were dropped included) or of the system. Of a long panel the rows of the
            system are times, within which a label must not differ. maxlags, kernel ("bartlett",
            "parzen", "quadratic-spectral"): for "HAC"; the default number of lags is Newey and
            West's (1994). kernel="cosine" with terms (default .4 N^(2/3)) is for short series: t
            and F have as many degrees of freedom as terms. use_correction (True): small-sample
            factors N / (N - p_j - r), for "HAC". correction, for "cluster": "CR2" (default; Bell
            and McCaffrey), "CR0", "CR1" (with G / (G - 1)) or "CR3"; use_correction=True is "CR1",
            False "CR0". dof: "p+r" or, as linearmodels' ``debiased``, "p".

        Raises
        ------
        OptionError, ShapeError, NonFiniteError
        """
        use_t, rows = optional_flag(use_t, "use_t"), self.model._provenance
        choice = choose(cov_type, cov_kwds, self.debiased, rows, self._complete)
        check_fitted(self, choice)
        return self._again(choice, self.use_t if use_t is None else use_t)

    @property
    def _plain_bse(self) -> np.ndarray:
        """Roots of the diagonal of H^-1, whatever ``cov_type`` is: what the bootstrap divides by.

        The correction for estimating Sigma, nearly the same in every replicate, cancels there.
        """
        sigma = self.sigma.scaled(self._df_correction)
        return np.sqrt(self._problem.covariance(sigma).variances())

    def bootstrap(
        self,
        reps: int = 999,
        method: str = "parametric",
        *,
        rng: np.random.Generator | int | None = None,
        n_jobs: int = 1,
        block_length: int | None = None,
        statistic: Callable[[Replicate], Any] | None = None,
        progress: bool = False,
    ) -> BootstrapResults:
        """Refit everything to data made like these, from the fit's own maximum.

        Parameters
        ----------
        reps : int
        method : {"parametric", "residual", "wild", "block"}
            Errors drawn from N(0, Sigma); residual rows drawn, multiplied by random signs, or
            drawn in blocks of ``block_length`` consecutive rows (default N^(1/3)). Whole rows:
            correlation between equations is kept. Regressors are fixed.
        rng : numpy Generator or int, optional
            Default: a fixed seed.
        n_jobs : int
            Processes; the answer is the same for any number.
        statistic : callable, optional
            Evaluated on each `Replicate` (params, bse, sigma, nll); picklable if n_jobs > 1.
        progress : bool
            A progress bar (needs tqdm).

        Returns
        -------
        BootstrapResults
            std_errors, conf_int (percentile-t), pvalues, and every replicate.
        """
        return bootstrap_results(self, reps, method, rng, n_jobs, block_length, statistic, progress)

    @cached_property
    def bse(self) -> np.ndarray:
        """Standard errors (P,); only the diagonal blocks of the covariance are computed."""
        variances = self._covariance.variances()
        self._doubt_variances()
        return np.sqrt(np.where(self._fixed, 0.0, variances))

    def _doubt_variances(self) -> None:
        """Say which standard errors small groups leave nothing of."""
        covariance, names = self._covariance, np.array(self.model.exog_names, dtype=object)
        lost = getattr(covariance, "lost", None) if self.use_t else None
        if lost is not None and (lost & ~self._fixed).any():
            at = lost & ~self._fixed
            warnings.warn(
                f"single rows or groups alone determine {listed_names(names[at])}: their robust "
                "variance cannot be told, and is far too small; use other standard errors for them",
                CovarianceWarning,
                stacklevel=4,
            )
        negative = getattr(covariance, "negative", None)
        if negative is not None and negative.any():
            warnings.warn(
                "the two-way clustered variance V_a + V_b - V_ab is not positive for "
                f"{listed_names(names[negative])}; the larger of V_a and V_b stands for it",
                CovarianceWarning,
                stacklevel=4,
            )

    @cached_property
    def _freedom(self) -> Freedom:
        restrictions = self.model.restrictions
        return Freedom(None if restrictions is None else restrictions.R)

    @cached_property
    def _fixed(self) -> np.ndarray:
        """Which coefficients the restrictions give a number (P,)."""
        return self._freedom.fixed_coefficients(len(self.params))

    @cached_property
    def tvalues(self) -> np.ndarray:
        """Coefficients over their standard errors (P,); NaN where a restriction fixes one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.bse > 0.0, self.params / self.bse, np.nan)

    @cached_property
    def pvalues(self) -> np.ndarray:
        """Two-sided p-values (P,), t(N - p_j - r) or normal."""
        return 2.0 * self._distribution().sf(np.abs(self.tvalues))

    @property
    def _df_correction(self) -> np.ndarray:
        """Root of N / (N - p_j - r) where the fit is debiased, else 1 (K,)."""
        if not self.debiased:
            return np.ones(self.neqs)
        return np.sqrt(self._counts / self._df_equation)

    def _distribution(self) -> Any:
        return stats.t(self._df_coefficients) if self.use_t else stats.norm

    def _distribution_of(self, j: int) -> Any:
        if not self.use_t:
            return stats.norm
        return stats.t(self._df_coefficients[self._stop[j] - self._p[j] : self._stop[j]])

    @property
    def _robust(self) -> bool:
        """Whether joint tests have a small-sample law of their own in every equation."""
        return self._choice.power is not None or self.cov_type in ("sandwich", "HAC", "pcse")

    @cached_property
    def _df_coefficients(self) -> np.ndarray:
        """Degrees of freedom of each t statistic (P,).

        Rows and clusters: Satterthwaite's, of each coefficient; otherwise of its equation.
        """
        if self._choice.power is None:
            return np.repeat(self._df_t, self._p).astype(float)
        if self.bse.size:  # says what is wrong with the variances first
            return self._covariance.coefficient_df()  # type: ignore[attr-defined, no-any-return]
        return np.empty(0)

    @property
    def _df_of_equations(self) -> np.ndarray:
        """The fewest degrees of freedom among each equation's coefficients (K,)."""
        return np.minimum.reduceat(self._df_coefficients, self._stop - self._p)

    def _df_of(self, R: np.ndarray) -> np.ndarray:
        """Degrees of freedom of t tests of the combinations R beta, (m,).

        The fewest among the coefficients, except Satterthwaite's of a combination.
        """
        fewest = np.where(R != 0.0, self._df_coefficients, np.inf).min(axis=1)
        if self._choice.power is None or (np.count_nonzero(R, axis=1) == 1).all():
            return fewest
        if not hasattr(self._covariance, "df"):
            raise DataRemovedError(
                f"the degrees of freedom of a combination with cov_type={self.cov_type!r} need the "
                "data; test before remove_data(), or single coefficients, or with use_t=False"
            )
        return self._covariance.df(R)  # type: ignore[no-any-return]

    def _columns(self, name: str) -> slice:
        """Where the coefficients of an equation sit in ``params``."""
        j = self._position[name]
        return slice(int(self._stop[j] - self._p[j]), int(self._stop[j]))

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self.model.equations)}

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None) -> Any:
        """t tests of linear hypotheses, as in statsmodels.

        A hypothesis about one equation has that equation's degrees of freedom, so that it agrees
        with ``pvalues``; one about several has the fewest among them. Under "HC0" to "HC3" and
        "cluster" every hypothesis has Satterthwaite's degrees of freedom of its own.
        """
        R, q = read_constraints(r_matrix, self.model.exog_names)
        cov_p = square_of(self._ordered(cov_p, "cov_p", rows=True), R.shape[1], "cov_p")
        use_t = optional_flag(use_t, "use_t")
        tested = super().t_test((R, q), cov_p, use_t)
        if tested.distribution != "t" or (
            self._choice.power is None and (self._df_t == self._df_t[0]).all()
        ):
            return tested
        used = self._df_of(R)
        used = used[0] if (used == used[0]).all() else used
        return ContrastResults(effect=tested.effect, t=tested.tvalue, sd=tested.sd, df_denom=used)

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
    ) -> Any:
        """Joint Wald test of linear hypotheses, as in statsmodels; F where ``use_t``.

        What the restrictions of a fit fix is not tested, nor what follows under them from other
        hypotheses; degrees of freedom count the rest.

        F tests with q restrictions depend on the covariance (`results.joint`): "nonrobust" and
        "KH" divide by q, and across equations where residuals are still correlated after the
        factors take the residuals' own covariance; "sandwich" and "HAC" are scaled as Hotelling's
        T2; "HC0" to "HC3" and "cluster" are the approximate Hotelling test of Pustejovsky and
        Tipton (2018). Where those have too few degrees of freedom, the p-value is Bonferroni's of
        the q t tests. The result's ``method`` and ``note`` say which.

        Raises
        ------
        RestrictionError
            The restrictions leave nothing to test; a hypothesis is about no coefficient; or
            hypotheses contradict each other.
        InsufficientRowsError
            "HAC" with more hypotheses than degrees of freedom.

        Warns
        -----
        ValueWarning
            Hypotheses follow from others; those are left out.
        """
        R, q = read_constraints(r_matrix, self.model.exog_names)
        check_hypotheses(R, q)
        cov_p, invcov = (self._ordered(V, "cov_p", rows=True) for V in (cov_p, invcov))
        given = wald_arguments(R, cov_p, invcov, use_f, df_constraints, scalar)
        if cov_p is None and invcov is None:
            R, q = left_to_test(self._freedom, R, q)
            by_f, df, scalar = given[2:]
            if (self.use_t if by_f is None else by_f) and df is None:
                return joint_test(self, R, q, scalar)
        return super().wald_test((R, q), *given)

    def nlcom(self, functions: Any) -> NonlinearCombinations:
        """Functions of coefficients (ratios, elasticities) by the delta method.

        Parameters
        ----------
        functions : str, callable, list or mapping
            ``"IBM_value / IBM_capital"``: numbers, names of coefficients (in backticks where they
            hold operators), ``+ - * / **``, parentheses, log, exp, sqrt. Or a callable of the
            coefficients, a Series by name (complex in complex steps), which returns one or
            several numbers. Several in a list, or in a mapping from their labels.

        Returns
        -------
        NonlinearCombinations
            ``estimate``, ``bse``, ``cov``, ``conf_int()``, ``pvalues``, ``test(value)``,
            ``summary_frame()``; with the covariance, t or normal quantiles and degrees of freedom
            that these results have.

        Raises
        ------
        OptionError
            Unreadable text or an unknown name.
        NonFiniteError
            The function, or its gradient, is not finite at the estimates.

        Notes
        -----
        Formulas are in `sm_alsgls.results.nlcom`. An interval of a ratio whose denominator is not
        many standard errors from zero is rough; `BootstrapResults.nlcom` has percentile ones.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
        ... ).fit()
        >>> ratio = res.nlcom({"IBM": "IBM_value / IBM_capital"})
        >>> bool(ratio.estimate["IBM"] == res.params["IBM_value"] / res.params["IBM_capital"])
        True
        """
        return nlcom(self, functions)

    def delta_method(self, functions: Any) -> NonlinearCombinations:
        """Another name of `nlcom`."""
        return nlcom(self, functions)

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> np.ndarray:
        """Confidence intervals (P, 2) of level 1 - ``alpha``.

        ``cols`` selects coefficients, by names or positions.
        """
        alpha = level(alpha)
        half = self._distribution().ppf(1.0 - alpha / 2.0) * self.bse
        interval = np.column_stack([self.params - half, self.params + half])
        return (
            interval if cols is None else interval[positions(cols, self.model.exog_names, "cols")]
        )

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> np.ndarray:
        """Covariance of the coefficients, or of combinations of them.

        Parameters
        ----------
        r_matrix : array_like (m, P), optional
            Combinations; only their covariance is computed.
        column : str, int or list of either, optional
            Coefficients, by names or positions; only their block is computed.
        scale, cov_p : optional
            A factor, and another (P, P) covariance to use, as in statsmodels.
        other : array_like (q, P), optional
            Second set of combinations.
        """
        P = len(self.params)
        r_matrix, other = self._ordered(r_matrix, "r_matrix"), self._ordered(other, "other")
        cov_p = self._ordered(cov_p, "cov_p", rows=True)
        r_matrix, other, scale = combinations(P, r_matrix, column, scale, other)
        if cov_p is not None:
            at = None if column is None else positions(column, self.model.exog_names, "column")
            given = square_of(cov_p, P, "cov_p")
            return super().cov_params(r_matrix, at, scale, given, other)
        factor = 1.0 if scale is None else scale
        if column is not None:
            at = positions(column, self.model.exog_names, "column")
            picked = np.zeros((at.size, len(self.params)))
            picked[np.arange(at.size), at] = 1.0
            block = factor * self._of_combinations(picked)
            return block[0, 0] if at.ndim == 0 else block
        if r_matrix is None:
            if P > LARGEST:
                raise OptionError(
                    f"the covariance of {P} coefficients is a {P} x {P} matrix, "
                    f"{8e-9 * P * P:.1f} GB; it is made up to {LARGEST} only. Without it: bse and "
                    "conf_int() of all, equations[name].cov_params() of an equation, "
                    "cov_params(column=[names]) of some coefficients, cov_params(r_matrix=R) of "
                    "combinations"
                )
            V = factor * self._covariance.dense()
            V[self._fixed] = V[:, self._fixed] = 0.0
            return V
        rows = r_matrix
        second = None if other is None else np.atleast_2d(other)
        V = factor * self._of_combinations(np.atleast_2d(rows), second)
        return V[0, 0] if rows.ndim == 1 and second is None else V

    def _ordered(self, value: Any, argument: str, rows: bool = False) -> Any:
        """What is labelled by coefficients in their order; see `by_coefficient`."""
        return by_coefficient(value, self.model.exog_names, argument, OptionError, rows)

    def _of_combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other' with zeros, not rounding errors, for what restrictions fix."""
        V = self._covariance.combinations(R, other)
        fixed = self._freedom.fixed(R)
        V[fixed] = 0.0
        V[:, fixed if other is None else self._freedom.fixed(other)] = 0.0
        return V
