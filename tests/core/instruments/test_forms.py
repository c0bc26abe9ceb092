"""3SLS, GMM and 2SLS given Sigma, by every route, against brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.instruments import dual, gmm, iv
from sm_alsgls.core.instruments.base import through_factors
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.gmm import GMMForm, OverIdentified, RobustGMMForm
from sm_alsgls.core.instruments.iv import IVForm
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.unrestricted import Unrestricted
from sm_alsgls.exceptions import InstrumentError
from tests.core.instruments.twin import Twin, system

FORMS = {
    "iv": IVForm,
    "gmm": GMMForm,
    "2sls": lambda design, cov: GMMForm(design, cov, over=False),
}


_MANY = {"q": (3, 4) * 6, "p": (2, 3) * 6}


def _shapes():
    yield "own", {}
    yield "two factors", {"r": 2}
    yield "exactly identified", {"q": (3, 2, 3, 3), "p": (3, 2, 3, 3)}
    yield "some exactly", {"q": (4, 2, 3, 5), "p": (2, 2, 3, 3)}
    yield "many", {"N": 30, "K": 12, "r": 2, "q": (3, 4) * 6, "p": (2, 3) * 6}


@pytest.fixture(params=list(_shapes()), ids=lambda s: s[0])
def shape(request):
    return request.param[1]


@pytest.fixture(params=["low rank", "unrestricted"])
def made(shape, request):
    blocks, instruments, Y, F, d = system(np.random.default_rng(3), **shape)
    if request.param == "low rank":
        cov = LowRankDiag.from_factors(F, d)
    else:
        A = np.random.default_rng(4).standard_normal((3 * len(d), len(d)))
        cov = Unrestricted.from_dense(F @ F.T + np.diag(d) + A.T @ A / 9)
    design = Instrumented(blocks, instruments)
    return design, Y, cov, Twin(blocks, instruments, Y, cov.to_dense())


def _to_beta(design, V):
    M = design.on_flat(np.eye(design.P))
    return M.T @ V @ M


@pytest.fixture(params=["direct", "iterative"])
def route(request, monkeypatch):
    if request.param == "iterative":
        monkeypatch.setattr(iv, "_STEPS", 0)
        monkeypatch.setattr(gmm, "_SMALL", -1)
        monkeypatch.setattr(gmm, "_MEMORY", 0)


@pytest.mark.parametrize("method", FORMS)
def test_coefficients_and_covariance(method, made, route):
    design, Y, cov, twin = made
    form = FORMS[method](design, cov)
    found = form.solve(Y)
    assert found.converged
    assert_allclose(design.to_params(found.gamma), twin.beta(method), rtol=1e-8, atol=1e-9)
    whole = form.cross(*(np.eye(design.P),) * 2)
    expected = twin.cov(method)
    assert_allclose(_to_beta(design, whole), expected, rtol=1e-8, atol=1e-10)
    for j in range(design.K):
        at = design.equation_slice(j)
        assert_allclose(form.block(j), whole[at, at], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", FORMS)
@pytest.mark.parametrize("memory", [0, 1e12])
def test_blocks_by_both_routes(method, memory, made, monkeypatch):
    monkeypatch.setattr(dual, "_MEMORY", memory)
    if memory:
        monkeypatch.setattr(iv.DualIV, "flops", staticmethod(lambda *_: 0.0))
        monkeypatch.setattr(gmm.DualGMM, "flops", staticmethod(lambda *_: 0.0))
    design, _, cov, twin = made
    seen = 0
    for equations, blocks in FORMS[method](design, cov).blocks():
        for j, block in zip(equations, blocks, strict=True):
            M, at = design.beta_map(j), design.columns(j)
            assert_allclose(M @ block @ M.T, twin.cov(method)[at, at], rtol=1e-8, atol=1e-10)
            seen += 1
    assert seen == design.K


@pytest.mark.parametrize("method", FORMS)
def test_influences(method, made, route):
    design, Y, cov, twin = made
    form = FORMS[method](design, cov)
    E = np.random.default_rng(5).standard_normal(Y.shape)
    rows = form.scores(design, E) @ form.pull(design.on_flat(np.eye(design.P)))
    assert_allclose(rows.T, twin.influences(method, E), rtol=1e-7, atol=1e-10)


def test_j_is_the_criterion_at_its_minimum(made, route):
    design, Y, cov, twin = made
    J = OverIdentified(design, cov).statistic(Y)
    assert_allclose(J, twin.J(), rtol=1e-8, atol=1e-9)
    # Whatever the coefficients: residuals have the same over-identifying moments.
    E = Y - design.fitted(np.arange(design.P) / 10.0)
    assert_allclose(OverIdentified(design, cov).statistic(E), J, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", FORMS)
def test_tied_coefficients(method, made):
    design, Y, cov, twin = made
    rng = np.random.default_rng(6)
    L = np.linalg.qr(rng.standard_normal((design.P, 3)))[0]
    form = FORMS[method](design, cov)
    g = form.projection(L) @ form.solve(Y).gamma
    # The same by brute force, in beta = M L g.
    ML = design.on_flat(np.eye(design.P)).T @ L
    X = twin.X @ ML
    if method == "2sls":
        # Least squares of first stages in gamma, where these are orthonormal.
        hat = twin.hat @ ML
        expected = np.linalg.solve(hat.T @ X, hat.T @ twin.y)
    elif method == "iv":
        left = (twin.hat @ ML).T @ twin.inverse
        expected = np.linalg.solve(left @ X, left @ twin.y)
    else:
        G = twin.Z.T @ X
        left = G.T @ np.linalg.inv(twin.Z.T @ twin.Omega @ twin.Z)
        expected = np.linalg.solve(left @ G, left @ twin.Z.T @ twin.y)
    assert_allclose(g, expected, rtol=1e-7, atol=1e-9)


def test_heteroscedastic_weight():
    blocks, instruments, Y, _, _ = system(np.random.default_rng(7), N=90)
    design = Instrumented(blocks, instruments)
    E = Y - design.fitted(design.project(Y))
    form = RobustGMMForm(design, E)
    twin = Twin(blocks, instruments, Y, np.eye(4))
    s = np.concatenate([Z * E[:, [j]] for j, Z in enumerate(instruments)], axis=1)
    G = twin.Z.T @ twin.X
    V = np.linalg.inv(G.T @ np.linalg.solve(s.T @ s, G))
    beta = V @ G.T @ np.linalg.solve(s.T @ s, twin.Z.T @ twin.y)
    assert_allclose(design.to_params(form.solve(Y).gamma), beta, rtol=1e-8)
    assert_allclose(_to_beta(design, form.cross(*(np.eye(design.P),) * 2)), V, rtol=1e-8)
    m = twin.Z.T @ (twin.y - twin.X @ beta)
    assert_allclose(form.statistic(Y), m @ np.linalg.solve(s.T @ s, m), rtol=1e-8)
    rows = form.scores(design, E) @ form.pull(np.eye(design.P))
    assert_allclose(rows.T @ rows, form.cross(*(np.eye(design.P),) * 2), rtol=1e-8)
    # 2SLS residuals are orthogonal to their first stages, which takes the last direction.
    for N in (12, 15):
        few = Instrumented([X[:N] for X in blocks], [Z[:N] for Z in instruments])
        with pytest.raises(InstrumentError, match=f"15 moments from {N} rows"):
            RobustGMMForm(few, E[:N])


def test_what_is_left_of_the_equations_is_in_standard_errors(monkeypatch):
    blocks, instruments, Y, F, d = system(np.random.default_rng(8))
    Y = Y * [1e-3, 1.0, 1e3, 1.0]
    cov = LowRankDiag.from_factors(F, d).scaled([1e-3, 1.0, 1e3, 1.0])
    form = GMMForm(Instrumented(blocks, instruments), cov)
    assert form.solve(Y).residual < 1e-10
    solve = OverIdentified.solve
    monkeypatch.setattr(OverIdentified, "solve", lambda *of: (1.01 * solve(*of)[0], 0))
    c = form.design.over.project(Y)
    size = np.sqrt(form.design.over.expand(cov.diag()))
    assert_allclose(form.solve(Y).residual, 0.01 * np.linalg.norm(c / size), rtol=1e-8)


@pytest.mark.parametrize("least", [1.0, 1e-8])
def test_products_with_and_without_small_uniquenesses(least):
    """Through the factors, and where D^-1 - G G' would cancel through Sigma^-1 itself."""
    blocks, instruments, _, F, d = system(np.random.default_rng(5), N=30, K=12, r=2, **_MANY)
    d[3] *= least
    cov = LowRankDiag.from_factors(F, d)
    design = Instrumented(blocks, instruments)
    form = IVForm(design, cov)
    g = np.random.default_rng(6).standard_normal(design.P)
    expected = design.project(cov.solve(design.fitted(g)))
    assert_allclose(form.apply(g), expected, rtol=1e-11, atol=1e-11)
    assert (form._factors is None) == (least < 1.0)


def test_what_is_carried_through_factors():
    blocks, instruments, _, F, _ = system(np.random.default_rng(7), N=30, K=12, r=2, **_MANY)
    design = Instrumented(blocks, instruments)
    a = np.random.default_rng(8).standard_normal(design.P)
    found = through_factors(a, F, design.face_tiles(5), design.tiles(3))
    assert_allclose(found, design.project(design.fitted(a) @ F @ F.T), rtol=0, atol=1e-12)
