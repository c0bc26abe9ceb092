"""Simulated and real systems for the benchmarks; everything seeded.

A system is a list of K designs (N, p_j) and responses (N, K).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sm_alsgls.datasets import load_french, load_grunfeld, load_munnell
from sm_alsgls.simulate import simulate_sur

Array = np.ndarray
Arrays = tuple[list[Array], Array]


class System(NamedTuple):
    """A named system, the rank to fit, and the arrays."""

    name: str
    rank: int
    blocks: list[Array]
    Y: Array


# -- simulated ----------------------------------------------------------------------------------


def independent(
    rng: np.random.Generator, N: int, K: int, p: int, r: int, strength: float = 1.0
) -> Arrays:
    """`simulate_sur`: a constant and N(0, 1) regressors of each equation's own."""
    drawn = simulate_sur(N, K, p, r, rng, strength=strength)
    return drawn.exog, drawn.endog


def collinear(rng: np.random.Generator, N: int, K: int, r: int, strength: float = 1.0) -> Arrays:
    """Two regressors an equation, nine tenths of their variance from three common components."""
    common = rng.standard_normal((N, 3))
    blocks = []
    for _ in range(K):
        weights = rng.standard_normal((3, 2))
        weights /= np.linalg.norm(weights, axis=0)
        own = np.sqrt(0.1) * rng.standard_normal((N, 2))
        blocks.append(np.column_stack([np.ones(N), np.sqrt(0.9) * common @ weights + own]))
    Y = np.column_stack([X @ rng.standard_normal(3) for X in blocks])
    return blocks, Y + _errors(rng, N, K, r, strength)


def omitting(rng: np.random.Generator, N: int, K: int, r: int, strength: float = 1.0) -> Arrays:
    """Four common regressors matter to every equation; equation j leaves out number j mod 4."""
    full = np.column_stack([np.ones(N), rng.standard_normal((N, 4))])
    Y = full @ (0.5 * rng.standard_normal((5, K))) + _errors(rng, N, K, r, strength)
    return [np.delete(full, 1 + j % 4, axis=1) for j in range(K)], Y


def _errors(rng: np.random.Generator, N: int, K: int, r: int, strength: float) -> Array:
    F = strength * rng.standard_normal((K, r))
    root_d = np.sqrt(rng.uniform(0.5, 1.5, K))
    return rng.standard_normal((N, r)) @ F.T + root_d * rng.standard_normal((N, K))


_STRENGTH = {"strong": 1.0, "weak": 0.35}
_KINDS: dict[str, tuple[Callable[..., Arrays], tuple[tuple[int, int], ...]]] = {
    "independent": (
        lambda rng, N, K, r, strength: independent(rng, N, K, 3, r, strength),
        ((60, 20), (25, 40)),
    ),
    "collinear": (collinear, ((100, 15), (30, 45))),
    "omitting": (omitting, ((200, 18), (40, 60))),
}


def simulated(rank: int = 2) -> Iterator[System]:
    """Every kind, K below and above N, strong and weak factors, true rank and one more."""
    for k, (kind, (make, shapes)) in enumerate(_KINDS.items()):
        for i, (N, K) in enumerate(shapes):
            for s, (word, strength) in enumerate(_STRENGTH.items()):
                rng = np.random.default_rng([k, i, s])
                blocks, Y = make(rng, N, K, rank, strength=strength)
                for r in (rank, rank + 1):
                    yield System(f"{kind}, {word}, N={N} K={K}", r, blocks, Y)


# -- real ---------------------------------------------------------------------------------------


def grunfeld() -> Arrays:
    """11 firms, 20 years: investment on value and capital."""
    data = load_grunfeld().sort_values(["firm", "year"])
    return _panel(data, "firm", "invest", ["value", "capital"])


def munnell() -> Arrays:
    """48 states, 17 years: log gsp on log p_cap, log pc, log emp and unemp."""
    data = load_munnell().sort_values(["state", "year"])
    logs = ["gsp", "p_cap", "pc", "emp"]
    data[logs] = np.log(data[logs])
    return _panel(data, "state", "gsp", ["p_cap", "pc", "emp", "unemp"])


def french(omit: bool = False) -> Arrays:
    """30 portfolios, 819 months, on three factors; with ``omit`` without number j mod 3."""
    data = load_french()
    Y = data.iloc[:, 5:].to_numpy()
    X = np.column_stack([np.ones(len(data)), data[["MktRF", "SMB", "HML"]].to_numpy()])
    K = Y.shape[1]
    return [np.delete(X, 1 + j % 3, axis=1) if omit else X for j in range(K)], Y


def real() -> Iterator[System]:
    """The systems of DESIGN 6, and Grunfeld's."""
    cases: tuple[tuple[str, Arrays, range], ...] = (
        ("Grunfeld, 11 firms", grunfeld(), range(1, 3)),
        ("French, three common factors", french(), range(1, 6)),
        ("French, j omits factor j mod 3", french(omit=True), range(1, 6)),
        ("Munnell, 48 states", munnell(), range(1, 3)),
    )
    for name, (blocks, Y), ranks in cases:
        for r in ranks:
            yield System(name, r, blocks, Y)


def _panel(data, group: str, response: str, regressors: list[str]) -> Arrays:
    parts = [part for _, part in data.groupby(group, sort=True)]
    blocks = [np.column_stack([np.ones(len(g)), g[regressors].to_numpy()]) for g in parts]
    return blocks, np.column_stack([g[response].to_numpy() for g in parts])
