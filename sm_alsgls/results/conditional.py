"""Predictions given what is known of the other equations in the same row.

With e_n = y_n - X_n beta ~ N(0, Sigma) and O the equations, other than j, whose response is known,

    E[y_nj | y_nO]   = x_nj' beta_j + w' e_nO,      w = Sigma_OO^-1 Sigma_Oj
    Var[y_nj | y_nO] = sigma_jj - w' Sigma_Oj       = v_nj

from the row's factors, filtered from what is seen (`covariance.observed`). The estimated mean
is linear in beta, with gradient g: x_nj in the coefficients of equation j, -w_l x_nl in those of
l in O. So its variance is g' V g, and that of the response about it v_nj + g' V g. Sigma is taken
as known.

A weighted row has sqrt(weight) e_nj in place of e_nj; a cell without a weight counts as 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name, nameless, rows_by_label
from sm_alsgls.border.arguments import flag
from sm_alsgls.border.frames import table, to_pandas
from sm_alsgls.border.labels import shown
from sm_alsgls.border.numbers import numbers
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError
from sm_alsgls.formula.build import replay_responses
from sm_alsgls.results.new_rows import NewRows, Piece, rows_of_system, select
from sm_alsgls.results.prediction import SystemPrediction, frozen

# Coefficients up to which V is made whole, and elements of gradients at a time.
_DENSE, _CHUNK = 4_000, 2**22


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalPrediction(SystemPrediction):
    """A `SystemPrediction` given the other equations' responses in the row.

    ``predicted_mean`` is E[y_nj | y_nO], ``se_mean`` what estimating the coefficients adds,
    ``var_resid`` Var[y_nj | y_nO] (times N_j / (N_j - p_j - r) where the results are debiased),
    ``se_obs`` the standard error of the response.
    """

    def cov_mean(self, row: Any) -> NoReturn:
        """Not of conditional means.

        Raises
        ------
        OptionError
            Always.
        """
        raise OptionError(
            "cov_mean is of unconditional means: what one equation's mean is given another is "
            "for each cell by itself; call get_prediction without given="
        )


class Table(NamedTuple):
    """Cells (t, j) of a table of rows of the system: designs, responses, roots of weights."""

    designs: list[np.ndarray]  # K, (T, p_j), NaN in cells without regressors
    Y: np.ndarray  # (T, K), NaN where unknown
    root: np.ndarray  # (T, K)
    places: list[tuple[Piece, np.ndarray]]  # pieces to predict, and the rows t of each


def conditional_prediction(
    results: Any, exog: Any, transform: bool, equations: Any, given: Any
) -> ConditionalPrediction:
    """See `LowRankSURResults.get_prediction`."""
    model = results.model
    chosen = select(model, equations)
    rows = rows_of_system(model, exog, transform, equations)
    table = _table(results, rows, exog, transform, given)
    conditional = _Conditional(results, table)
    mean, explained = conditional.mean, conditional.variance
    wanted = np.zeros(mean.shape, dtype=bool)
    wanted[:, chosen] = True
    variance = conditional.of_means(wanted)
    by_piece = [(piece.j, t) for piece, t in table.places]
    correction = np.square(results._df_correction)
    return ConditionalPrediction(
        rows.kept(model.equations),
        frozen(rows.fill(mean[t, j] for j, t in by_piece)),
        frozen(rows.fill(variance[t, j] for j, t in by_piece)),
        [frozen(explained[t, j] * correction[j]) for j, t in by_piece],
        frozen(results._df_of_equations[[j for j, _ in by_piece]]) if results.use_t else None,
        results._covariance,
        model.equations,
        results._stop,
    )


def conditional_means(
    results: Any, exog: Any, transform: bool, equations: Any, given: Any
) -> pd.DataFrame | pd.Series:
    """See `LowRankSURResults.predict`: the means alone cost O(n K r^2)."""
    rows = rows_of_system(results.model, exog, transform, equations)
    table = _table(results, rows, exog, transform, given)
    mean = _Conditional(results, table).mean
    return rows.label(rows.fill(mean[t, piece.j] for piece, t in table.places))


class _Conditional:
    """Means and variances of the cells of a table given the others of their row, (T, K)."""

    def __init__(self, results: Any, table: Table) -> None:
        self._results, self._table = results, table
        pairs = zip(table.designs, results._beta, strict=True)
        self._fitted = np.column_stack([X @ b for X, b in pairs])
        E = (table.Y - self._fitted) * table.root
        mask = np.isfinite(E)
        self._observed = ObservedCovariance(results.sigma, Patterns(mask))
        mean, variance = self._observed.conditional(np.where(mask, E, 0.0))
        self.mean = self._fitted + mean / table.root
        # A cell of hardly any weight may have a variance beyond the largest double.
        with np.errstate(over="ignore"):
            self.variance = variance / np.square(table.root)

    def of_means(self, wanted: np.ndarray) -> np.ndarray:
        """Variances g' V g of the estimated means of the ``wanted`` cells, NaN elsewhere.

        O(P^2) a cell with V whole; beyond P = 4,000 a linear solve a cell.
        """
        results, table = self._results, self._table
        out = np.full(wanted.shape, np.nan)
        P, stop = int(results._stop[-1]), results._stop
        V = results._covariance.dense() if P <= _DENSE else None
        owner = np.repeat(np.arange(len(stop)), results._p)
        flat = np.concatenate([np.where(np.isnan(X), 0.0, X) for X in table.designs], axis=1)
        flat *= table.root[:, owner]
        step = max(1, (_CHUNK if V is not None else 128 * P) // P)
        for j in np.flatnonzero(wanted.any(axis=0)):
            rows = np.flatnonzero(np.isfinite(self._fitted[:, j]) & wanted[:, j])
            at = slice(int(stop[j] - results._p[j]), int(stop[j]))
            for start in range(0, len(rows), step):
                n = rows[start : start + step]
                weights = self._observed.weights(n, np.full(len(n), j))
                g = -weights[:, owner] * flat[n]
                g[:, at] = flat[n, at]
                g /= table.root[n, j][:, None]
                if V is not None:
                    out[n, j] = np.einsum("np,np->n", g @ V, g)
                else:
                    out[n, j] = np.diagonal(results._covariance.combinations(g))
        return out


# -- the table -----------------------------------------------------------------------------------


def _table(results: Any, rows: NewRows, exog: Any, transform: bool, given: Any) -> Table:
    """All that is known of the rows to predict."""
    model = results.model
    everything = rows_of_system(model, exog, transform, None)
    long = everything.columns is None
    if long:
        codes = _times(everything)
        T = int(codes.max()) + 1 if len(codes) else 0
    else:
        codes, T = np.arange(len(everything.index)), len(everything.index)
    K = results.neqs
    designs = [np.full((T, int(p)), np.nan) for p in results._p]
    Y = np.full((T, K), np.nan)
    if given is True or _names_only(given):
        known = _own(results, exog, transform, long)
    else:
        known = _given(given, model, everything, long)
    for piece in everything.pieces:
        t = codes[piece.at] if long else codes
        designs[piece.j][t] = piece.X
        Y[t, piece.j] = known[piece.at] if long else known[:, piece.j]
    if _names_only(given):
        Y[:, np.setdiff1d(np.arange(K), select(model, given))] = np.nan
    root = np.ones((T, K))
    cells = model._system.cells if exog is None else None
    if cells is not None and cells.weighted:
        each = np.broadcast_to(cells.root, (T, K))
        root = np.where(each > 0.0, each, 1.0)
    if long:
        # Rows of the groups that were asked for, in the data that were given.
        at = _positions(rows, everything)
        places = [(piece, codes[at[piece.at]]) for piece in rows.pieces]
    else:
        places = [(piece, codes) for piece in rows.pieces]
    return Table(designs, Y, root, places)


def _names_only(given: Any) -> bool:
    if isinstance(given, str):
        return True
    return isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)


def _positions(rows: NewRows, everything: NewRows) -> np.ndarray:
    """Which row of all the data each row to predict is."""
    if len(rows.index) == len(everything.index):
        return np.arange(len(rows.index))
    chosen = {piece.j for piece in rows.pieces}
    at = [np.asarray(piece.at) for piece in everything.pieces if piece.j in chosen]
    return np.sort(np.concatenate(at))


def _times(rows: NewRows) -> np.ndarray:
    """Number of the system's row that each row of a long panel belongs to."""
    if rows.systems is None:
        raise OptionError(
            "given=: which rows of a long panel belong together is not known; make the model with "
            "time=, and give that column in the data"
        )
    if rows.systems.hasnans:
        raise OptionError("given=: the time column of the data misses values")
    codes = pd.factorize(rows.systems)[0]
    owner = np.empty(len(codes), dtype=np.intp)
    for piece in rows.pieces:
        owner[piece.at] = piece.j
    again = pd.DataFrame({"t": codes, "j": owner}).duplicated().to_numpy()
    if again.any():
        raise OptionError(
            f"given=: several rows of the data are one cell, the first of them at "
            f"{shown(rows.systems[again][0])}; keep one row per cell"
        )
    return codes


