"""Pairs of levels of a factor of a mixed model's formula."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from statsmodels.formula._manager import FormulaManager

from sm_alsgls.border.arguments import came
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.names import close, listed
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.results.mixed_estimate import MixedEstimate

Array = np.ndarray


class Pairs(NamedTuple):
    """Differences of levels, in the coefficients.

    Attributes
    ----------
    term : object
        The engine's.
    encoding : ndarray, shape (levels, columns)
    contrasts : ndarray, shape (pairs, p)
    labels : list of str
        "b-a": the second of a pair less the first.
    """

    term: object
    encoding: Array
    contrasts: Array
    labels: list[str]


def pairs_of(estimate: MixedEstimate, term_name: Any, factor_labels: Any = None) -> Pairs:
    """All pairs of levels of a term of the fixed effects' formula.

    Raises
    ------
    NotApplicableError
        The model has no formula.
    OptionError
        No term of this name, or one that is no single factor; labels for other than its levels.
    """
    formula = estimate.model.formula_system
    if formula is None:
        raise NotApplicableError(
            "t_test_pairwise compares the levels of a factor of a formula, and the model was made "
            'of arrays; t_test("a = b") compares coefficients by their names'
        )
    spec = formula.specs[0]
    # The engine that read the formula, whatever is statsmodels' now.
    manager, rhs = FormulaManager(spec.engine), spec.rhs
    terms = dict(zip(manager.get_term_names(rhs), rhs.terms, strict=True))
    if not isinstance(term_name, str) or term_name not in terms:
        raise OptionError(
            f"term_name: {came(term_name)} is no term of {spec.formula!r}"
            + close(str(term_name), list(terms), "there are")
        )
    term, p = terms[term_name], estimate.labels.P
    levels = _levels(manager, rhs, term) if len(term.factors) == 1 else ()
    if not levels:
        raise OptionError(
            f"term_name: {term_name!r} is not one categorical variable, whose levels could be "
            'compared; t_test("a = b") compares coefficients by their names'
        )
    if factor_labels is not None:
        named = names_of(factor_labels, "factor_labels", "one for each level")
        if len(named) != len(levels):
            raise OptionError(
                f"factor_labels must list {len(levels)} labels, of {listed(map(repr, levels))}; "
                f"got {len(named)}"
            )
        levels = tuple(named)
    encoding = np.asarray(manager.get_contrast_matrix(term, term.factors[0], rhs), dtype=float)
    first, second = np.triu_indices(len(levels), 1)
    contrasts = np.zeros((len(first), p))
    contrasts[:, manager.get_slice(rhs, term)] = encoding[second] - encoding[first]
    labels = [f"{levels[j]}-{levels[i]}" for i, j in zip(first, second, strict=True)]
    return Pairs(term, encoding, contrasts, labels)


def _levels(manager: FormulaManager, rhs: Any, term: Any) -> tuple[Any, ...]:
    """Levels of a term of one factor, none of a number."""
    factor = term.factors[0]
    if manager.engine == "patsy":
        info = rhs.factor_infos[factor]
        return tuple(info.categories) if info.type == "categorical" else ()
    state = rhs.encoder_state.get(factor, rhs.encoder_state.get(str(factor)))
    return tuple(state[1].get("categories", ())) if state is not None else ()
