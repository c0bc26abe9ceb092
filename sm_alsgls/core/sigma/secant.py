"""Limited-memory BFGS curvature: the one quasi-Newton device of the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from sm_alsgls.core.across import ALONE, Across

Array = np.ndarray


class SecantMemory:
    """The last few (step, change of gradient) pairs, applied to a gradient by the two-loop rule.

    Parameters
    ----------
    size : int
        Pairs kept. 0 turns `direction` into the plain preconditioned step.
    across : Across, optional
        Adds up products of vectors of which this process has a part.

    Notes
    -----
    Nocedal and Wright (2006), algorithm 7.4, with any symmetric positive definite inverse
    Hessian in the middle. A pair is stored only when its curvature s'y is safely positive, so
    the implied inverse Hessian is positive definite and the direction is one of descent.
    """

    def __init__(self, size: int = 10, across: Across = ALONE) -> None:
        self._across = across
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._pairs)

    def push(self, step: Array, change: Array, slope: float) -> bool:
        """Store a pair; False (and nothing stored) where the curvature is not safely positive.

        ``slope`` is gradient'step where the step began. It and s'y are free of the units of the
        coordinates, which |s| |y| is not.
        """
        curvature = self._across.total(float(step @ change))
        if not curvature > 1e-10 * abs(slope):
            return False
        self._pairs.append((step, change, 1.0 / curvature))
        return True

    def copy(self) -> SecantMemory:
        """Another memory of the same pairs."""
        again = SecantMemory(self._pairs.maxlen or 0, self._across)
        again._pairs.extend(self._pairs)
        return again

    def clear(self) -> None:
        """Forget every pair."""
        self._pairs.clear()

    def direction(
        self, gradient: Array, inverse: Callable[[Array], Array], free: Array | None = None
    ) -> Array:
        """The descent direction -H gradient.

        Parameters
        ----------
        gradient : ndarray, shape (m,)
        inverse : callable
            Applies the initial inverse Hessian.
        free : ndarray of bool, optional
            Coordinates that may move; pairs are restricted to them.
        """
        if not self._pairs:
            return -inverse(gradient)
        total = self._across.total
        q = gradient.copy()
        used = []
        for step, change, rho in reversed(self._pairs):
            if free is not None:
                step, change = step * free, change * free
                curvature = total(float(step @ change))
                if not curvature > 0.0:
                    continue
                rho = 1.0 / curvature
            alpha = rho * total(float(step @ q))
            q -= alpha * change
            used.append((step, change, rho, alpha))
        z = -inverse(q)
        for step, change, rho, alpha in reversed(used):
            z -= (alpha + rho * total(float(change @ z))) * step
        return z
