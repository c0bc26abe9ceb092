"""The likelihood of a Sigma nearby, from what a Sigma-step begins with."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.sigma.block_spectrum import BlockSpectrum
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.objective_at import objective_at
from sm_alsgls.core.sigma.spectrum import DenseSpectrum
from sm_alsgls.covariance import LowRankDiag
from tests.core import systems


def twin(E, N, cov):
    """log|Sigma| and tr(S Sigma^-1), of whole matrices."""
    Sigma = cov.to_dense()
    return 0.5 * (np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, E.T @ E / N)))


def moved(n, K, r, seed=0):
    """A fit of residuals, and residuals nearby."""
    rng = np.random.default_rng(seed)
    E = np.asfortranarray(systems.factor_data(rng, n, K, r))
    found = fit_factor(E, r, gtol=1e-3)
    return found, np.asfortranarray(E + 0.1 * rng.standard_normal(E.shape))


@pytest.mark.parametrize(("n", "K"), [(60, 20), (20, 60), (400, 200), (180, 300)])
@pytest.mark.parametrize("n_obs", [None, 500])
def test_a_step_tells_the_objective_where_it_began(n, K, n_obs):
    found, E = moved(n, K, 3)
    N = n_obs or n
    step = fit_factor(E, 3, n_obs=N, d=found.d, block=found.block, near=found.cov)
    assert step.nll_near == pytest.approx(twin(E, N, found.cov), rel=1e-13)
    assert step.nll < step.nll_near


def test_products_are_those_of_the_step(monkeypatch):
    """What the iteration begins with is made once, in the metric of the Sigma nearby."""
    found, E = moved(400, 200, 3)
    counts = []
    for near in (None, found.cov):
        source = BlockSpectrum(E, 400, 3, found.block)
        if near is not None:
            assert objective_at(near, source, np.square(E).mean(axis=0)) is not None
        source.pairs(1.1 * found.d, 1e-8)
        counts.append(source.products)
    assert counts[0] == counts[1]


def test_unknown_where_the_basis_does_not_span_it():
    found, E = moved(400, 200, 3)
    s = np.square(E).mean(axis=0)
    other = LowRankDiag(found.cov.loadings[::-1], found.cov.uniquenesses)
    assert objective_at(other, BlockSpectrum(E, 400, 3, found.block), s) is None
    assert objective_at(found.cov, BlockSpectrum(E, 400, 3), s) is None
    # A matrix is there anyway.
    known = objective_at(other, DenseSpectrum(E, 400, 3), s)
    assert known == pytest.approx(twin(E, 400, other), rel=1e-13)


@pytest.mark.parametrize("kind", [DenseSpectrum, BlockSpectrum])
def test_unknown_where_a_difference_would_lose_digits(kind):
    """A Heywood case: s_j / d_j is 1e8, and the sum of all but it is rounding of that."""
    found, E = moved(400, 200, 3)
    F, d = found.cov.loadings.copy(), found.cov.uniquenesses.copy()
    d[0] = 1e-8 * F[0] @ F[0]
    cov = LowRankDiag(F, d)
    E = np.asfortranarray(cov.sample(np.random.default_rng(0), 400))
    block = np.column_stack([F / d[:, None], np.random.default_rng(1).standard_normal((200, 5))])
    assert objective_at(cov, kind(E, 400, 3, block), np.square(E).mean(axis=0)) is None


@pytest.mark.parametrize(
    ("n", "K", "options"),
    [
        (60, 12, {}),
        (300, 200, {}),
        (300, 200, {"lam_B": 0.05}),
        (300, 200, {"lam_F": 0.02}),
        (180, 300, {}),
    ],
)
def test_traces_have_the_objective_after_the_beta_step(monkeypatch, n, K, options):
    """As it is when it is worked out apart, ridges included."""
    blocks, Y = systems.system(np.random.default_rng(3), n, K, 2, 3)
    problem = Problem(blocks, Y, ALSOptions(**options))
    quick = als(problem, 2)
    sigma_step = problem.sigma_step
    monkeypatch.setattr(
        problem,
        "sigma_step",
        lambda *args, **kwargs: sigma_step(*args, **kwargs)._replace(nll_near=None),
    )
    apart = als(problem, 2)
    assert len(quick.trace) == len(apart.trace) > 2
    np.testing.assert_allclose(
        [row.nll_beta for row in quick.trace], [row.nll_beta for row in apart.trace], rtol=1e-12
    )
