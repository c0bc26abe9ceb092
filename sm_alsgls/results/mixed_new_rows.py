"""The rows that a mixed model predicts: regressors, those of random effects, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import check_rows
from sm_alsgls.border.arguments import flag
from sm_alsgls.border.frames import table, to_pandas, with_levels
from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import listed
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.grouped_rows import INTERCEPT, per_row
from sm_alsgls.exceptions import FormulaError, OptionError, ShapeError, UnseenLevelError
from sm_alsgls.formula.mixed import indicated, new_designs
from sm_alsgls.formula.replay import replay, replay_responses
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.new_design import new_design


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows to predict, or to condition on.

    Attributes
    ----------
    index : Index (n,)
    X : ndarray (n, p)
        NaN in a row that misses something.
    Z : ndarray (n, q) or None
        None where no random effects are asked for.
    groups : ndarray of object (n,) or None
        Labels.
    levels : ndarray of int (n,) or None
        Levels of the residual variance; None where they are not known.
    y : ndarray (n,) or None
        Responses.
    """

    index: pd.Index
    X: np.ndarray
    Z: np.ndarray | None
    groups: np.ndarray | None
    levels: np.ndarray | None
    y: np.ndarray | None = None


def read_rows(
    estimate: MixedEstimate,
    exog: Any,
    transform: bool = True,
    *,
    groups: Any = None,
    exog_re: Any = None,
    residual: Any = None,
    random: bool = False,
    try_random: bool = False,
    response: Any = None,
    argument: str = "exog",
) -> MixedRows:
    """New rows in any of the forms that `predict` takes.

    Parameters
    ----------
    random : bool
        Whether random effects are needed: their regressors, and whose the rows are.
    try_random : bool
        Whether their regressors are wanted where they can be made.
    response : array_like (n,) or Series, optional
        Of these rows, aligned by its labels.

    Raises
    ------
    ShapeError, FormulaError, UnseenLevelError, OptionError
    """
    formula, names = estimate.model.formula_system, estimate.names_re
    exog, transform = to_pandas(exog, argument), flag(transform, "transform")
    if formula is None or not transform:
        X, labels = new_design(exog, argument, estimate.labels.params, estimate.model.named[0])
        frame = exog if isinstance(exog, pd.DataFrame) else None
        Z, labels = _random_design(
            estimate, exog, exog_re, len(X), labels, frame, random, try_random
        )
        index = pd.RangeIndex(len(X)) if labels is None else labels
        levels, labelled = None, labels is not None
    else:
        frame = with_levels(table(exog, argument), (formula.groups, formula.time))
        if exog_re is not None:
            raise OptionError(
                f"exog_re: formulas make the regressors of {listed(map(repr, names))} from the "
                "data; leave it out, or pass transform=False with designs"
            )
        design, design_re = _of_formula(estimate, frame, random, try_random)
        X, index, labelled = design.to_numpy(dtype=float), design.index, True
        Z = None if design_re is None else design_re.to_numpy(dtype=float)
        levels = _levels_of_formula(estimate, frame)
    source = Provenance(index, frame=frame, labelled=labelled)
    if groups is None and random:
        groups = _default_groups(estimate, frame)
    label = None
    if groups is not None:
        label = per_row(groups, "groups", source).to_numpy(dtype=object)
    if residual is not None:
        levels = _level_codes(estimate, per_row(residual, "residual", source))
    y = None
    if response is not None:
        y = numbers(per_row(response, "observed: endog", source), "observed: endog", ShapeError)
    return MixedRows(index, X, Z, label, levels, y)