def _own(results: Any, exog: Any, transform: bool, long: bool) -> np.ndarray:
    """Responses that the data themselves have; (n,) of a long panel, else (n, K)."""
    model = results.model
    formula = model.formula_system
    if exog is None:
        mask = model._system.cells.mask
        return model.endog if mask is None else np.where(mask, model.endog, np.nan)
    if formula is None or not transform:
        raise OptionError(
            "given=True needs data with the responses; pass them, given= a DataFrame or an array "
            "(n, K) with NaN where one is unknown"
        )
    data = table(exog, "exog")
    specs = formula.specs[:1] if long else formula.specs
    found = replay_responses(specs, data, formula.scope)
    if all(y is None for y in found):
        raise OptionError("given=True: the data hold no response; pass them as given=")
    none = np.full(len(data), np.nan)
    columns = [none if y is None else y for y in found]
    return columns[0] if long else np.column_stack(columns)


def _given(given: Any, model: Any, rows: NewRows, long: bool) -> np.ndarray:
    """Responses that the caller passed, NaN where one is unknown."""
    n, K = len(rows.index), len(model.equations)
    given = to_pandas(given, "given")
    if long:
        if isinstance(given, pd.Series):
            at = rows_by_label(given.index, rows.index, "given", ShapeError)
            given = given if at is None else given.iloc[at]
        y = _numbers(given)
        if y.shape != (n,):
            raise ShapeError(
                f"given= of a long panel must hold one response for each of {n} rows of the data, "
                f"NaN where it is unknown; got shape {y.shape}"
            )
        return y
    names = model.equations
    if isinstance(given, Mapping):
        columns = {name: _vector(y, name, rows.index) for name, y in given.items()}
        given = pd.DataFrame(columns, index=rows.index)
    if not isinstance(given, pd.DataFrame):
        Y = _numbers(given)
        if Y.shape != (n, K):
            raise ShapeError(f"given= must have the shape {(n, K)}, got {Y.shape}")
        return Y
    at = rows_by_label(given.index, rows.index, "given", ShapeError)
    given = given if at is None else given.iloc[at]
    if nameless(given.columns) and given.shape[1] == K:
        return _numbers(given)
    at = by_name(given.columns, names, "given", OptionError, noun="equation", some=True)
    out = np.full((n, K), np.nan)
    out[:, at >= 0] = _numbers(given)[:, at[at >= 0]]
    return out


