"""Tests across the equations of a system: a variable's coefficients, terms, nested systems."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.formula._manager import FormulaManager
from statsmodels.regression.linear_model import CompareLRTestResult
from statsmodels.stats.contrast import ContrastResults, WaldTestResults

from sm_alsgls.border.arguments import came, choice, flag, optional_flag
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    NotApplicableError,
    OptionError,
    ShapeError,
)
from sm_alsgls.results.grs import GRSTest, grs_test


class Hypotheses:
    """Mixin of `LowRankSURResults`."""

    def test_across(self, variable: str, null: str = "zero") -> ContrastResults:
        """Wald test of a variable's coefficients in all equations that contain it.

        Parameters
        ----------
        variable : str
            A column of the designs, such as "value", or a term of the formulas, such as
            "C(region)", whose columns are then tested together.
        null : {"zero", "equal"}
            All its coefficients are zero; or each column has one coefficient in all equations
            that contain it.

        Returns
        -------
        statsmodels ContrastResults
            F(m, `df_resid_inference`), or chi2(m) where ``use_t`` is False, for m restrictions.
            Only the covariance of the tested combinations is computed.

        Notes
        -----
        With m near N F errs on the safe side: at N=100 a true null is rejected by 5.7 % of 5 %
        tests at m=10, by 2.5 % at m=50 (K=m, 500 and 200 draws); chi2 rejects too often.

        Raises
        ------
        OptionError
            No equation has the variable (the message lists those there are), or only one has it
            and it is to be equal.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> model = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
        ... )
        >>> test = model.fit().test_across("value", null="equal")
        >>> round(float(test.fvalue), 3), test.df_num, test.df_denom
        (3.05, 10.0, 16.0)
        """
        return variable_test(self, variable, null)

    def wald_test_terms(
        self,
        skip_single: bool = False,
        extra_constraints: Sequence[tuple[str, Any]] | None = None,
        combine_terms: Sequence[str] | None = None,
        scalar: bool = True,
    ) -> WaldTestResults:
        """Wald tests that each term is zero in all equations that contain it.

        Parameters
        ----------
        skip_single : bool
            Leave out terms with one coefficient in the whole system.
        extra_constraints : list of (str, array_like (m, P)), optional
            More hypotheses, each with its name.
        combine_terms : list of str, optional
            For each, one more joint test of all terms whose name contains it.
        scalar : bool
            Statistics as numbers, or as (1, 1) arrays.

        Returns
        -------
        statsmodels WaldTestResults
            ``table`` has a row for each term of the formulas (each variable of a model without
            formulas) that restrictions do not fix, in order of first appearance, and columns
            statistic, pvalue, df_constraint and, where ``use_t``, df_denom.

        Raises
        ------
        OptionError
            An entry of ``combine_terms`` is in no term.
        """
        return wald_test_terms(self, skip_single, extra_constraints, combine_terms, scalar)

    def grs_test(self, variable: str | None = None, method: str = "auto") -> GRSTest:
        """Test that the constants of all equations are zero, of equations with equal regressors.

        Parameters
        ----------
        variable : str, optional
            Another coefficient of every equation; default the constant.
        method : {"auto", "exact", "factor"}
            "exact" takes the residuals' own covariance S = E'E / nu, nu = N - p:

                F = (nu - K + 1) / (nu K) a' S^-1 a / ((X'X)^-1)_aa  on  (K, nu - K + 1),

            exact for normal rows (Gibbons, Ross and Shanken 1989). It needs nu >= K, and little
            is left of its power near there. "factor" takes Sigma = F F' + D for S and needs no
            number of rows: F = a' Sigma^-1 a / (K ((X'X)^-1)_aa) on (K, N - p - r). "auto" is
            "exact" where that is possible.

        Returns
        -------
        GRSTest
            ``statistic``, ``pvalue``, ``df_num``, ``df_denom``, ``method``, ``alphas``, ``note``.

        Raises
        ------
        OptionError
            Regressors differ, cells are missing, coefficients are restricted, or there is no such
            variable.
        InsufficientRowsError
            "exact" with fewer than K degrees of freedom.

        References
        ----------
        Gibbons, Ross and Shanken (1989), Econometrica 57, 1121-1152.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankSUR
        >>> rng = np.random.default_rng(0)
        >>> X = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
        >>> Y = X[:, 1:] @ rng.standard_normal((3, 10)) + rng.standard_normal((60, 10))
        >>> test = LowRankSUR(Y, X, rank=0).fit().grs_test()
        >>> test.method, test.df_num, test.df_denom, round(test.pvalue, 3)
        ('exact', 10.0, 47.0, 0.201)
        """
        return grs_test(self, variable, method)

    def t_test_pairwise(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for systems: compares the levels of one factor, of which each equation has its own.

        Raises
        ------
        NotApplicableError
            Always; it names what to use.
        """
        raise NotApplicableError(
            "t_test_pairwise compares the levels of one factor in one equation, and a system has "
            "a coefficient for each in every equation. To compare a variable between equations: "
            'test_across(variable, null="equal"); two coefficients: t_test("a = b") with names '
            "from params.index; levels within an equation: "
            'equations[name].t_test("level1 = level2")'
        )

    def compare_lr(self, restricted: Any, debiased: bool | None = None) -> CompareLRTestResult:
        """Likelihood-ratio test of a smaller model, nested in this one.

            LR = 2 c (llf - llf_restricted) ~ chi2(df),    df the difference in parameters

        with c = 1, or where ``debiased`` c = mean_j (N - p_j - r) / N, the correction that
        standard errors and Wald tests have.

        Parameters
        ----------
        restricted : LowRankSURResults
            The fit of the smaller model: same responses, rows and rank; each of its designs
            within the span of this one's, or coefficients constrained.
        debiased : bool, optional
            Default: as the fit. False is the plain statistic of statsmodels.

        Returns
        -------
        statistic, pvalue, df_diff : float, float, int
            A named tuple, as that of statsmodels' ``RegressionResults.compare_lr_test``.

        Raises
        ------
        ShapeError, OptionError
            Other responses, ranks, ridges, more parameters, or regressors not nested.

        Warns
        -----
        ConvergenceWarning
            The restricted fit has the higher likelihood: this one missed its maximum.

        Notes
        -----
        Wilks (1938), Annals of Mathematical Statistics 9. c is Bartlett's idea (1937) with the
        Wald test's degrees of freedom, not his exact factor: at N=100, K=10 and 50, 3 and K
        restrictions, c LR rejects 3.3-6.7 % of true nulls at 5 %, LR 5-9 % (150-300 draws).
        Not robust to heteroskedastic or dependent rows, whatever ``cov_type``.
        """
        return compare_lr(self, restricted, debiased)


