"""Matrices in colour, white at zero: correlations of residuals, and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.plotting.canvas import NAMED, SMALL, axes, plain, short

Array = np.ndarray
# Cells on a side; more equations are averaged in groups of neighbours.
CELLS = 100
# Rows up to which a matrix has its numbers.
NUMBERED = 12


def grouped_correlation(E: Array, loadings: Array, edges: Array) -> tuple[Array, Array]:
    """Mean correlations between groups of neighbouring columns, and what factors leave of them.

    With z_nj = e_nj / s_j (about zero; s_j over the rows that equation j has), groups a and b,

        c_ab = sum_n (sum_{j in a} z_nj) (sum_{l in b} z_nl) / sum_n m_na m_nb,

    m_na the cells of group a in row n: the mean of all r_jl where no cell is missing, and of
    z_nj z_nl where some are. Within a group pairs j = l are left out; groups of one have 1. What
    factors leave is c_ab less the mean of lambda_j'lambda_l over the same pairs.

    Parameters
    ----------
    E : ndarray (N, K)
        Residuals in the order to draw; NaN where a cell is missing.
    loadings : ndarray (K, r)
        lambda_j = f_j / sigma_jj^1/2.
    edges : ndarray (G,)
        Where groups begin, edges[0] = 0.

    Returns
    -------
    ndarray (G, G), ndarray (G, G)
        No K x K array is made: O(N K + N G^2).
    """
    observed = np.isfinite(E)
    Z = np.where(observed, E, 0.0)
    count = observed.sum(axis=0)
    root = np.sqrt(np.square(Z).sum(axis=0) / np.maximum(count, 1))
    Z /= np.where(root > 0.0, root, 1.0)
    sums = np.add.reduceat(Z, edges, axis=1)
    cells = np.add.reduceat(observed.astype(float), edges, axis=1)
    own = np.add.reduceat(np.square(Z).sum(axis=0), edges)
    own_cells = np.add.reduceat(count.astype(float), edges)
    top, bottom = sums.T @ sums, cells.T @ cells
    top[np.diag_indices_from(top)] -= own
    bottom[np.diag_indices_from(bottom)] -= own_cells
    size = np.diff(np.append(edges, E.shape[1])).astype(float)
    lam = np.add.reduceat(loadings, edges, axis=0) if loadings.size else np.zeros((len(edges), 0))
    model, pairs = lam @ lam.T, np.outer(size, size)
    model[np.diag_indices_from(model)] -= np.add.reduceat(np.square(loadings).sum(axis=1), edges)
    pairs[np.diag_indices_from(pairs)] -= size
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(bottom > 0.0, top / bottom, np.nan)
        left = correlation - model / pairs
    single = np.flatnonzero(size == 1.0)
    correlation[single, single] = 1.0
    left[single, single] = np.nan
    return correlation, left


def residual_correlation(
    E: Array,
    loadings: Array,
    names: Sequence[Any],
    owner: Array | None,
    owners: Sequence[str],
    ax: Any = None,
) -> Any:
    """Correlations of residuals below the diagonal, what factors leave of them above.

    Parameters
    ----------
    E, loadings : ndarray
        As `grouped_correlation` takes them.
    names : sequence (K,)
        In the same order.
    owner : ndarray of int (K,), optional
        Which factor an equation is put to; groups are divided by lines.
    owners : sequence of str
        Names of the factors.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    K = len(names)
    ax = axes(ax, 6.8 if K <= NAMED else 6.4, 6.0 if K <= NAMED else 5.6)
    step = -(-K // CELLS)
    edges = np.arange(0, K, step)
    correlation, left = grouped_correlation(E, loadings, edges)
    G, factors = len(edges), loadings.shape[1] > 0
    shown = np.where(np.tri(G, dtype=bool), correlation, left if factors else correlation)
    if step == 1:
        shown[np.diag_indices(G)] = np.nan
    scale = _scale(shown)
    image = ax.imshow(
        shown, cmap="RdBu_r", vmin=-scale, vmax=scale, extent=(-0.5, K - 0.5, K - 0.5, -0.5)
    )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label("correlation" if step == 1 else f"mean correlation of {step} x {step} pairs")
    bar.outline.set_visible(False)
    if K <= NAMED:
        labels = short(names)
        ax.set_xticks(np.arange(K), labels, rotation=90, fontsize=SMALL)
        ax.set_yticks(np.arange(K), labels, fontsize=SMALL)
        ax.set_xlabel("equation")
        ax.set_ylabel("equation")
    else:
        groups = "" if step == 1 else f", in groups of {step}"
        ax.set_xlabel(f"{K} equations{groups}")
        ax.set_ylabel(f"{K} equations{groups}")
    if owner is not None and len(owners):
        _divide(ax, owner, owners, ticks=K > NAMED)
    ax.set_title(
        "Residual correlation: below the diagonal;\nabove: what the factors leave of it"
        if factors
        else "Residual correlation"
    )
    plain(ax)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def correlations(C: Array, names: Sequence[Any], *, what: str, title: str, ax: Any = None) -> Any:
    """A matrix of correlations (K, K) in colour; up to twelve rows have their numbers.

    Parameters
    ----------
    C : ndarray (K, K)
        NaN is not drawn.
    names : sequence (K,)
    what : str
        What rows are, in the plural.
    title : str
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    K = len(names)
    side = float(np.clip(2.6 + 0.17 * K, 3.6, 7.4))
    ax = axes(ax, side + 0.9, side)
    shown = np.where(np.eye(K, dtype=bool), np.nan, C)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    if K <= NUMBERED:
        for i, j in np.argwhere(np.isfinite(shown)):
            colour = "white" if abs(shown[i, j]) > 0.6 else "black"
            value = f"{shown[i, j]:.2f}"
            ax.text(j, i, value, ha="center", va="center", fontsize=SMALL, color=colour)
    if K <= NAMED + NAMED // 2:
        labels = short(names)
        ax.set_xticks(np.arange(K), labels, rotation=90, fontsize=SMALL)
        ax.set_yticks(np.arange(K), labels, fontsize=SMALL)
    else:
        ax.set_xlabel(f"{K} {what}")
        ax.set_ylabel(f"{K} {what}")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label("correlation")
    bar.outline.set_visible(False)
    ax.set_title(title)
    plain(ax)
    for edge in ("left", "bottom"):
        ax.spines[edge].set_visible(False)
    return ax


def _divide(ax: Any, owner: Array, owners: Sequence[str], ticks: bool) -> None:
    begin = np.flatnonzero(np.diff(owner, prepend=-1))
    for at in begin[1:] - 0.5:
        ax.axhline(at, color="0.2", linewidth=0.6)
        ax.axvline(at, color="0.2", linewidth=0.6)
    if ticks:
        end = np.append(begin[1:], len(owner))
        wide = end - begin > 0.05 * len(owner)
        middle = (begin + end - 1)[wide] / 2.0
        labels = [owners[owner[i]] for i in begin[wide]]
        ax.set_xticks(middle, labels, fontsize=SMALL, rotation=30 if len(labels) > 4 else 0)
        ax.set_yticks(middle, labels, fontsize=SMALL)
        ax.tick_params(length=0)


def _scale(values: Array) -> float:
    """A round bound of |values|, the same on both sides of zero."""
    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if known.size else 1.0
    return next((s for s in (0.05, 0.1, 0.2, 0.3, 0.5, 0.75) if largest <= s), 1.0)