def _vector(value: Any, name: Any, index: pd.Index) -> np.ndarray:
    """Responses of one equation in a mapping; a Series by its labels."""
    value = to_pandas(value, "given")
    if isinstance(value, pd.Series):
        at = rows_by_label(value.index, index, f"given[{name!r}]", ShapeError)
        value = value if at is None else value.iloc[at]
    y = _numbers(value)
    if y.shape != (len(index),):
        raise ShapeError(
            f"given[{name!r}] must hold one response for each of {len(index)} rows, NaN where it "
            f"is unknown; got shape {y.shape}"
        )
    return y


def _numbers(value: Any) -> np.ndarray:
    """Responses, NaN where one is unknown; what is infinite is an error, not unknown."""
    remedy = (
        "; given must be True, names of equations, or responses: a DataFrame, an array (n, K) or a "
        "mapping {equation: vector}"
    )
    values = numbers(value, "given", OptionError, remedy)
    bad = np.argwhere(np.isinf(np.atleast_1d(values)))
    if len(bad):
        row = value.index[bad[0][0]] if hasattr(value, "index") else int(bad[0][0])
        column = "" if len(bad[0]) < 2 else f", column {int(bad[0][1]) + 1}"
        raise NonFiniteError(
            f"given is infinite in row {shown(row)}{column}; NaN says that a response is unknown"
        )
    return values


