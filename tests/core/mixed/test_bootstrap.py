"""Refits of drawn responses, and shares of variance against performance."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.bootstrap import refits
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.r_squared import shares
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.simulation import Draws
from sm_alsgls.core.mixed.structures import LowRank, Unstructured
from tests.core.mixed import dense
from tests.core.mixed.references import rows, values

LME4 = {name: fit for name, fit in values("lme4").items() if "r2" in fit}


# Of products and of rows; each law's draws are in test_likelihood_ratio.py.
@pytest.mark.parametrize("law", ["common", "levels ar"])
@pytest.mark.slow
def test_refits_vary_as_the_model_says(law):
    d = dense.data(seed=4, m=60, q=3, p=2, law=law, sizes=(5, 9))
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=2)
    how = {"rows": d.mixed_rows} if "ar" in law else {}
    made = refits(fit, 50, np.random.default_rng(0), **how)
    assert made.converged.mean() > 0.95
    error = np.sqrt(np.diagonal(fit.cov_b))
    assert (abs(made.b.mean(axis=0) - fit.b) < 4.0 * error / np.sqrt(50)).all()
    # Of a standard deviation of 50 draws the standard error is a tenth.
    np.testing.assert_allclose(made.b.std(axis=0), error, rtol=0.3)
    np.testing.assert_allclose(made.se.mean(axis=0), error, rtol=0.1)
    np.testing.assert_allclose(made.s2.mean(), fit.s2, rtol=0.1)
    np.testing.assert_allclose(np.trace(made.G.mean(axis=0)), np.trace(fit.G), rtol=0.15)
    if fit.law.size:
        np.testing.assert_allclose(made.theta.mean(axis=0), fit.theta, atol=0.1)


def test_draws_are_those_of_the_seed_one_by_one():
    d = dense.data(seed=4, m=20, sizes=(4, 9))
    fit = mixed_fit(d.products(), Unstructured(3), d.law, n_starts=1)
    one = refits(fit, 4, np.random.default_rng(7))
    two = refits(fit, 2, np.random.default_rng(7))
    np.testing.assert_array_equal(one.b[:2], two.b)
    last = Draws(fit).one(np.random.default_rng(7).spawn(4)[3])
    alone = mixed_fit(last, fit.structure, fit.law, n_starts=1, first=fit)
    np.testing.assert_array_equal(one.b[3], alone.b)


def test_a_seed_is_one_draw_whatever_signs_lapack_chooses(monkeypatch):
    """Other kernels of BLAS, on another CPU, turn eigenvectors and triangles round."""
    d = dense.data(seed=4, m=20, sizes=(4, 9))
    start = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1)

    def drawn():
        fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1, first=start)
        return np.abs(Draws(fit).one(np.random.default_rng(3)).C)

    here = drawn()
    eigh, qr = np.linalg.eigh, np.linalg.qr

    def turned(A):
        values, vectors = eigh(A)
        return values, vectors * np.where(np.arange(vectors.shape[-1]) % 2, 1.0, -1.0)

    def other(A, mode="reduced"):
        if mode != "r":
            return qr(A, mode)
        R = qr(A, mode)
        return np.where(np.arange(len(R)) % 2, 1.0, -1.0)[:, None] * R

    monkeypatch.setattr(np.linalg, "eigh", turned)
    monkeypatch.setattr(np.linalg, "qr", other)
    np.testing.assert_allclose(drawn(), here, rtol=1e-6, atol=1e-6 * here.max())


@pytest.mark.parametrize("name", LME4)
def test_performance(name):
    fit = LME4[name]
    data = rows(fit)
    products = CrossProducts.of_rows(
        data.Z, data.X, data.y, data.codes, len(data.groups),
        weights=data.weights if fit["weighted"] else None,
    )  # fmt: skip
    found = mixed_fit(products, Unstructured(data.Z.shape[1]), Common(), reml=name.endswith("REML"))
    made = shares(data.X, data.Z, found.b, found.G, found.s2)
    r2 = fit["r2"]
    np.testing.assert_allclose(
        [made.marginal, made.conditional, made.adjusted, made.unadjusted],
        [r2["marginal"], r2["conditional"], r2["icc_adjusted"], r2["icc_unadjusted"]],
        rtol=1e-5,
    )