def _of_formula(
    estimate: MixedEstimate, frame: pd.DataFrame, needed: bool, wanted: bool
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Designs of data; of random effects that are only wanted None where their columns lack."""
    formula = estimate.model.formula_system
    assert formula is not None
    try:
        return new_designs(formula, frame, random=needed or wanted)
    except UnseenLevelError:
        raise
    except FormulaError:
        if needed:
            raise
        return new_designs(formula, frame, random=False)


def _random_design(
    estimate: MixedEstimate,
    exog: Any,
    exog_re: Any,
    n: int,
    labels: pd.Index | None,
    frame: pd.DataFrame | None,
    needed: bool,
    wanted: bool,
) -> tuple[np.ndarray | None, pd.Index | None]:
    """Regressors of the random effects: given, else columns of the same names, else the constant.

    With the labels of the rows, ``labels`` those of exog.

    Raises
    ------
    ShapeError
    """
    names = estimate.names_re
    if exog_re is None and not (needed or wanted):
        return None, labels
    if exog_re is None and names == [INTERCEPT]:
        return np.ones((n, 1)), labels
    if exog_re is None:
        known = set(estimate.labels.params if frame is None else map(str, frame.columns))
        if not set(names) <= known and not needed:
            return None, labels
        if not set(names) <= known:
            raise ShapeError(
                f"exog_re is missing: the random effects {listed(map(repr, names))} need their "
                "regressors, (n, q) as the model's"
            )
        exog_re = exog
    named = estimate.model.named[1]
    Z, other = new_design(to_pandas(exog_re, "exog_re"), "exog_re", names, named)
    if len(Z) != n:
        raise ShapeError(f"exog_re has {len(Z)} rows, exog has {n}")
    if labels is not None and other is not None:
        check_rows(other, labels, "exog_re", ShapeError)
    return Z, other if labels is None else labels


def _default_groups(estimate: MixedEstimate, frame: pd.DataFrame | None) -> Any:
    """The column of the data that the model's groups were."""
    name = estimate.groups.name
    if frame is not None and name in frame.columns:
        return frame[name]
    raise ShapeError(
        f"groups= is missing: the effects of a group are asked for, and the data have no column "
        f"{name!r} that says whose each row is"
    )


def _levels_of_formula(estimate: MixedEstimate, frame: pd.DataFrame) -> np.ndarray | None:
    """Levels of the residual variance of new data, where a formula makes them and can."""
    formula = estimate.model.formula_system
    labels = getattr(estimate.fit.law, "labels", None)
    if formula is None or labels is None or len(formula.specs) < 3:
        return None
    spec = formula.specs[2]
    try:
        made = replay([spec], frame, formula.scope)[0]
    except UnseenLevelError:
        raise
    except FormulaError:
        return None  # the data lack its columns: means need none
    there = made.notna().all(axis=1).to_numpy()
    codes = np.full(len(made), -1)
    if there.any():
        found, names = indicated(made.loc[there], spec.formula)
        codes[there] = _places(names, labels)[found]
    return codes


def _level_codes(estimate: MixedEstimate, column: pd.Series) -> np.ndarray:
    """Numbers of the levels that labels name.

    Raises
    ------
    OptionError, UnseenLevelError
    """
    labels = getattr(estimate.fit.law, "labels", None)
    if labels is None:
        raise OptionError(
            "residual: the model has one residual variance, and no levels of it; leave it out"
        )
    codes, found = pd.factorize(column.astype(object))
    return np.append(_places([str(label) for label in found], labels), -1)[codes]


def _places(names: list[str], labels: tuple[str, ...]) -> np.ndarray:
    place = {label: i for i, label in enumerate(labels)}
    unseen = [repr(name) for name in names if name not in place]
    if unseen:
        raise UnseenLevelError(
            f"residual: the model has no residual variance of {listed(unseen)}; it has those of "
            f"{listed(map(repr, labels))}"
        )
    return np.array([place[name] for name in names], dtype=int)


def group_codes(estimate: MixedEstimate, labels: np.ndarray) -> np.ndarray:
    """Number of each row's group (n,), -1 of one that the model has not seen.

    Raises
    ------
    UnseenLevelError
        A label is text where the model's are numbers, or the other way round.
    ShapeError
        A label is missing.
    """
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise ShapeError(f"groups: the label of row {int(missing[0])} is missing")
    place = {label: i for i, label in enumerate(estimate.groups)}
    codes = np.array([place.get(label, -1) for label in labels], dtype=int)
    if (codes < 0).any():
        spelt = {str(label): label for label in estimate.groups}
        for label in dict.fromkeys(labels[codes < 0]):
            if str(label) in spelt:
                known = spelt[str(label)]
                raise UnseenLevelError(
                    f"groups: {label!r} ({type(label).__name__}) is no group of the model, which "
                    f"has {known!r} ({type(known).__name__}); pass labels of the same type"
                )
    return codes


def read_observed(estimate: MixedEstimate, observed: Any) -> MixedRows:
    """Rows with responses, of groups that the model has not seen.

    Parameters
    ----------
    observed : DataFrame, or mapping with endog, exog, groups, exog_re, residual
        A DataFrame where the model is made from formulas.

    Raises
    ------
    ShapeError, OptionError, FormulaError
    """
    formula = estimate.model.formula_system
    if formula is not None:
        frame = with_levels(table(observed, "observed"), (formula.groups, formula.time))
        rows = read_rows(estimate, frame, random=True, argument="observed")
        y = replay_responses(formula.specs[:1], frame, formula.scope)[0]
        if y is None:
            raise ShapeError(
                f"observed lacks the response {estimate.model.endog_names!r}, of which the "
                "effects of its groups are predicted"
            )
    else:
        known = ("endog", "exog", "groups", "exog_re", "residual")
        if not isinstance(observed, dict) or not {"endog", "exog", "groups"} <= set(observed):
            raise ShapeError(
                "observed is a mapping with endog, exog, groups and, where the model has them, "
                "exog_re and residual; of a model made from formulas a DataFrame"
            )
        strange = [repr(name) for name in observed if name not in known]
        if strange:
            raise OptionError(f"observed has {listed(strange)}; it takes {listed(known)}")
        rows = read_rows(
            estimate,
            observed["exog"],
            groups=observed["groups"],
            exog_re=observed.get("exog_re"),
            residual=observed.get("residual"),
            random=True,
            response=observed["endog"],
            argument="observed",
        )
        y = rows.y
    labels, Z = rows.groups, rows.Z
    assert labels is not None
    assert Z is not None
    assert y is not None
    known_groups = group_codes(estimate, labels) >= 0
    if known_groups.any():
        raise OptionError(
            f"observed: {shown(labels[known_groups][0])} is a group of the fit, whose rows are "
            "used as they are; pass rows of new groups"
        )
    there = np.isfinite(rows.X).all(axis=1) & np.isfinite(Z).all(axis=1) & np.isfinite(y)
    levels = rows.levels
    if estimate.fit.law.independent and estimate.fit.law.size and levels is None:
        raise OptionError(
            "observed: residual variances differ between levels, and the level of its rows is not "
            "known; give the columns that residual= is made of"
        )
    if levels is not None:
        there &= levels >= 0
    if depth(y) != 1 or not there.any():
        raise ShapeError("observed has no row that misses nothing")
    return MixedRows(
        rows.index[there],
        rows.X[there],
        Z[there],
        labels[there],
        None if levels is None else levels[there],
        y[there],
    )
