"""The covariance of W'v against sums over pairs of rows."""

import numpy as np
import pytest

from sm_alsgls.core.beta.robust import Clusters, Kernel, White
from sm_alsgls.core.instruments.scores import score_covariance

CODE = np.array([0, 1, 2, 0, 1, 2, 2, 3, 3, 0, 1, 3])


@pytest.mark.parametrize(
    ("weights", "omega"),
    [
        (White(), np.eye(12)),
        (Clusters(CODE), (CODE[:, None] == CODE).astype(float)),
        (Kernel(np.array([1.0, 0.5])), np.eye(12) + 0.5 * (np.eye(12, k=1) + np.eye(12, k=-1))),
    ],
)
def test_blocks(weights, omega):
    rng = np.random.default_rng(0)
    W, V = np.linalg.qr(rng.standard_normal((12, 3)))[0], rng.standard_normal((12, 2))
    got = score_covariance(W, V, 7, weights, 1.5)
    even = score_covariance(W, V, 7)
    for a in range(2):
        for b in range(2):
            want = (W * V[:, [a]]).T @ omega @ (W * V[:, [b]])
            np.testing.assert_allclose(got[a, b], 1.5 * want, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(even[a, b], V[:, a] @ V[:, b] / 7 * np.eye(3))