# -- the estimation rows -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Imputation:
    """Responses with their holes filled.

    Attributes
    ----------
    values : DataFrame (N, K)
        Responses; E[y_nj | the row's other responses] where one is missing, NaN where its
        regressors are missing too.
    se : DataFrame (N, K)
        Standard errors of the filled responses about their values; 0 where one was observed.
    filled : DataFrame of bool (N, K)
        Which cells were filled.
    """

    values: pd.DataFrame
    se: pd.DataFrame
    filled: pd.DataFrame

    def __repr__(self) -> str:
        return f"<Imputation: {int(self.filled.to_numpy().sum())} cells filled>"


class Conditionals:
    """Mixin of `LowRankSURResults`: what the other equations say of a cell."""

    def impute(self) -> Imputation:
        """The holes of the estimation rows, filled from what their rows have.

        Returns
        -------
        Imputation
            ``values``, ``se`` and ``filled``. A value is known to about ``se`` only: estimates
            from filled data that take it for observed understate theirs. Beyond 4,000
            coefficients ``se`` leaves out what estimating them adds. With ``weights=`` a missing
            response has the weight that was given for its cell, the mean one where none was.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.simulate import simulate_sur
        >>> made = simulate_sur(100, 8, 2, rank=1, rng=0)
        >>> Y = np.array(made.endog)
        >>> Y[np.random.default_rng(0).random(Y.shape) < 0.2] = np.nan
        >>> res = LowRankSUR(Y, made.exog, 1, missing="fiml").fit()
        >>> whole = res.impute()
        >>> int(np.isnan(Y).sum()), int(whole.values.isna().sum().sum())
        (158, 0)
        """
        return _impute(self)

    def leave_one_out(self, standardised: bool = False) -> pd.DataFrame:
        """Residuals y_nj - E[y_nj | the row's other responses], (N, K); NaN in missing cells.

        What the equation's own regressors and the rest of the row do not foresee: outliers that
        the factors do not share. Coefficients and Sigma are those of all cells.

        Parameters
        ----------
        standardised : bool
            In units of sqrt(Var[y_nj | the others]), without the estimation of coefficients.
        """
        model: Any = self.model  # type: ignore[attr-defined]
        standardised = flag(standardised, "standardised")
        made = _of_estimation_rows(self)
        mask = model._system.cells.mask
        resid = model.endog - made.mean
        if mask is not None:
            resid = np.where(mask, resid, np.nan)
        if standardised:
            correction = self._df_correction  # type: ignore[attr-defined]
            resid = resid / (np.sqrt(made.variance) * correction)
        return pd.DataFrame(resid, index=model._system.index, columns=model.equations)


def _of_estimation_rows(results: Any) -> _Conditional:
    rows = rows_of_system(results.model, None, True, None)
    return _Conditional(results, _table(results, rows, None, True, True))


def _impute(results: Any) -> Imputation:
    made = _of_estimation_rows(results)
    model = results.model
    mask, Y, mean = model._system.cells.mask, model.endog, made.mean
    filled = np.zeros(Y.shape, dtype=bool) if mask is None else np.isnan(Y) & np.isfinite(mean)
    variance = made.variance * np.square(results._df_correction)
    if filled.any() and len(results.params) <= _DENSE:
        variance = variance + made.of_means(filled)
    se = np.sqrt(variance)

    def frame(values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, index=model._system.index, columns=model.equations)

    left = np.isnan(Y) & ~filled
    return Imputation(
        frame(np.where(filled, mean, Y)),
        frame(np.where(filled, se, np.where(left, np.nan, 0.0))),
        frame(filled),
    )
