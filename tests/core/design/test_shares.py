"""What designs do not see through the mean projection, against its eigenvectors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.core.design.beside import Beside, common_directions
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.shares import unseen_blocks


@pytest.mark.parametrize(
    "iota", [[0.3], [0.02, 0.5], [1.0, 1e-3], np.geomspace(1e-3, 1, 8), [1e-9]]
)
@pytest.mark.parametrize("common", [0, 1, 2])
def test_by_definition(iota, common):
    rng = np.random.default_rng(3)
    shared, iota = rng.standard_normal((40, 2)), np.asarray(iota)
    X = [
        np.column_stack([shared[:, :common], rng.standard_normal((40, width))])
        for width in (2, 3, 2, 3, 2)
    ]
    # Two of them share a direction that others have not.
    X[1][:, -1] = X[3][:, -1]
    design, weights = Design(X), np.array([1.0, 2.0, 0.0, 0.5, 3.0])
    w = weights / weights.sum()
    S = sum(w[j] * design.basis(j) @ design.basis(j).T for j in range(5))
    share, V = np.linalg.eigh(S)
    share = np.clip(share, 0.0, 1.0)
    phi = np.mean([i * share / (1.0 - (1.0 - i) * share) for i in iota], axis=0)
    seen = 0
    for equations, blocks in unseen_blocks(
        Beside(design, common_directions(design)), weights, iota
    ):
        for j, block in zip(equations, blocks, strict=True):
            inside = design.basis(int(j)).T @ V
            expected = np.eye(len(block)) - (inside * phi) @ inside.T
            assert_allclose(block, expected, atol=1e-12 if iota.min() > 1e-6 else 1e-6)
            seen += 1
    assert seen == 5
