"""Whether the data tell variances of residuals from those of random effects.

Of V_i = Z_i G Z_i' + sum_k n_k E_ik, with E_ik the rows of group i that have the residual variance
n_k, some variances are not identified where a change of G makes what a change of n makes,

    Z_i dG Z_i' = sum_k dn_k E_ik    in all groups,

dG tangent to the structure of G: no likelihood sees it. One row a group and a random intercept is
the simplest case; as many rows as random effects, with Z_i'Z_i the same multiple of I, another; a
dummy and a residual level for each of K outcomes, each seen once a group, a third.

The squares of the differences of both sides, summed over groups, are a quadratic form in (dG, dn)
that products of the rows know:

    tr(ZZ_i dG ZZ_i dG) - 2 sum_k dn_k tr(dG ZZ_ik) + sum_k dn_k^2 T_ik,

and a dn for which its minimum over dG is zero is not identified. A dn_k must be zero where a group
has more rows of level k than random effects, which is looked at first and settles most cases.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure

Array = np.ndarray

# Share of dn's squares that is left where it is not zero; what is rounding of 1e-16 is far below.
_LEFT = 1e-9
# Of the form in dG, what is the rotation of loadings.
_NULL = 1e-10


def inseparable(products: CrossProducts, structure: Structure, law: ResidualLaw) -> Array:
    """Which terms' residual variances the data do not tell from G, (terms,) of bool.

    Parameters
    ----------
    products : CrossProducts
    structure : Structure
    law : ResidualLaw
        None of a law whose rows are correlated.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.separable import inseparable
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> one, y = np.ones((6, 1)), np.arange(6.0)
    >>> for groups in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 4]):
    ...     products = CrossProducts.of_rows(one, one, y, np.array(groups), max(groups) + 1)
    ...     print(inseparable(products, Diagonal(1), Common()))
    [ True]
    [False]
    """
    q, L = products.q, products.C.shape[1]
    out = np.zeros(L, dtype=bool)
    if not law.independent:
        return out
    doubtful = np.flatnonzero(products.pairs.max(axis=0) <= q)
    if not len(doubtful):
        return out
    z = products.basis.z
    units = z / np.linalg.norm(z, axis=0)
    ZZ = np.matmul(units.T, np.matmul(products.C[:, :, :q, :q], units))
    phi = _anywhere(structure)
    form = structure.information(phi, ZZ.sum(axis=1))
    both = np.stack([structure.pull(phi, ZZ[:, k].sum(axis=0)) for k in doubtful], axis=1)
    squares = products.pairs.sum(axis=0)[doubtful].astype(float)
    scale = np.sqrt(np.maximum(np.diagonal(form), 1e-300))
    values, vectors = np.linalg.eigh(form / np.outer(scale, scale))
    some = values > _NULL * values[-1]
    root = (vectors[:, some] / np.sqrt(values[some])).T @ (both / scale[:, None])
    root /= np.sqrt(squares)
    left, mixed = np.linalg.eigh(np.eye(len(doubtful)) - root.T @ root)
    null = mixed[:, left < _LEFT]
    out[doubtful] = (np.abs(null) > 1e-4).any(axis=1)
    return out


def _anywhere(structure: Structure) -> Array:
    """A point where the tangent space of the structure is no smaller than elsewhere."""
    draws = np.random.default_rng(0).standard_normal(structure.size)
    phi = np.where(np.isfinite(structure.low), 1.0, draws)
    if structure.rank == structure.q and structure.any_basis and structure.q > 1:
        phi = structure.nearest(np.eye(structure.q))
    return np.asarray(phi)
