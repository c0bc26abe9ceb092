"""Rows to predict, beside the effects of the groups they are of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.effects import effects, left_of_change, moved_by_law
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.mixed_effects import effects_of_groups
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_new_rows import MixedRows, group_codes, read_observed, read_rows
from sm_alsgls.results.mixed_rows import level_ratios, variances

Array = np.ndarray


class Seen(NamedTuple):
    """Effects of some groups, the last of which nothing is known.

    ``B`` (g, q, p) and `cross` are zero for a group whose rows b was not estimated from; `left` is
    K_i, `cross` and `own` are of `moved_by_law`.
    """

    mean: Array
    conditional: Array
    with_b: Array
    B: Array
    left: Array
    cross: Array
    own: Array


class Placed(NamedTuple):
    """Rows, their groups among those of ``seen``, and their residual variances if known."""

    rows: MixedRows
    codes: Array
    seen: Seen
    resid: Array | None


def place(
    estimate: MixedEstimate,
    exog: Any,
    transform: bool,
    groups: Any,
    exog_re: Any,
    residual: Any,
    wanted: str,
    observed: Any,
    means: bool,
) -> Placed:
    """What `predict` was given."""
    own, transform = wanted == "group", flag(transform, "transform")
    if exog is None:
        for name, value in (("groups", groups), ("exog_re", exog_re), ("residual", residual)):
            if value is not None:
                raise OptionError(f"{name}= goes with new rows, and exog= is missing")
        kept_rows = estimate.rows
        back = kept_rows.restored
        rows = MixedRows(kept_rows.index, back(kept_rows.X), back(kept_rows.Z), None, None)
        codes = back(kept_rows.codes)
        resid: Array | None = back(variances(estimate))
    else:
        rows = read_rows(
            estimate, exog, transform, groups=groups, exog_re=exog_re, residual=residual,
            random=own, try_random=not means,
        )  # fmt: skip
        codes = np.full(len(rows.X), -1)
        if own:
            assert rows.groups is not None
            codes = group_codes(estimate, rows.groups)
        resid = _residual_variances(estimate, rows)
    if not own:
        codes = np.full(len(rows.X), -1)
    products: CrossProducts | None = None
    places: dict[object, int] = {}
    if observed is not None:
        products, places = _products(estimate, read_observed(estimate, observed))
        assert rows.groups is not None
        new = np.array([places.get(label, -1) for label in rows.groups], dtype=int)
        codes = np.where(new >= 0, new + len(estimate.groups), codes)
    used, inverse = np.unique(codes, return_inverse=True)
    found = _seen(estimate, used[used >= 0], products, means)
    codes = np.where(codes < 0, len(found.mean) - 1, inverse - (used < 0).sum())
    return Placed(rows, codes, found, resid)


def _residual_variances(estimate: MixedEstimate, rows: MixedRows) -> Array | None:
    """Of new rows, of weight 1; None where their levels are not known."""
    ratios = level_ratios(estimate)
    if len(ratios) == 1:
        return np.full(len(rows.X), estimate.scale)
    if rows.levels is None:
        return None
    found = estimate.scale * np.append(ratios, np.nan)[rows.levels]
    return np.asarray(found)


def _products(estimate: MixedEstimate, rows: MixedRows) -> tuple[CrossProducts, dict[object, int]]:
    """Products of rows of new groups, and the number of each."""
    fit = estimate.fit
    if not fit.law.independent:
        raise OptionError(
            "observed: errors follow time within groups, and products of new rows that follow "
            "each other are not made; fit the model with these rows"
        )
    assert rows.groups is not None
    assert rows.Z is not None
    assert rows.y is not None
    codes, labels = pd.factorize(rows.groups)
    made = CrossProducts.of_rows(
        rows.Z, rows.X, rows.y, codes, len(labels), fit.law, rows.levels, None, fit.products.basis
    )
    return made, {label: i for i, label in enumerate(labels)}


def _seen(
    estimate: MixedEstimate, used: Array, products: CrossProducts | None, means: bool
) -> Seen:
    """Effects of the groups that are used, those of ``products`` numbered from m on."""
    fit, m = estimate.fit, len(estimate.groups)
    q, p, size = len(estimate.names_re), estimate.labels.P, fit.law.size
    own, new = used[used < m], used[used >= m] - m

    def none(g: int) -> tuple[Array, Array, Array, Array]:
        return (
            np.zeros((g, q, p)), np.zeros((g, q, q)), np.zeros((g, size, p, q)),
            np.zeros((g, size, q, q)),
        )  # fmt: skip

    empty = Seen(np.zeros((1, q)), fit.G[None], np.zeros((1, p, q)), *none(1))
    empty.left[:] = np.eye(q)
    parts = []
    if len(own):
        found = effects_of_groups(estimate)
        slopes = none(len(own))
        if not means:
            slopes = fit.B[own], left_of_change(fit)[own], *moved_by_law(fit, own)
        parts.append(Seen(found.mean[own], found.conditional[own], found.with_b[own], *slopes))
    if len(new) and products is not None:
        found = effects(fit, products)
        slopes = none(len(new))
        if not means:
            of_law = moved_by_law(fit, new, products)[1]
            slopes = slopes[0], left_of_change(fit, products)[new], slopes[2], of_law
        parts.append(Seen(found.mean[new], found.conditional[new], found.with_b[new], *slopes))
    return Seen(*(np.concatenate(arrays) for arrays in zip(*parts, empty, strict=True)))
