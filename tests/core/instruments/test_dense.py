"""Standard errors beside what all equations contain, against brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.instruments import dense, dual
from sm_alsgls.core.instruments.beside import BesideFaces
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.iv import IVForm
from sm_alsgls.covariance import LowRankDiag
from tests.core.instruments.twin import Twin, system


def _constant(rng):
    return system(rng, 40, 4, 1)[:2]


def _nothing(rng):
    blocks, instruments = system(rng, 40, 4, 1)[:2]
    # Noise in the constants of one equation and its instruments.
    blocks[2][:, 0] = instruments[2][:, 0] = rng.standard_normal(40)
    return blocks, instruments


def _turned(rng):
    """The constant is a combination of regressors, in other units and at other places."""
    blocks, instruments = _constant(rng)
    for j, X in enumerate(blocks):
        T = rng.standard_normal((X.shape[1] - 1,) * 2)
        X[:, :-1] = X[:, :-1] @ T * 10.0 ** (j - 1)
    return [X[:, ::-1] for X in blocks], instruments


def _first_stages(rng):
    """All first stages are the constant, and no regressor is."""
    blocks, instruments = [], []
    for q in (2, 3, 2, 3):
        Z = np.column_stack([np.ones(40), rng.standard_normal((40, q - 1))])
        u = rng.standard_normal(40)
        u -= Z @ np.linalg.lstsq(Z, u)[0]
        blocks.append((1.0 + u)[:, None])
        instruments.append(Z)
    return blocks, instruments


def _nothing_beside(rng):
    """An equation has the constant only."""
    blocks, instruments = _constant(rng)
    blocks[1] = np.ones((40, 1))
    return blocks, instruments


def _all_equal(rng):
    blocks, instruments = _constant(rng)
    return [blocks[2]] * 4, [instruments[2]] * 4


KINDS = {
    "constant": (_constant, 1),
    "nothing": (_nothing, 0),
    "turned": (_turned, 1),
    "first stages": (_first_stages, 0),
    "nothing beside": (_nothing_beside, 1),
    "all equal": (_all_equal, 2),
}


@pytest.mark.parametrize("route", ["dense", "dual", "one by one"])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks(kind, route, monkeypatch):
    rng = np.random.default_rng(11)
    make, common = KINDS[kind]
    blocks, instruments = make(rng)
    cov = LowRankDiag.from_factors(rng.standard_normal((4, 2)), rng.uniform(0.5, 1.5, 4))
    Y = rng.standard_normal((40, 4))
    twin = Twin(blocks, instruments, Y, cov.to_dense())
    design = Instrumented(blocks, instruments)
    parts = BesideFaces(design)
    assert parts.P == design.P - 4 * common
    if route == "dense":
        monkeypatch.setattr(dual.DualIV, "flops", staticmethod(lambda *_: np.inf))
    else:
        monkeypatch.setattr(dense, "MEMORY", -1)
        if route == "one by one":
            monkeypatch.setattr(dual, "_MEMORY", 0)
    expected, seen = twin.cov("iv"), []
    for equations, found in IVForm(design, cov).blocks():
        for j, block in zip(equations, found, strict=True):
            M, at = design.beta_map(int(j)), design.columns(int(j))
            assert_allclose(M @ block @ M.T, expected[at, at], rtol=1e-8, atol=1e-10)
            seen.append(int(j))
    assert sorted(seen) == [0, 1, 2, 3]
