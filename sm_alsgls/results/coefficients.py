"""Standard errors, tests and intervals of the coefficients of a fitted system."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from sm_alsgls.alignment import by_coefficient
from sm_alsgls.arguments import level, optional_flag
from sm_alsgls.core.bootstrap import Replicate
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.bootstrap import BootstrapResults, bootstrap_results
from sm_alsgls.results.constraint_text import read_constraints
from sm_alsgls.results.covariance import ParameterCovariance, build, choose
from sm_alsgls.results.freedom import Freedom, left_to_test
from sm_alsgls.results.selection import combinations, positions, square_of, wald_arguments

# Coefficients whose whole covariance is made: 0.8 GB, and twice that on the way.
LARGEST = 10_000


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
            ``sigma_inference``, whose loadings are drawn in at small N (`core.loading_prior`),
            and with what the estimation of Sigma adds in closed form (`core.estimated_sigma`).
            "KH": the same with that addition exactly (Kackar and Harville 1984), at the cost of
            P x P arrays. "sandwich": Sigma as
            a working covariance. "HC0", "HC1": heteroscedasticity and any correlation within a
            row. "cluster": rows of a group are dependent. "HAC": rows are dependent over time
            (Driscoll and Kraay 1998).
        use_t : bool, optional
            t or normal quantiles; default as the fit.
        **cov_kwds
            groups: labels of rows, for "cluster", one or two variables: a column of the data by
            its name, a Series or DataFrame (aligned by label), or an array with the rows of the
            data (those that were dropped included) or of the system. Of a long panel the rows
            of the system are times, within which a label must not differ. maxlags, kernel
            ("bartlett", "parzen", "quadratic-spectral"): for "HAC"; the default number of lags
            is Newey and West's (1994). use_correction (True): small-sample factors
            N / (N - p_j - r), and G / (G - 1) for clusters. dof: "p+r" or, as linearmodels'
            ``debiased``, "p".

        Raises
        ------
        OptionError, ShapeError, NonFiniteError
        """
        use_t, rows = optional_flag(use_t, "use_t"), self.model._provenance
        choice = choose(cov_type, cov_kwds, self.debiased, rows, self._complete)
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
        # A two-way clustered variance can come out negative: no standard error then.
        variances = np.where(variances >= 0.0, variances, np.nan)
        return np.sqrt(np.where(self._fixed, 0.0, variances))

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
        return stats.t(np.repeat(self._df_t, self._p)) if self.use_t else stats.norm

    def _distribution_of(self, j: int) -> Any:
        return stats.t(self._df_t[j]) if self.use_t else stats.norm

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
        with ``pvalues``; one about several has the fewest among them.
        """
        R, q = read_constraints(r_matrix, self.model.exog_names)
        cov_p = square_of(self._ordered(cov_p, "cov_p", rows=True), R.shape[1], "cov_p")
        use_t = optional_flag(use_t, "use_t")
        tested = super().t_test((R, q), cov_p, use_t)
        if tested.distribution != "t" or (self._df_t == self._df_t[0]).all():
            return tested
        df = np.repeat(self._df_t, self._p)
        used = np.where(R != 0.0, df, np.inf).min(axis=1)
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

        Raises
        ------
        RestrictionError
            The restrictions leave nothing to test.
        """
        R, q = read_constraints(r_matrix, self.model.exog_names)
        cov_p, invcov = (self._ordered(V, "cov_p", rows=True) for V in (cov_p, invcov))
        given = wald_arguments(R, cov_p, invcov, use_f, df_constraints, scalar)
        if cov_p is None and invcov is None:
            R, q = left_to_test(self._freedom, R, q)
        return super().wald_test((R, q), *given)

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
