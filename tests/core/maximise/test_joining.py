"""Runs that only lead to where another has been."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import Problem, Solution, Start, als
from sm_alsgls.core.maximise.joining import JOINED, SAME, leads_to
from sm_alsgls.core.options import ALSOptions
from tests.core import systems

ROWS = 50


@pytest.fixture(scope="module")
def problem() -> Problem:
    blocks, Y = systems.system(np.random.default_rng(4), 40, 8, 2, 3)
    return Problem(blocks, Y, ALSOptions())


@pytest.fixture(scope="module")
def maximum(problem) -> Solution:
    return als(problem, 1)


def parabola(rng, P=6):
    """A quadratic log-likelihood of ROWS rows: its NLL per row and score."""
    A = rng.standard_normal((P, P))
    H = A @ A.T + np.eye(P)
    centre = rng.standard_normal(P)

    def at(gamma):
        step = gamma - centre
        return 0.5 * float(step @ H @ step) / ROWS, -H @ step

    return centre, at


def near(at, centre, rng, ratio):
    """A point whose likelihood ratio to the centre is ``ratio``."""
    step = rng.standard_normal(len(centre))
    return centre + step * np.sqrt(ratio / (2.0 * ROWS * at(centre + step)[0]))


def test_a_parabola_leads_to_its_centre(maximum):
    rng = np.random.default_rng(0)
    centre, at = parabola(rng)
    known = replace(maximum, gamma=centre, nll=0.0)
    for ratio, leads in ((1e-6, True), (0.5, True), (0.999, True), (1.001, False)):
        gamma = near(at, centre, rng, ratio)
        nll, score = at(gamma)
        assert leads_to(known, gamma, score, nll, ROWS) is leads
        # A score that points elsewhere, or nowhere.
        assert not leads_to(known, gamma, -score, nll, ROWS)
        assert not leads_to(known, gamma, 0.0 * score, nll, ROWS)


def test_how_far_a_parabola_may_be_off(maximum):
    rng = np.random.default_rng(1)
    centre, at = parabola(rng)
    known = replace(maximum, gamma=centre, nll=0.0)
    for ratio, off in ((0.04, 0.2), (0.5, 0.02), (0.01, 0.2)):
        gamma = near(at, centre, rng, ratio)
        nll, score = at(gamma)
        for sign in (1.0, -1.0):
            assert leads_to(known, gamma, (1.0 + sign * 0.98 * off) * score, nll, ROWS)
            assert not leads_to(known, gamma, (1.0 + sign * 1.02 * off) * score, nll, ROWS)


def test_below_a_maximum_nothing_leads_to_it(maximum):
    rng = np.random.default_rng(2)
    centre, at = parabola(rng)
    gamma = near(at, centre, rng, 0.1)
    nll, score = at(gamma)
    assert not leads_to(replace(maximum, gamma=centre, nll=2.0 * nll), gamma, score, nll, ROWS)


def test_a_run_joins_the_maximum_that_it_would_end_at(problem, maximum):
    rng = np.random.default_rng(3)
    noise = 0.3 * np.sqrt(problem.s_ols.mean()) * rng.standard_normal(problem.design.P)
    start = Start("near", gamma=maximum.gamma + noise)
    ended, found = als(problem, 1, start), als(problem, 1, start, known=maximum)
    assert found.status == JOINED
    assert not found.converged
    assert len(found.trace) < len(ended.trace)
    assert ended.nll == pytest.approx(maximum.nll, abs=SAME)
    assert found.nll > maximum.nll
    # What it is, and not a closing step beyond.
    np.testing.assert_allclose(found.E, problem.residuals(found.gamma), atol=1e-12)
    assert found.score_beta == found.trace[-1].score_beta


def test_a_run_to_another_maximum_does_not_join(problem, maximum):
    lower = replace(maximum, nll=maximum.nll - 1e-3, gamma=maximum.gamma + 1e-2)
    assert als(problem, 1, known=lower).status == "stationary"
