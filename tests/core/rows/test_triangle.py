"""R of rows that arrive in blocks, by each of its three ways, against one QR."""

import numpy as np
import pytest

from sm_alsgls.core.rows import triangle as module
from sm_alsgls.core.rows.triangle import Triangle


def appended(blocks, monkeypatch=None, ways=("_gram", "_cholesky")):
    """R of the blocks, and which ways were taken."""
    taken = []
    made = Triangle(blocks[0].shape[1])
    for name in ("_gram", "_cholesky"):
        method = getattr(made, name)

        def tried(block, name=name, method=method):
            if name not in ways:
                return False
            worked = method(block)
            taken.extend([name] * worked)
            return worked

        setattr(made, name, tried)
    for block in blocks:
        made.append(np.asfortranarray(block))
    return made.R, taken


def assert_is_the_factor(R, A, rtol=1e-12):
    np.testing.assert_array_equal(R, np.triu(R))
    size = np.linalg.norm(A, axis=0)
    size[size == 0.0] = 1.0
    np.testing.assert_allclose(
        R.T @ R / np.outer(size, size), A.T @ A / np.outer(size, size), atol=rtol
    )


def blocks_of(kind, seed=0, c=5):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((60, c))
    if kind == "offset":
        A[:, 0] = 1.0
        A[:, 1:] += 1e6
    if kind == "units":
        A *= np.geomspace(1e-30, 1e30, c)
    if kind == "late column":
        A[:20, 3] = 0.0
    if kind == "zero column":
        A[:, 2] = 0.0
    if kind == "growing":
        A *= np.geomspace(1.0, 1e6, 60)[:, None]
    return np.split(A, 3)


KINDS = ["plain", "offset", "units", "late column", "zero column", "growing"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ways", [(), ("_gram",), ("_cholesky",), ("_gram", "_cholesky")])
def test_every_way_is_the_factor(kind, ways):
    blocks = blocks_of(kind)
    R, _ = appended(blocks, ways=ways)
    assert_is_the_factor(R, np.concatenate(blocks))


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("plain", ["_gram", "_gram"]),
        ("offset", ["_cholesky", "_cholesky"]),  # nearly dependent on the column of ones
        ("units", ["_gram", "_gram"]),
        ("late column", ["_gram"]),  # new to R in the second block: Householder's
        ("growing", []),  # rows unlike those before
    ],
)
def test_the_first_way_that_is_accurate(kind, taken):
    assert appended(blocks_of(kind))[1] == taken


def test_an_offset_keeps_what_cross_products_would_lose():
    rng = np.random.default_rng(1)
    x, e = rng.standard_normal(90), rng.standard_normal(90)
    A = np.column_stack([np.ones(90), x + 1e8, 3.0 * (x + 1e8) + e])
    R = appended(np.split(A, 3))[0]
    slope = R[1, 2] / R[1, 1]
    exact = 3.0 + np.cov(A[:, 1] - 1e8, e)[0, 1] / np.var(A[:, 1] - 1e8, ddof=1)
    assert slope == pytest.approx(exact, rel=1e-6)


def test_short_blocks_and_extreme_units_go_by_householder():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((30, 6))
    R, taken = appended([A[:20], *np.split(A[20:], 5)])
    assert taken == []
    assert_is_the_factor(R, A)
    for size in (1e-80, 1e80):
        R, taken = appended(np.split(A[:, :3] * size, 3))
        assert "_gram" not in taken
        assert_is_the_factor(R / size, A[:, :3])


def test_repeated_columns():
    A = np.random.default_rng(3).standard_normal((40, 3))
    made = Triangle(3)
    made.append(np.asfortranarray(A[:20]))
    made.repeat([2, 0])
    grown = np.column_stack([A, A[:, [2, 0]]])
    assert_is_the_factor(made.R, grown[:20])
    later = grown[20:] + np.random.default_rng(4).standard_normal((20, 5))
    made.append(np.asfortranarray(later))
    assert_is_the_factor(made.R, np.concatenate([grown[:20], later]))
    assert module._PANEL > 3


def test_a_million_rows_are_a_few_cholesky_factors(monkeypatch):
    """Products are added up until they are ten times those of R, or somebody asks for R."""
    made, settled = Triangle(4), []
    whole = module.cholesky
    monkeypatch.setattr(
        module, "cholesky", lambda *args, **kwds: settled.append(1) or whole(*args, **kwds)
    )
    A = np.random.default_rng(5).standard_normal((40_000, 4))
    for block in np.split(A, 200):
        made.append(np.asfortranarray(block))
    assert len(settled) == 2  # at 11 and 121 blocks
    assert_is_the_factor(made.R, A, 1e-13)
    assert len(settled) == 3
    assert_is_the_factor(made.R, A, 1e-13)
    assert len(settled) == 3


def test_products_that_wait_are_in_whatever_comes_after():
    rng = np.random.default_rng(6)
    A = rng.standard_normal((400, 4))
    # Rows unlike those before, few of them, and columns that nearly agree in all that follow.
    late = [1e4 * rng.standard_normal((50, 4)), rng.standard_normal((2, 4))]
    alike = 1e6 * rng.standard_normal((100, 1)) + rng.standard_normal((100, 4))
    blocks = [*np.split(A, 8), late[0], *np.split(A, 4), late[1], alike, *np.split(A, 2)]
    R, taken = appended(blocks)
    assert taken.count("_gram") > 5
    assert_is_the_factor(R, np.concatenate(blocks))
