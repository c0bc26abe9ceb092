"""Which variances cannot be told apart: known cases, and the information against whole matrices."""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.identified import inseparable
from sm_alsgls.core.mixed.residual_laws import Common, Levels
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from tests.core.mixed import dense


def taxa(m=30, K=3, replicates=1):
    """A row (or more) of each of K outcomes of m subjects, effects of outcomes."""
    codes = np.repeat(np.arange(m), K * replicates)
    level = np.tile(np.repeat(np.arange(K), replicates), m)
    Z = np.eye(K)[level]
    y = np.random.default_rng(0).standard_normal(len(codes))
    return Z, np.ones((len(codes), 1)), y, codes, m, level


def found(structure, law, replicates=1):
    Z, X, y, codes, m, level = taxa(replicates=replicates)
    products = CrossProducts.of_rows(Z, X, y, codes, m, law, level)
    return inseparable(products, structure, law)


LEVELS = Levels(("a", "b", "c"))


@pytest.mark.parametrize("structure", [Diagonal(3), LowRank(3, 1), Unstructured(3)])
def test_one_row_of_each_outcome_is_no_more_than_its_uniqueness(structure):
    one = found(structure, Common())
    assert (one.number, one.terms.tolist(), one.effects.tolist()) == (1, [True], [True] * 3)
    # With a variance an outcome there are three flat directions, and none without uniquenesses.
    each = found(structure, LEVELS)
    assert (each.number, each.terms.tolist()) == (3, [True] * 3)
    assert found(structure, LEVELS, replicates=2).number == 0
    assert found(structure, Common(), replicates=2).number == 0


def test_only_the_level_that_is_seen_once_is_named():
    Z, X, y, codes, m, level = taxa()
    more = level > 0
    # Two rows of outcomes b and c, one of a.
    at = np.concatenate([np.arange(len(y)), np.flatnonzero(more)])
    products = CrossProducts.of_rows(Z[at], X[at], y[at], codes[at], m, LEVELS, level[at])
    one = inseparable(products, Diagonal(3), LEVELS)
    assert one.number == 1
    assert one.terms.tolist() == one.effects.tolist() == [True, False, False]


def test_loadings_alone_can_be_told_from_residual_variances():
    assert found(LoadingsOnly(3, 1), LEVELS).number == 0
    assert found(LoadingsOnly(3, 1), Common()).number == 0


@pytest.mark.parametrize("law", ["common", "levels", "ar"])
def test_a_general_design_tells_everything_apart(law):
    d = dense.data(law=law, m=30)
    for structure in (Diagonal(3), LowRank(3, 1), Unstructured(3), LoadingsOnly(3, 2)):
        one = inseparable(d.products(), structure, d.law)
        assert (one.number, one.terms.any(), one.effects.any()) == (0, False, False)


def test_columns_that_say_the_same_are_named():
    d = dense.data(m=30)
    twice = replace(d, Z=np.column_stack([d.Z, d.Z[:, 1]]))
    one = inseparable(twice.products(), Diagonal(4), d.law)
    assert (one.number, one.terms.any()) == (1, False)
    assert one.effects.tolist() == [False, True, False, True]
