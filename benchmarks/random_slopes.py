"""Groups with many random slopes: b_i = Lambda f_i + e_i, y = 1 + X (1 + b_i) + u."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Slopes(NamedTuple):
    """Rows with columns y, g, X1 to Xq, and what they were drawn from."""

    frame: pd.DataFrame
    loadings: np.ndarray  # (q, rank)
    uniquenesses: np.ndarray  # (q,)
    effects: np.ndarray  # (groups, q)

    @property
    def names(self) -> list[str]:
        """The slopes' columns."""
        return list(self.frame.columns[2:])


def random_slopes(groups: int, rows: int, q: int, rank: int, seed: int = 17) -> Slopes:
    """`rows` rows in each group; loadings are standard normal over root two, error variance 1."""
    rng = np.random.default_rng(seed)
    loadings = rng.standard_normal((q, rank)) / np.sqrt(2.0)
    uniquenesses = rng.uniform(0.1, 0.5, q)
    effects = rng.standard_normal((groups, rank)) @ loadings.T
    effects += rng.standard_normal((groups, q)) * np.sqrt(uniquenesses)
    X = rng.standard_normal((groups, rows, q))
    y = 1.0 + np.einsum("itk,ik->it", X, 1.0 + effects) + rng.standard_normal((groups, rows))
    frame = pd.DataFrame(X.reshape(-1, q), columns=[f"X{j + 1}" for j in range(q)])
    frame.insert(0, "y", y.ravel())
    frame.insert(1, "g", np.repeat(np.arange(groups), rows))
    return Slopes(frame, loadings, uniquenesses, effects)


class Taxa(NamedTuple):
    """Several outcomes of each subject, long: columns y, x, taxon, subject; and wide."""

    frame: pd.DataFrame
    outcomes: pd.DataFrame
    x: np.ndarray


def taxa(subjects: int, count: int, rank: int, seed: int = 17) -> Taxa:
    """Each taxon has its constant, its slope on the subject's x and its variance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(subjects)
    loadings = rng.standard_normal((count, rank))
    Y = rng.standard_normal(count) + np.outer(x, rng.standard_normal(count))
    Y += rng.standard_normal((subjects, rank)) @ loadings.T
    Y += rng.standard_normal((subjects, count)) * np.sqrt(rng.uniform(0.3, 2.0, count))
    names = [f"t{k:02d}" for k in range(count)]
    outcomes = pd.DataFrame(Y, columns=names)
    frame = outcomes.assign(x=x, subject=np.arange(subjects)).melt(
        ["subject", "x"], names, "taxon", "y"
    )
    return Taxa(frame, outcomes, x)
