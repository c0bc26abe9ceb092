"""Blocks of H^-1 over tiles and shards, beside dense twins and `LowRankSUR`."""

import itertools

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.core.tiles.variance import TileVariance
from sm_alsgls.results.covariance import sigma_inference
from tests.core.tiles.shards import in_shards
from tests.core.tiles.systems import Counting, Listed, dense, system

SHAPES = [
    {},
    {"constant": False},
    {"r": 1, "sizes": (3,), "p": (2,)},
    {"r": 4, "sizes": (20, 7), "p": (1, 5), "constant": False},
    {"r": 3, "sizes": (9, 8), "p": (1, 3)},  # equations of a constant alone
    {"r": 2, "sizes": (30,), "p": (3,), "strength": 30.0},
    {"r": 0, "sizes": (3, 2), "p": (2, 3)},
]


def _relative(found, right):
    return np.abs(np.asarray(found) / np.asarray(right) - 1.0).max()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_are_those_of_the_dense_inverse(shape, threads):
    blocks, _, F, d, source = system(**shape)
    V = dense(blocks, F, d)[0]
    found = TileVariance(source, F, d, threads=threads)
    assert _relative(found.variances(), np.diagonal(V)) < 1e-10
    at = 0
    for part in found.blocks():
        for block in part:
            p = len(block)
            own = V[at : at + p, at : at + p]
            size = np.sqrt(np.diagonal(own))
            assert np.abs((block - own) / np.outer(size, size)).max() < 1e-10
            at += p
    assert at == len(V)


def test_lanes_give_the_same_bits_again():
    *_, F, d, source = system(sizes=(5, 9, 4, 6))
    one = [TileVariance(source, F, d, threads=2).variances() for _ in range(3)]
    assert all(np.array_equal(one[0], other) for other in one)


@pytest.mark.parametrize("cuts", [(2,), (1, 3)])
@pytest.mark.parametrize("constant", [True, False])
def test_shards_have_what_one_has(cuts, constant):
    *_, F, d, source = system(constant=constant)
    whole = TileVariance(source, F, d, estimated=True).variances()
    edges = [0, *cuts, len(source.bounds)]

    def program(tiles, across):
        part, at = source.part(tiles)
        return TileVariance(part, F[at], d[at], across, estimated=True).variances()

    found = in_shards(program, [slice(*cut) for cut in itertools.pairwise(edges)])
    assert _relative(np.concatenate(found), whole) < 1e-12


