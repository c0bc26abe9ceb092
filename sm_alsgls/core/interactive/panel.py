"""The panel of interactive effects, and its additive effects.

    y_it = x_it' b + l_t' a_i + c_i' xi_t + f_t' lambda_i + e_it,      var e_it = d_i

for T periods (rows) and n units (columns). b, a, xi, the loadings lambda and the factors f are
parameters; l_t and c_i are known: l = 1 are unit effects, c = 1 are time effects, l = (1, t) are
trends of units. Nothing is assumed of how f and lambda move with x (Bai 2009, Econometrica 77).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Panel:
    """What was observed.

    Attributes
    ----------
    Y : ndarray, shape (T, n)
    X : ndarray, shape (p, T, n)
    seen : ndarray of bool, shape (T, n), or None
        Observed cells; None is all. Elsewhere Y and X are not looked at, but are finite.
    """

    Y: Array
    X: Array
    seen: Array | None = None

    def __post_init__(self) -> None:
        if self.X.ndim != 3 or self.X.shape[1:] != self.Y.shape:
            raise ValueError(f"X is {self.X.shape} where Y is {self.Y.shape}")
        if self.seen is not None and self.seen.shape != self.Y.shape:
            raise ValueError(f"seen is {self.seen.shape} where Y is {self.Y.shape}")

    @property
    def T(self) -> int:
        """Periods."""
        return self.Y.shape[0]

    @property
    def n(self) -> int:
        """Units."""
        return self.Y.shape[1]

    @property
    def p(self) -> int:
        """Regressors."""
        return self.X.shape[0]

    @property
    def cells(self) -> int:
        """Observed cells."""
        return self.Y.size if self.seen is None else int(self.seen.sum())

    def periods_of_units(self) -> Array:
        """T_i, how often each unit was seen, shape (n,)."""
        full = np.full(self.n, float(self.T))
        return full if self.seen is None else self.seen.sum(axis=0).astype(float)

    def taken(self, rows: slice | Array, columns: slice | Array) -> Panel:
        """Some of the periods and units, in that order."""
        seen = None if self.seen is None else self.seen[rows][:, columns]
        return Panel(
            np.ascontiguousarray(self.Y[rows][:, columns]),
            np.ascontiguousarray(self.X[:, rows][:, :, columns]),
            seen,
        )


@dataclass(frozen=True)
class Effects:
    """The known factors l_t and known loadings c_i of the additive effects.

    Attributes
    ----------
    L : ndarray, shape (T, kL)
    C : ndarray, shape (n, kC)
    """

    L: Array
    C: Array

    @classmethod
    def of(cls, T: int, n: int, *, unit: bool = False, time: bool = False) -> Effects:
        """Unit effects, time effects, both or none."""
        return cls(np.ones((T, int(unit))), np.ones((n, int(time))))

    @property
    def about(self) -> tuple[Array, Array]:
        """L with series about their means, and these (kL,); as it is where no ones come first.

        The span is the same, and has more of its digits where series are years and their squares.
        """
        L, means = self.L, np.zeros(self.L.shape[1])
        if len(means) > 1 and bool((L[:, 0] == 1.0).all()):
            means[1:] = L[:, 1:].mean(axis=0)
        return L - means, means

    def taken(self, rows: slice | Array, columns: slice | Array) -> Effects:
        """Those of some periods and units."""
        return Effects(self.L[rows], self.C[columns])