def columns_by_variable(results: Any) -> dict[str, np.ndarray]:
    """Positions in ``params`` of each column name, over the equations that have it."""
    found: dict[str, list[int]] = {}
    names = (name for columns in results.model._system.columns for name in columns)
    for position, name in enumerate(names):
        found.setdefault(name, []).append(position)
    return {name: np.array(at) for name, at in found.items()}


def columns_by_term(results: Any) -> dict[str, np.ndarray]:
    """Positions of each term of the formulas, all columns of a categorical together.

    Columns of a model without formulas are terms of their own.
    """
    formula = results.model.formula_system
    if formula is None:
        return columns_by_variable(results)
    found: dict[str, list[int]] = {}
    start = 0
    for spec, columns in zip(formula.specs, results.model._system.columns, strict=True):
        owner = _owners(spec)
        for i, column in enumerate(columns):
            found.setdefault(owner.get(column, column), []).append(start + i)
        start += len(columns)
    return {name: np.array(at) for name, at in found.items()}


def _owners(spec: Any) -> dict[str, str]:
    """The term that each column of an equation's design belongs to; formulaic's 1 is Intercept."""
    manager = FormulaManager(spec.engine)
    names = list(spec.rhs.column_names)
    return {
        column: "Intercept" if term == manager.intercept_term else manager.get_term_name(term)
        for term in spec.rhs.terms
        for column in names[manager.get_slice(spec.rhs, term)]
    }