def test_half_of_a_symmetric_matrix_travels():
    n, r = 40, 2
    *_, F, d, source = system(n=n, r=r, constant=False)

    def program(tiles, across):
        part, at = source.part(tiles)
        counting = Counting(across)
        TileVariance(part, F[at], d[at], counting).variances()
        return counting.bytes

    sent, same = in_shards(program, [slice(0, 2), slice(2, 4)])
    assert sent == same
    blocks = 8 * (r * (r + 1) // 2) * (n * (n + 1) // 2)
    assert blocks < sent < blocks + 8 * (n * n + 50)


def test_a_direction_that_one_later_design_lacks_is_not_common():
    """Nor one that the tiles lack that are not looked at beforehand, in a single equation."""
    blocks, Y, F, d, _ = system(sizes=(4, 4, 4, 4, 4), p=(3,) * 5)
    sizes = (4,) * 5
    assert TileVariance(Listed(blocks, Y, sizes), F, d).dual.common.shape == (40, 1)
    blocks[6] = blocks[6].copy()
    blocks[6][3, -1] += 1e-3
    source = Listed(blocks, Y, sizes)
    found = TileVariance(source, F, d)
    assert found.dual.common.shape == (40, 0)
    assert _relative(found.variances(), np.diagonal(dense(blocks, F, d)[0])) < 1e-9


def test_of_two_directions_one_stays_common():
    """Whatever basis of the two a pass began with: constant and trend, and a tile without trend."""
    rng = np.random.default_rng(7)
    n, trend = 40, np.linspace(-1.0, 1.0, 40)
    blocks = [np.column_stack([trend, np.ones(n), rng.standard_normal(n)]) for _ in range(20)]
    blocks[6:9] = [np.column_stack([np.ones(n), rng.standard_normal((n, 2))]) for _ in range(3)]
    F, d = rng.standard_normal((20, 2)), rng.uniform(0.5, 1.5, 20)
    found = TileVariance(Listed(blocks, np.zeros((n, 20)), (4,) * 5), F, d)
    assert found.dual.common.shape == (n, 1)
    assert np.abs(np.abs(found.dual.common) - n**-0.5).max() < 1e-9
    assert _relative(found.variances(), np.diagonal(dense(blocks, F, d)[0])) < 1e-10


def test_shards_agree_on_what_is_common():
    """A shard that has more in common than the others keeps what all have."""
    rng = np.random.default_rng(3)
    trend, n = np.linspace(-1.0, 1.0, 40), 40
    blocks = [np.column_stack([np.ones(n), trend, rng.standard_normal(n)]) for _ in range(6)]
    blocks += [np.column_stack([np.ones(n), rng.standard_normal((n, 2))]) for _ in range(6)]
    F, d = rng.standard_normal((12, 2)), rng.uniform(0.5, 1.5, 12)
    source = Listed(blocks, np.zeros((n, 12)), (3, 3, 4, 2))

    def program(tiles, across):
        part, at = source.part(tiles)
        made = TileVariance(part, F[at], d[at], across)
        return made.variances(), made.dual.common

    (a, common), (b, same) = in_shards(program, [slice(0, 2), slice(2, 4)])
    assert np.array_equal(common, same)
    assert common.shape == (n, 1)
    assert np.abs(np.abs(common) - n**-0.5).max() < 1e-12
    assert _relative(np.concatenate([a, b]), np.diagonal(dense(blocks, F, d)[0])) < 1e-10


def test_equal_designs_are_least_squares():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((30, 3))
    F, d = rng.standard_normal((7, 2)), rng.uniform(0.5, 1.5, 7)
    source = Listed([x] * 7, np.zeros((30, 7)), (4, 3))
    own = np.diagonal(np.linalg.inv(x.T @ x))
    right = np.outer(np.square(F).sum(axis=1) + d, own).ravel()
    for estimated in (False, True):
        found = TileVariance(source, F, d, estimated=estimated).variances()
        assert _relative(found, right) < 1e-12


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("K", "n", "p", "r"), [(20, 60, 3, 2), (9, 25, 2, 1), (60, 30, 3, 4)])
def test_standard_errors_are_those_of_the_fit(K, n, p, r, constant):
    """With the Sigma of either kind: as fitted, or that of intervals with its stretch."""
    rng = np.random.default_rng(K)
    X = rng.standard_normal((K, n, p))
    if constant:
        X[:, :, 0] = 1.0
    Y = rng.standard_normal((n, r)) @ rng.standard_normal((r, K)) + rng.standard_normal((n, K))
    source = ArraySource(X, Y, size=8)
    model = LowRankSUR(Y, list(X), rank=r)
    fit = model.fit(debiased=False)
    made = TileVariance(source, fit.sigma.loadings, fit.sigma.uniquenesses)
    assert _relative(np.sqrt(made.variances()), np.ravel(fit.bse)) < 1e-10
    fit = model.fit()
    sigma = sigma_inference(fit.estimate)
    made = TileVariance(source, sigma.loadings, sigma.uniquenesses, estimated=True)
    assert _relative(np.sqrt(made.variances()), np.ravel(fit.bse)) < 1e-10


def test_dependent_columns_say_which_equation_of_the_whole_system():
    blocks, Y, F, d, _ = system()
    blocks[12] = np.column_stack([blocks[12][:, :2], blocks[12][:, :2]])
    part, at = Listed(blocks, Y, (5, 1, 4, 6)).part(slice(2, 4))
    with pytest.raises(DependentColumnsError) as told:
        TileVariance(part, F[at], d[at]).variances()
    assert told.value.equation == 12


def test_what_a_source_raises_ends_the_pass():
    *_, F, d, source = system()

    class LostError(Exception):
        pass

    class Failing(Listed):
        def read(self, t):
            if t == 1:  # which is looked at in passes only
                raise LostError
            return source.read(t)

    failing = Failing(source._blocks, source._Y, (5, 1, 4, 6))
    for threads in (1, 2, 4):
        with pytest.raises(LostError):
            TileVariance(failing, F, d, threads=threads).variances()
