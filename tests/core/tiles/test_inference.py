"""Programs of inference over tiles, beside their dense twins."""

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.beta.robust import White
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.tiles.inference import model_based, robust, scores
from tests.core.tiles.shards import in_shards
from tests.core.tiles.systems import system


def _beta(blocks, Y):
    return np.concatenate([np.linalg.lstsq(x, y)[0] for x, y in zip(blocks, Y.T, strict=True)])


def test_factor_scores_are_posterior_means_in_any_rotation():
    blocks, Y, F, d, source = system()
    beta = _beta(blocks, Y)
    cuts = np.cumsum([x.shape[1] for x in blocks])[:-1]
    fitted = [x @ b for x, b in zip(blocks, np.split(beta, cuts), strict=True)]
    E = Y - np.column_stack(fitted)
    right = E @ np.linalg.solve(F @ F.T + np.diag(d), F)
    assert np.abs(scores(source, ALONE, beta, F, d) - right).max() < 1e-12 * np.abs(right).max()
    stop = np.concatenate([[0], np.cumsum(source.p)])
    parts = [source.part(slice(2 * i, 2 * i + 2)) for i in range(2)]
    place = {id(part): at for part, at in parts}

    def program(part, across):
        at = place[id(part)]
        return scores(part, across, beta[stop[at.start] : stop[at.stop]], F[at], d[at])

    for found in in_shards(program, [part for part, _ in parts]):
        assert np.abs(found - right).max() < 1e-12 * np.abs(right).max()


@pytest.mark.parametrize("kind", ["model", "robust"])
def test_diagonals_of_the_blocks_are_the_variances(kind):
    blocks, Y, F, d, source = system()

    def made(whole):
        if kind == "model":
            return model_based(source, ALONE, True, whole, F, d)
        units, beta = Units(source.n), _beta(blocks, Y)
        return robust(source, ALONE, White(), units, 0.5, whole, beta, F, d)

    flat, stop, found = made(True), 0, []
    for p in source.p:
        block = flat[stop : stop + p * p].reshape(p, p)
        assert np.abs(block - block.T).max() <= 1e-12 * np.abs(block).max()
        found.append(np.diagonal(block))
        stop += p * p
    assert stop == len(flat)
    assert np.abs(np.concatenate(found) / made(False) - 1.0).max() < 1e-10
