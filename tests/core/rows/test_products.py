"""Cross-products by slabs and panels, beside one product."""

import numpy as np
import pytest

from sm_alsgls.core.rows import products
from sm_alsgls.core.rows.products import cross_products


@pytest.mark.parametrize("c", [1, 2, 3, 8, 9, 16, 25, 127, 128, 130])
@pytest.mark.parametrize("m", [1, 499, 500, 501, 1000, 1001, 1733])
def test_the_upper_triangle_is_that_of_one_product(m, c):
    rng = np.random.default_rng(m * c)
    wide = np.asfortranarray(rng.standard_normal((m + 7, c)))
    # The first rows of a buffer, as a stream has them, and a block of its own.
    for block in (wide[:m], np.asfortranarray(wide[:m])):
        made = cross_products(block)
        assert made.shape == (c, c)
        np.testing.assert_allclose(np.triu(made), np.triu(block.T @ block), atol=1e-11)
        assert np.isfinite(made).all()


def test_what_is_not_finite_is_on_the_diagonal():
    block = np.ones((1200, 12), order="F")
    for row in (3, 700, 1199):  # of the first slab, of another, of the rest
        for value in (np.nan, np.inf):
            block[row, 7] = value
            with np.errstate(invalid="ignore"):
                assert not np.isfinite(cross_products(block)[7, 7])
            block[row, 7] = 1.0


def test_no_panel_is_a_product_with_itself(monkeypatch):
    """NumPy makes a dsyrk of A'A, which is what the panels are there to avoid."""
    seen = []

    def matmul(A, B):
        seen.append((A.shape[1], B.shape[2]))
        return real(A, B)

    real = np.matmul
    monkeypatch.setattr(products.np, "matmul", matmul)
    for c in (2, 5, 8, 16, 17, 25):
        cross_products(np.ones((500, c), order="F"))
    assert seen
    assert all(one != other for one, other in seen)


@pytest.mark.parametrize("m", [499, 500, 501, 999, 1000, 2600])
@pytest.mark.parametrize("c", [2, 3, 8, 25, 127, 128])
def test_slabs_and_panels_are_as_many_as_they_should_be(monkeypatch, m, c):
    """Slabs of 500 rows, panels of 8 columns or half of fewer; none of few rows or many columns."""
    seen = []

    def matmul(A, B):
        seen.append((*A.shape, B.shape[2]))
        return real(A, B)

    real = np.matmul
    monkeypatch.setattr(products.np, "matmul", matmul)
    cross_products(np.ones((m, c), order="F"))
    width = min(8, (c + 1) // 2)
    starts = range(0, c, width) if m >= 500 and c < 128 else []
    slabs = (m // 500, 500)
    assert seen == [(slabs[0], min(width, c - k), slabs[1], c - max(k - 1, 0)) for k in starts]
