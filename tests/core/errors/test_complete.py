"""The low-rank law of whole rows: where it starts from besides OLS."""

import numpy as np

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from tests.core import systems


def test_equal_designs_with_tied_coefficients_start_from_all_regressors_too():
    """OLS is not that of free coefficients there, so the union of the regressors tells more."""
    rng = np.random.default_rng(3)
    (X, *_), Y = systems.system(rng, 60, 6, 2)
    R = np.zeros((1, 18))
    R[0, [1, 4]] = 1.0, -1.0
    tied = Problem([X] * 6, Y, ALSOptions(), binding=Restrictions(R, np.zeros(1)))
    assert "union" in {run.start for run in search(tied, 2).runs}
    cov = tied.union(2)
    E = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    expected = als(Problem([np.ones((60, 1))] * 6, E, ALSOptions()), 2).cov
    np.testing.assert_allclose(cov.to_dense(), expected.to_dense(), rtol=0.02, atol=0.02)
    assert Problem([X] * 6, Y, ALSOptions()).union(2) is None
