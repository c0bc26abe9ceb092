"""The likelihood and its gradient, against whole covariance matrices and differences."""

import numpy as np
import pytest

from sm_alsgls.core.mixed.likelihood import Profile
from sm_alsgls.core.mixed.residual_laws import Levels
from sm_alsgls.core.mixed.structures import Diagonal, LoadingsOnly, LowRank, Unstructured
from tests.core.mixed import dense

STRUCTURES = {
    "low rank": lambda q: LowRank(q, 1),
    "diagonal": Diagonal,
    "loadings": lambda q: LoadingsOnly(q, 2),
    "full": Unstructured,
}
THETA = {"common": [], "levels": [0.4, -0.3], "ar": [0.35], "levels ar": [0.4, -0.3, 0.35]}
CASES = [
    (s, law, w) for s in STRUCTURES for law in THETA for w in (False, True) if "ar" in law or not w
] + [("full", "common", True), ("low rank", "levels", True)]


def _case(structure, law, weights, q=3, **more):
    d = dense.data(seed=3, law=law, weights=weights, q=q, **more)
    kind = STRUCTURES[structure](q)
    x = np.random.default_rng(1).uniform(0.2, 1.0, kind.size)
    return d, kind, np.append(x, THETA[law])


def user_gamma(profile, phi):
    root = np.linalg.solve(profile.products.basis.z, profile.root(phi))
    return root @ root.T


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.parametrize("reml", [False, True])
def test_the_twin_of_groups_is_that_of_whole_matrices(law, reml):
    d = dense.data(seed=3, law=law, weights=True)
    theta = np.array({"common": [], "levels": [0.3, -0.4], "ar": [0.5]}.get(law, [0.3, -0.4, 0.5]))
    G = np.diag([1.0, 0.5, 0.2]) + 0.1
    one, two = (of(d, G, 1.3, theta, reml) for of in (dense.llf, dense.llf_of_whole_matrices))
    assert one == pytest.approx(two, rel=1e-12)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize(("structure", "law", "weights"), CASES)
def test_the_likelihood_is_that_of_whole_matrices(structure, law, weights, reml):
    d, kind, x = _case(structure, law, weights)
    profile = Profile(d.products(), kind, d.law, reml)
    point = profile.at(x)
    theta = x[kind.size :]
    gamma = user_gamma(profile, point.phi)
    assert -point.nll == pytest.approx(
        dense.llf(d, point.s2 * gamma, point.s2, theta, reml), rel=1e-11
    )
    # s2 is where the likelihood is highest for this Gamma.
    for factor in (0.999, 1.001):
        s2 = factor * point.s2
        assert dense.llf(d, s2 * gamma, s2, theta, reml) < -point.nll


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize(("structure", "law", "weights"), CASES)
def test_the_gradient_is_that_of_differences(structure, law, weights, reml):
    d, kind, x = _case(structure, law, weights)
    profile = Profile(d.products(), kind, d.law, reml)
    gradient = profile.at(x).gradient
    for a in range(len(x)):
        h = 1e-5 * np.eye(len(x))[a]
        slope = (profile.at(x + h).nll - profile.at(x - h).nll) / 2e-5
        assert gradient[a] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_the_information_of_levels_without_effects_is_that_of_their_variances():
    """log variances l >= 1 over that of level 0, s2 profiled: (diag(n_l) - n_l n_k / n) / 2."""
    law, counts = Levels(("a", "b", "c")), np.array([5, 8, 11])
    theta = np.array([0.3, -0.2])

    def profiled(t):
        # Expected squares of each level are as at theta.
        true = counts * np.exp(np.append(0.0, theta))
        share = true @ law.weights(t) / counts.sum()
        return 0.5 * (counts.sum() * np.log(share) + law.logdet(t, counts))

    h, eye = 1e-4, np.eye(2)
    H = [
        [
            sum(
                a * b * profiled(theta + h * (a * one + b * other))
                for a in (1, -1)
                for b in (1, -1)
            )
            / (4 * h * h)
            for other in eye
        ]
        for one in eye
    ]
    np.testing.assert_allclose(law.information(theta, counts), H, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_w_is_that_of_the_point_that_is_asked_for(structure):
    """Products of the last evaluation are kept for the next use: not for another point's."""
    d, kind, x = _case(structure, "levels", False)
    profile = Profile(d.products(), kind, d.law, True)
    first = profile.at(x)
    W = np.concatenate(list(profile.each_W(first)))
    fresh = Profile(d.products(), kind, d.law, True)
    expected = np.concatenate(list(fresh.each_W(first)))
    np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-10)
    for other in (0.7 * x, np.append(x[: kind.size], [0.9, 0.1])):
        profile.at(other)
        np.testing.assert_allclose(
            np.concatenate(list(profile.each_W(first))), expected, rtol=1e-9, atol=1e-10
        )
    np.testing.assert_allclose(W.sum(axis=0), first.total_W, rtol=1e-9, atol=1e-9)


def test_points_are_the_same_in_gamma_and_theta():
    d, kind, x = _case("loadings", "levels", False)
    profile = Profile(d.products(), kind, d.law, True)
    point, cut = profile.at(x), kind.size
    angle = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    turned = (x[:cut].reshape(3, 2) @ angle).ravel()
    assert profile.same(point, profile.at(np.append(turned, x[cut:])))
    assert not profile.same(point, profile.at(np.append(1.1 * x[:cut], x[cut:])))
    assert not profile.same(point, profile.at(np.append(x[:cut], x[cut:] + 0.1)))
