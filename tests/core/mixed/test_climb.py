"""The matrix of a climb's steps, against whole covariance matrices."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.climb import scoring
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.likelihood import Profile
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.structures import Diagonal, LowRank, Unstructured
from tests.core.mixed import dense


@pytest.mark.parametrize("law", ["common", "levels"])
@pytest.mark.parametrize("kind", [Diagonal(3), Unstructured(3), LowRank(3, 1)])
def test_scoring_is_the_expected_information_with_s2_profiled(kind, law):
    """Of ML: tr(V^-1 dV_a V^-1 dV_b) / 2 less what log s2 takes, and what S adds."""
    d = dense.data(seed=4, law=law)
    profile = Profile(d.products(), kind, d.law, False)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0.3, 0.8, kind.size), rng.uniform(-0.3, 0.3, d.law.size)])
    point = profile.at(x)
    z = profile.products.basis.z

    def covariance(a):
        A = np.linalg.solve(z, profile.root(a[: kind.size]))
        return np.exp(a[-1]) * dense.whole(d, A @ A.T, 1.0, a[kind.size : -1])[0]

    at = np.append(x, 0.0)
    inverse = np.linalg.inv(covariance(at))
    slopes = [inverse @ dense.derivative(covariance, at, a) for a in range(len(at))]
    whole = 0.5 * np.array([[np.sum(one * other.T) for other in slopes] for one in slopes])
    expected = whole[:-1, :-1] - np.outer(whole[:-1, -1], whole[-1, :-1]) / whole[-1, -1]
    values, vectors = np.linalg.eigh(point.S)
    positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
    expected[: kind.size, : kind.size] += kind.second(positive)
    np.testing.assert_allclose(scoring(profile, point), expected, rtol=1e-5, atol=1e-4)


def test_a_uniqueness_on_its_way_to_zero_does_not_hold_up_the_others():
    """Steps were shortened for it to a millionth, and ended by rounding .026 errors away."""
    m, q = 40, 6
    rng = np.random.default_rng([16, m, q, 3])
    groups = np.repeat(np.arange(m), rng.integers(6, 19, m))
    Z = np.column_stack([np.ones(len(groups)), rng.standard_normal((len(groups), q - 1))])
    rank = rng.integers(1, 4)
    size = np.sqrt(rng.choice([0.1, 1.0, 4.0]))
    b = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, q))
    b += rng.standard_normal((m, q)) * np.sqrt(rng.choice([0.0, 0.1, 1.0], q))
    y = size * (Z * b[groups]).sum(axis=1) + rng.standard_normal(len(groups))
    products = CrossProducts.of_rows(Z, Z[:, :2], y, groups, m)
    fit = mixed_fit(products, LowRank(q, 3), Common(), reml=False, n_starts=1)
    assert fit.converged, fit.message
    assert fit.uniquenesses[4] == 0.0
    assert fit.at_bound[4]
    assert len(fit.trace) < 45
