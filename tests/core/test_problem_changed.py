"""A problem in other units, with other responses or another law is the problem of those data."""

import numpy as np
import pytest

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import dense_observed as dense
from tests.core import systems

N, K, p = 50, 5, 3
POWERS = 2.0 ** np.array([0.0, 10.0, -7.0, 3.0, -20.0])


def restrictions():
    """The last slopes of the first two equations are equal, and one of the third is given."""
    R = np.zeros((2, K * p))
    R[0, p - 1], R[0, 2 * p - 1] = 1.0, -1.0
    R[1, 2 * p + 1] = 1.0
    return Restrictions(R, np.array([0.0, 0.7]))


def problem(kind):
    rng = np.random.default_rng(4)
    blocks, Y = systems.system(rng, N, K, 1, p)
    options = ALSOptions(lam_F=0.01, lam_B=0.1) if kind == "ridges" else ALSOptions()
    mask = dense.holes(rng, N, K, 0.8) if kind == "holes" else None
    binding = restrictions() if kind == "restricted" else None
    return Problem(blocks, Y, options, mask=mask, binding=binding)


def coefficients(made, gamma):
    return np.concatenate(made.design.to_beta(gamma))


@pytest.mark.parametrize("kind", ["plain", "ridges", "holes", "restricted"])
def test_other_units_give_the_same_fit_in_them(kind):
    """beta_j / c_j, Sigma_jl / (c_j c_l), and the NLL less the mean log c."""
    made = problem(kind)
    other = made.rescaled(POWERS)
    one, two = als(made, 1), als(other, 1)
    of = np.repeat(POWERS, p)
    np.testing.assert_allclose(
        coefficients(other, two.gamma) * of, coefficients(made, one.gamma), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(two.cov.diag() * POWERS**2, one.cov.diag(), rtol=1e-6)
    shift = made.counts @ np.log(POWERS) / N
    assert two.nll + shift == pytest.approx(one.nll, abs=1e-9)
    if kind != "restricted":
        np.testing.assert_allclose(other.s_ols * POWERS**2, made.s_ols, rtol=1e-12)
        np.testing.assert_allclose(other.floor * POWERS**2, made.floor, rtol=1e-12)
    else:  # least squares of tied equations depend on their units
        b = coefficients(other, two.gamma) * of
        R = restrictions()
        np.testing.assert_allclose(R.R @ b, R.q, atol=1e-9)
    # The problem itself stays as it was.
    assert als(made, 1).nll == one.nll


@pytest.mark.parametrize("kind", ["plain", "ridges", "holes", "restricted"])
def test_other_responses(kind):
    made = problem(kind)
    Y = made.responses + np.random.default_rng(1).standard_normal((len(made.Y), K))
    again = made.with_responses(np.where(made.Y == 0.0, 0.0, Y) if kind == "holes" else Y)
    fit = als(again, 1)
    assert fit.converged
    assert not np.isclose(fit.nll, als(made, 1).nll)
    same = als(made.with_responses(made.responses), 1)
    assert same.nll == pytest.approx(als(made, 1).nll, abs=1e-10)


def test_options_and_rows_are_checked():
    from sm_alsgls.exceptions import OptionError, ShapeError

    blocks, Y = systems.system(np.random.default_rng(0), N, K, 1, p)
    with pytest.raises(OptionError, match="lam_B > 0 cannot be combined with restrictions"):
        Problem(blocks, Y, ALSOptions(lam_B=0.1), binding=restrictions())
    with pytest.raises(ShapeError, match=r"shape \(50, 5\) of Y, got \(50, 4\)"):
        Problem(blocks, Y, ALSOptions(), mask=np.ones((N, K - 1), bool))


def test_another_floor_is_kept_to():
    made = problem("plain")
    floor = np.full(K, 2.0 * made.s_ols.max())
    low = als(made.with_floor(floor), 1)
    np.testing.assert_allclose(low.cov.uniquenesses, floor)
    assert low.at_bound.all()
    assert made.floor.max() < floor.min()
