"""``LowRankSURRegressor``: a low-rank system as one of scikit-learn's regressors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import spell
from sm_alsgls.exceptions import MissingExtraError, OptionError, SystemInputError
from sm_alsgls.models.sur import LowRankSUR

try:
    from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as _missing:
    raise MissingExtraError(
        "LowRankSURRegressor needs scikit-learn >= 1.6: pip install scikit-learn, or "
        "'sm_alsgls[integrations]'"
    ) from _missing


class LowRankSURRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Linear regressions of several outputs whose errors share factors; see `LowRankSUR`.

    Y = X B + E with rows e_n ~ N(0, F F' + D). With all columns in every equation the coefficients
    are those of least squares, whatever Sigma is; what the system adds is in ``columns`` (each
    output its own regressors, so that GLS differs from least squares) and in `predict` given other
    outputs of the same row.

    Parameters
    ----------
    rank : int, "auto", "full" or a criterion
        As of `LowRankSUR`; chosen in `fit` where it is no number. One output has rank 0.
    columns : mapping or list, optional
        Columns of X of each output, by names (X a DataFrame) or positions: a list of K lists, or
        a mapping of the outputs' names (of Y a DataFrame) or positions. None: all in each.
    fit_intercept : bool
        With a constant in every equation.
    max_sweeps : int
    gtol : float
        As of `LowRankSUR.fit`.
    n_starts : int or "auto"
        The default of one start is for grids and folds, where it is fast; "auto" looks beyond the
        first maximum.
    random_state : int or numpy Generator, optional
        Of random starts.

    Attributes
    ----------
    results_ : LowRankSURResults
        Everything that formulas and arrays have: standard errors, tests, intervals, Sigma.
    coef_ : ndarray (K, p), or (p,) where y had one dimension
        Zero where an equation lacks the column.
    intercept_ : ndarray (K,) or float
    rank_ : int or "full"
    n_iter_ : int
        Sweeps.
    n_features_in_, feature_names_in_
        As scikit-learn's.

    Raises
    ------
    SystemInputError
        And whatever else `LowRankSUR` raises, all ValueErrors.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sm_alsgls.adapters.sklearn import LowRankSURRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, f = rng.standard_normal((60, 6)), rng.standard_normal((60, 1))
    >>> Y = X + f + 0.5 * rng.standard_normal((60, 6))
    >>> own = [[j] for j in range(6)]
    >>> grid = GridSearchCV(LowRankSURRegressor(columns=own), {"rank": [0, 1]}, cv=3).fit(X, Y)
    >>> grid.best_estimator_.coef_.shape
    (6, 6)
    """

    def __init__(
        self,
        rank: Any = "auto",
        *,
        columns: Any = None,
        fit_intercept: bool = True,
        max_sweeps: int = 500,
        gtol: float = 1e-6,
        n_starts: Any = 1,
        random_state: Any = None,
    ) -> None:
        self.rank = rank
        self.columns = columns
        self.fit_intercept = fit_intercept
        self.max_sweeps = max_sweeps
        self.gtol = gtol
        self.n_starts = n_starts
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the system.

        Parameters
        ----------
        X : array_like (N, p) or DataFrame
        y : array_like (N,) or (N, K), DataFrame
        sample_weight : array_like (N,), optional
            Analytic weights of rows, as ``weights`` of `LowRankSUR`.

        Returns
        -------
        self
        """
        outputs = [spell(name) for name in y.columns] if hasattr(y, "columns") else None
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype="float64", ensure_min_samples=3
        )
        if sample_weight is not None and not np.any(np.asarray(sample_weight)):
            raise OptionError("sample_weight is zero in every row: there is nothing to fit")
        Y = np.asarray(y, dtype=float)
        self._one = Y.ndim == 1
        Y = Y[:, None] if self._one else Y
        names = [f"y{j + 1}" for j in range(Y.shape[1])] if outputs is None else outputs
        self._at = self._columns_of(names, X.shape[1])
        designs = [self._design(X, at) for at in self._at]
        same = all(at == self._at[0] for at in self._at)
        model = LowRankSUR(
            pd.DataFrame(Y, columns=names),
            designs[0] if same else dict(zip(names, designs, strict=True)),
            rank=0 if self._one else self.rank,
            weights=sample_weight,
        )
        self.results_ = model.fit(
            n_starts=self.n_starts,
            rng=self.random_state,
            max_sweeps=self.max_sweeps,
            gtol=self.gtol,
        )
        self.rank_ = self.results_.rank
        self.n_iter_ = max(int(self.results_.mle_retvals["iterations"]), 1)
        beta = self.results_.estimate.beta
        k = int(bool(self.fit_intercept))
        coef = np.zeros((len(names), X.shape[1]))
        for j, at in enumerate(self._at):
            coef[j, at] = beta[j][k:]
        constant = np.array([b[0] if k else 0.0 for b in beta])
        self.coef_ = coef[0] if self._one else coef
        self.intercept_ = float(constant[0]) if self._one else constant
        return self

    def predict(self, X: Any) -> np.ndarray:
        """X B + c, (n, K), or (n,) where y had one dimension."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype="float64")
        return np.asarray(X @ self.coef_.T + self.intercept_)

    def _design(self, X: np.ndarray, at: list[int]) -> pd.DataFrame:
        taken = pd.DataFrame(X[:, at], columns=[self._called(i) for i in at])
        if self.fit_intercept:
            taken.insert(0, "Intercept", 1.0)
        return taken

    def _called(self, i: int) -> str:
        names = getattr(self, "feature_names_in_", None)
        return f"x{i}" if names is None else str(names[i])

    def _columns_of(self, names: list[str], p: int) -> list[list[int]]:
        """Positions of each output's columns."""
        if self.columns is None:
            return [list(range(p))] * len(names)
        asked = self.columns
        if hasattr(asked, "keys"):
            keys = {name: j for j, name in enumerate(names)}
            placed = {keys.get(key, key): value for key, value in asked.items()}
            if sorted(map(str, placed)) != sorted(map(str, range(len(names)))):
                raise OptionError(
                    f"columns must have a list for each of the outputs {names}, got those of "
                    f"{list(asked)}"
                )
            asked = [placed[j] for j in range(len(names))]
        if len(asked) != len(names):
            raise OptionError(
                f"columns must have a list of columns for each of {len(names)} outputs, got "
                f"{len(asked)}"
            )
        return [self._positions(one, p) for one in asked]

    def _positions(self, asked: Any, p: int) -> list[int]:
        known = {self._called(i): i for i in range(p)}
        out: list[Any] = [known.get(one, one) if isinstance(one, str) else one for one in asked]
        for one in out:
            whole = isinstance(one, (int, np.integer)) and not isinstance(one, bool)
            if not whole or not 0 <= one < p:
                raise SystemInputError(
                    f"columns: X has no column {one!r}; it has {p}: {list(known)[:8]}"
                )
        return [int(one) for one in out]
