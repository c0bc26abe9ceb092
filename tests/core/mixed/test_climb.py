"""The matrix of a climb's steps, against whole covariance matrices."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.climb import scoring
from sm_alsgls.core.mixed.likelihood import Profile
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
