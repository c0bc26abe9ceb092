"""Derivatives of the likelihood against differences, dense algebra and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.linalg import block_diag
from statsmodels.tools.numdiff import approx_fprime, approx_hess

from sm_alsgls import LowRankDiag, LowRankSUR
from sm_alsgls.exceptions import OptionError
from sm_alsgls.models import likelihood
from sm_alsgls.results.sample import residuals
from tests.systems import simulate


@pytest.fixture(scope="module")
def point():
    """A model whose designs differ, and a point that is not its maximum."""
    X, Y, _ = simulate(40, 5, 3, 1, seed=3)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    X[4] = X[1]  # one object: its columns are shared
    rng = np.random.default_rng(0)
    sigma = LowRankDiag.from_factors(rng.standard_normal((5, 2)), rng.uniform(0.5, 2.0, 5))
    model = LowRankSUR(Y, X, rank=1)
    return model, rng.standard_normal(len(model.exog_names)), sigma


# The log-likelihood is quadratic in beta: central differences have no truncation error, so a
# large step leaves only rounding.
STEP = 0.1


class TestAgainstDifferences:
    def test_score(self, point):
        model, b, sigma = point
        numerical = approx_fprime(b, lambda b: model.loglike(b, sigma), STEP, centered=True)
        np.testing.assert_allclose(model.score(b, sigma), numerical, rtol=1e-9)

    def test_score_obs(self, point):
        model, b, sigma = point

        def rows(b):
            E = residuals(model.endog, model.exog, model.labels.by_equation(b))
            return -0.5 * np.einsum("nk,nk->n", sigma.solve(E), E)

        numerical = approx_fprime(b, rows, STEP, centered=True)
        got = model.score_obs(b, sigma)
        assert got.shape == (40, len(b))
        np.testing.assert_allclose(got, numerical, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(got.sum(axis=0), model.score(b, sigma), rtol=1e-10)

    def test_hessian(self, point):
        model, b, sigma = point
        numerical = approx_hess(b, lambda b: model.loglike(b, sigma), STEP * np.ones(len(b)))
        got = model.hessian(b, sigma)
        np.testing.assert_allclose(got, numerical, rtol=1e-7, atol=1e-7)
        np.testing.assert_array_equal(got, -model.information(b, sigma))
        np.testing.assert_array_equal(got, got.T)

    @pytest.mark.slow
    def test_information_is_the_variance_of_the_score(self, point):
        """Expected, not just observed: E u u' at the truth, by simulation."""
        model, b, sigma = point
        rng = np.random.default_rng(1)
        fitted = model.endog - residuals(model.endog, model.exog, model.labels.by_equation(b))
        scores = [
            LowRankSUR(fitted + sigma.sample(rng, 40), model.exog, rank=1).score(b, sigma)
            for _ in range(1500)
        ]
        expected = model.information(b, sigma)
        scale = np.sqrt(np.diag(expected))
        # Correlations of 1,500 draws have standard errors below 0.026 (0.037 on the diagonal).
        gap = (np.cov(np.transpose(scores)) - expected) / np.outer(scale, scale)
        assert np.abs(gap).max() < 0.15


class TestAgainstDense:
    def test_everything(self, point):
        model, b, sigma = point
        Z = block_diag(*model.exog)
        precision = np.kron(np.linalg.inv(sigma.to_dense()), np.eye(40))
        e = model.endog.T.ravel() - Z @ b
        np.testing.assert_allclose(model.score(b, sigma), Z.T @ precision @ e, rtol=1e-10)
        np.testing.assert_allclose(
            model.information(b, sigma), Z.T @ precision @ Z, rtol=1e-10, atol=1e-10
        )

    def test_blocks_of_rows_add_up(self, point, monkeypatch):
        model, b, sigma = point
        whole = model.information(b, sigma)
        monkeypatch.setattr(likelihood, "_CHUNK", 70)  # 7 rows of 10 distinct columns
        np.testing.assert_allclose(model.information(b, sigma), whole, rtol=1e-12, atol=1e-12)

    def test_one_equation_is_ols(self):
        X, Y, _ = simulate(30, 1, 3, 0, seed=2)
        model, ols = LowRankSUR(Y, X, rank=0), sm.OLS(Y[:, 0], X[0])
        b, s2 = np.array([0.1, -2.0, 1.0]), 1.7
        sigma = LowRankDiag.diagonal([s2])
        np.testing.assert_allclose(model.hessian(b, sigma), ols.hessian(b, scale=s2), rtol=1e-10)
        np.testing.assert_allclose(model.score(b, sigma), ols.score(b, scale=s2), rtol=1e-10)


class TestAtTheFit:
    def test_score_vanishes_and_information_gives_standard_errors(self):
        X, Y, _ = simulate(60, 6, 3, 1, seed=5)
        res = LowRankSUR(Y, X, rank=1).fit(debiased=False)
        score = res.model.score(res.params, res.sigma)
        information = res.model.information(res.params, res.sigma)
        assert np.abs(score / np.sqrt(np.diag(information))).max() < 1e-5
        np.testing.assert_allclose(np.linalg.inv(information), res.cov_params(), rtol=1e-8,
                                   atol=1e-12)  # fmt: skip

    def test_labelled_coefficients_go_by_name(self, point):
        model, b, sigma = point
        series = pd.Series(b, model.exog_names)
        assert model.loglike(series[::-1], sigma) == model.loglike(b, sigma)


class TestErrors:
    @pytest.mark.parametrize("name", ["loglike", "score", "score_obs", "information", "hessian"])
    def test_points_that_do_not_fit(self, point, name):
        model, b, sigma = point
        method = getattr(model, name)
        with pytest.raises(OptionError, match=r"\(params, sigma\) needs .* pass res\.sigma"):
            method(b)
        with pytest.raises(OptionError, match="must be a LowRankDiag or Unrestricted, got ndarray"):
            method(b, sigma.to_dense())
        with pytest.raises(OptionError, match="of 2 equations, the model has 5"):
            method(b, LowRankDiag.diagonal(np.ones(2)))
        with pytest.raises(OptionError, match=f"params must hold {len(b)} coefficients"):
            method(b[1:], sigma)

    def test_too_many_coefficients(self, point, monkeypatch):
        model, b, sigma = point
        monkeypatch.setattr(likelihood, "LARGEST", 5)
        for method in (model.information, model.hessian):
            with pytest.raises(OptionError, match=r"r_matrix"):
                method(b, sigma)