def variable_test(results: Any, variable: str, null: str = "zero") -> ContrastResults:
    """See `Hypotheses.test_across`."""
    null = choice(null, "null", ("zero", "equal"))
    if not isinstance(variable, str):
        raise OptionError(f"variable must be the name of a regressor, got {came(variable)}")
    columns, terms = columns_by_variable(results), columns_by_term(results)
    if variable not in columns and variable not in terms:
        known = list(dict.fromkeys([*terms, *columns]))
        listed = ", ".join(repr(name) for name in known[:12]) + (", ..." if len(known) > 12 else "")
        raise OptionError(f"no equation has a variable {variable!r}; the system has {listed}")
    at = columns.get(variable, terms.get(variable))
    if null == "zero":
        return _zero_test(results, at)
    if variable in columns:
        parts = [at]
    else:
        inside = set(at.tolist())
        parts = [np.array(c) for c in columns.values() if inside.issuperset(c.tolist())]
    R = _contrasts(results, [part for part in parts if len(part) > 1])
    if not len(R):
        raise OptionError(
            f"only one equation has {variable!r}, so there is nothing it could be equal to; "
            "test null='zero'"
        )
    return results.wald_test(R, scalar=True)


def _selectors(results: Any, at: np.ndarray) -> np.ndarray:
    """Rows (m, P) that pick coefficients in units of their standard errors.

    The units leave the statistic alone, and keep `wald_test` from calling the covariance of
    equations in different units singular.
    """
    R = np.zeros((len(at), len(results.params)))
    R[np.arange(len(at)), at] = 1.0 / _units(np.asarray(results.bse)[at])
    return R


def _units(bse: np.ndarray) -> np.ndarray:
    """Standard errors, 1 where there is none: what restrictions fix has no units to remove."""
    return np.where(bse > 0.0, bse, 1.0)


