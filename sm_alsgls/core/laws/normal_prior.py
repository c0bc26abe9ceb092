"""A normal prior of some values of a law, its mean integrated out: sum_j (rho_j - mean)^2 / (2 t2).

At t2 = 0 these are one value. Steps are in coordinates of the values that the prior leaves free:
all of them, or the one value and then the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class NormalPrior(NamedTuple):
    """The prior of the values ``at`` among m; see the module.

    Examples
    --------
    >>> prior = NormalPrior(slice(0, 2), 3, 0.5)
    >>> prior.gradient(np.array([0.2, 0.6, 9.0]))
    array([-0.4,  0.4,  0. ])
    >>> prior._replace(t2=0.0).up(np.array([0.4, 9.0]))  # one value for both
    array([0.4, 0.4, 9. ])
    """

    at: slice
    m: int
    t2: float

    @property
    def pick(self) -> Array:
        """Which of the values (m,) coordinates are."""
        every = np.arange(self.m)
        if self.t2 > 0.0:
            return every
        return np.concatenate([every[self.at][:1], self._others])

    def up(self, x: Array) -> Array:
        """Values (m,) of coordinates."""
        if self.t2 > 0.0:
            return x
        values = np.empty(self.m)
        values[self.at] = x[0]
        values[self._others] = x[1:]
        return values

    def down(self, g: Array) -> Array:
        """The transpose of ``up``."""
        if self.t2 > 0.0:
            return g
        return np.concatenate([[g[self.at].sum()], g[self._others]])

    def nearest(self, values: Array) -> Array:
        """Values with their mean for each, where they are one."""
        out = values.copy()
        out[self.at] = values[self.at].mean()
        return out

    def gradient(self, values: Array) -> Array:
        """Of sum_j (rho_j - mean)^2 / (2 t2), which is linear."""
        out = np.zeros(self.m)
        if self.t2 > 0.0:
            out[self.at] = (values[self.at] - values[self.at].mean()) / self.t2
        return out

    def curved(self, H: Array) -> Array:
        """H (m, m) with the prior's precision, in coordinates; overwrites H."""
        if self.t2 == 0.0:
            H = np.column_stack([H[:, self.at].sum(axis=1), H[:, self._others]])
            return np.vstack([H[self.at].sum(axis=0), H[self._others]])
        inside = H[self.at, self.at]
        inside -= 1.0 / (len(inside) * self.t2)
        inside[np.diag_indices(len(inside))] += 1.0 / self.t2
        return H

    @property
    def _others(self) -> Array:
        return np.delete(np.arange(self.m), self.at)