def _contrasts(results: Any, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Rows that compare each coefficient of a part with the part's first."""
    rows = []
    bse = np.asarray(results.bse)
    for at in parts:
        R = np.zeros((len(at) - 1, len(results.params)))
        R[np.arange(len(at) - 1), at[1:]] = 1.0
        R[:, at[0]] = -1.0
        rows.append(R / _units(np.hypot(bse[at[1:]], bse[at[0]]))[:, None])
    return np.vstack(rows) if rows else np.empty((0, len(results.params)))


def _zero_test(results: Any, at: np.ndarray) -> ContrastResults:
    return results.wald_test(_selectors(results, at), scalar=True)


def wald_test_terms(
    results: Any,
    skip_single: bool = False,
    extra_constraints: Sequence[tuple[str, Any]] | None = None,
    combine_terms: Sequence[str] | None = None,
    scalar: bool = True,
) -> WaldTestResults:
    """See `Hypotheses.wald_test_terms`."""
    skip_single, scalar = flag(skip_single, "skip_single"), flag(scalar, "scalar")
    combined = [] if combine_terms is None else names_of(combine_terms, "combine_terms")
    terms = columns_by_term(results)
    tests = [
        (name, _selectors(results, at))
        for name, at in terms.items()
        if not (skip_single and len(at) == 1)
    ]
    for pattern in map(str, combined):
        matched = [at for name, at in terms.items() if pattern in name]
        if not matched:
            raise OptionError(
                f"combine_terms: no term contains {pattern!r}; the terms are "
                + ", ".join(repr(name) for name in list(terms)[:12])
            )
        tests.append((pattern, _selectors(results, np.concatenate(matched))))
    # A term that the restrictions of the fit fix has nothing to test.
    tests = [(name, R) for name, R in tests if len(results._freedom.independent(R))]
    tests += _extra(extra_constraints)
    rows = []
    for _, R in tests:
        wald = results.wald_test(R, scalar=scalar)
        row = [wald.statistic, wald.pvalue]
        if results.use_t:
            # Bonferroni's statistic has one degree of freedom, whatever the number of hypotheses.
            row += [int(getattr(wald, "n_hypotheses", wald.df_num)), wald.df_denom]
        else:
            row.append(int(wald.df_denom))
        rows.append(row)
    names = ["statistic", "pvalue", "df_constraint"] + ["df_denom"] * bool(results.use_t)
    table = pd.DataFrame(rows, index=[name for name, _ in tests], columns=names)
    table[["statistic", "pvalue"]] = table[["statistic", "pvalue"]].astype(
        float if scalar else object
    )
    return WaldTestResults(None, "F" if results.use_t else "chi2", None, table=table)


def _extra(constraints: Any) -> list[tuple[str, Any]]:
    """More hypotheses, each with its name."""
    if constraints is None:
        return []
    pairs = list(constraints) if isinstance(constraints, (list, tuple)) else [None]
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise OptionError(
                "extra_constraints must be a list of pairs (name, R), such as "
                f"[('slopes', R)]; got {came(constraints)}"
            )
    return [(name, R) for name, R in pairs]


def compare_lr(results: Any, restricted: Any, debiased: bool | None = None) -> CompareLRTestResult:
    """See `Hypotheses.compare_lr`."""
    debiased = optional_flag(debiased, "debiased")
    restricted = getattr(restricted, "_results", restricted)
    _check_nested(results, restricted)
    statistic = 2.0 * (results.llf - restricted.llf)
    df = round(results.df_model - restricted.df_model)
    if statistic < -1e-6 * max(1.0, abs(results.llf)):
        warnings.warn(
            f"the restricted fit has the higher log-likelihood ({restricted.llf:.6g} against "
            f"{results.llf:.6g}): the larger model stopped at a poorer local maximum; refit it "
            "with more n_starts, or with start_params from the restricted fit",
            ConvergenceWarning,
            stacklevel=4,
        )
    if results.debiased if debiased is None else debiased:
        statistic *= float(np.mean(results._df_equation)) / results.nobs
    return CompareLRTestResult(statistic, float(stats.chi2.sf(statistic, df)), df)


def _check_nested(full: Any, restricted: Any) -> None:
    for which, one in (("this", full), ("the restricted", restricted)):
        if not hasattr(one, "_problem"):
            raise OptionError(
                f"restricted must be the results of LowRankSUR.fit, got {type(one).__name__}"
            )
        options = one._problem.options
        if options.lam_F > 0.0 or options.lam_B > 0.0:
            raise OptionError(
                f"{which} fit has a ridge (lam_F={options.lam_F}, lam_B={options.lam_B}), so its "
                "likelihood is not the maximum a likelihood ratio needs; fit without"
            )
    if restricted.model._system is not full.model._system:
        _check_data(full.model, restricted.model)
    if restricted.rank != full.rank:
        raise OptionError(
            f"the fits have ranks {full.rank} and {restricted.rank}; fix rank= to compare "
            "coefficients, or test the rank with diagnostics.rank_test"
        )
    fewer = full.df_model - restricted.df_model
    if fewer <= 0:
        raise OptionError(
            f"the restricted model has {restricted.df_model:.0f} parameters, this one "
            f"{full.df_model:.0f}; call compare_lr on the larger of the two"
        )
    if restricted.model._system is not full.model._system:
        _check_regressors(full.model, restricted.model)


def _check_data(full: Any, restricted: Any) -> None:
    one, other = full.endog, restricted.endog
    # Shapes first: removed data say so when asked for theirs.
    if (
        one.shape != other.shape
        or restricted.equations != full.equations
        or not np.array_equal(one, other, equal_nan=True)
        or not _same_cells(full._system.cells, restricted._system.cells)
    ):
        raise ShapeError(
            "both fits must have the same responses, rows and order of equations; fit the "
            "restricted model to the same data (missing='drop' may have removed other rows, "
            "missing='fiml' other cells), with the same weights"
        )


def _same_cells(one: Any, other: Any) -> bool:
    """Whether two fits use the same cells with the same weights."""
    masks = one.mask, other.mask
    weights = one.weights, other.weights
    return all(
        (a is None) == (b is None) and (a is None or np.array_equal(a, b))
        for a, b in (masks, weights)
    )


def _check_regressors(full: Any, restricted: Any) -> None:
    for name, X, small in zip(full.equations, full.exog, restricted.exog, strict=True):
        seen = ~(np.isnan(X).any(axis=1) | np.isnan(small).any(axis=1))
        if X is not small and not _spans(X[seen], small[seen]):
            raise OptionError(
                f"not nested: equation {name!r} of the restricted model has a regressor that is "
                "no combination of this model's; their likelihoods are not comparable by a chi2"
            )


def _spans(X: np.ndarray, small: np.ndarray) -> bool:
    """Whether every column of ``small`` is a combination of X's, to 1e-8 of its length."""
    A, B = X / np.sqrt(np.square(X).sum(axis=0)), small / np.sqrt(np.square(small).sum(axis=0))
    Q = np.linalg.qr(A)[0]
    left = B - Q @ (Q.T @ B)
    return bool(np.sqrt(np.square(left).sum(axis=0)).max() < 1e-8)
