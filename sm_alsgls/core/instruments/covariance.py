"""Covariances of the parameters of a form: of Sigma, of the residuals, of rows and clusters.

Given Sigma gamma-hat = pull(I)'s is linear in the errors (`sm_alsgls.core.instruments.base`), and

    theta = S'gamma,     gamma = L g  where coefficients are tied,     g = W gamma-hat

(`Form.projection`), so combinations R theta are B'gamma-hat with B = W'L'lift(R), and every
covariance here is one of pull(B)'scores: at Sigma, at S = E'E/N in its place
(`WorkingFormCovariance`), or as sums over independent units (`sm_alsgls.core.instruments.robust`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.instruments.base import Form
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

#: What the estimation of Sigma adds: A_j (p_j, p_j) of V_jj <- A_j V_jj A_j'.
Stretch = Callable[[int], Array]
#: Coefficients up to which tied ones are solved for: their covariances are P x P arrays.
MOST_TIED = 4_000


def tied_basis(design: Linear) -> Array | None:
    """Orthonormal L (P_free, k) with gamma = L g + origin; None where coefficients are free.

    Raises
    ------
    OptionError
        There are too many.
    """
    if not design.restricted:
        return None
    if design.free.P > MOST_TIED:
        raise OptionError(
            f"restrictions and common coefficients of {design.free.P} regressors need matrices of "
            f"that size; with instruments they are there up to {MOST_TIED}"
        )
    lifted = design.lift(np.eye(design.P))
    Q, R, _ = scipy.linalg.qr(lifted, mode="economic", pivoting=True)
    size = np.abs(np.diagonal(R))
    return np.asarray(Q[:, : int((size > 1e-8 * size[0]).sum())])


class Combinations:
    """Combinations of the parameters as combinations of a form's own gamma-hat.

    Parameters
    ----------
    form : Form
    design : Linear
        Whose parameters; ``form.design`` is its free one.
    stretch : Stretch, optional
    """

    def __init__(self, form: Form, design: Linear, stretch: Stretch | None = None) -> None:
        self.form, self.design, self._stretch = form, design, stretch
        self.tied = design.restricted

    @property
    def P(self) -> int:
        """Parameters."""
        return len(self.design.to_params(np.zeros(self.design.P)))

    @property
    def free(self) -> Instrumented:
        """The design with coefficients of each equation's own."""
        return self.form.design

    @cached_property
    def _solved(self) -> Array | None:
        """W'L' (P_free, P_free)."""
        L = tied_basis(self.design)
        return None if L is None else self.form.projection(L).T @ L.T

    def of(self, R: Array) -> Array:
        """Columns B (P_free, m) with R theta-hat = B'gamma-hat, rows R (m, P)."""
        B = self.design.on_flat(R)
        if self._solved is not None:
            B = self._solved @ self.design.lift(B)
        if self._stretch is not None:
            B = B.copy()
            for j in range(self.free.K):
                at = self.free.equation_slice(j)
                B[at] = self._stretch(j).T @ B[at]
        return B

    def block_maps(self, equations: Array) -> Array:
        """From gamma_j to beta_j of free coefficients, stretched, of as many (k, p, p)."""
        M = np.stack([self.free.beta_map(int(j)) for j in equations])
        if self._stretch is None:
            return M
        return np.matmul(M, np.stack([self._stretch(int(j)) for j in equations]))


class FormCovariance:
    """The covariance where Sigma is that of the errors, formed only as far as asked."""

    def __init__(self, combinations: Combinations) -> None:
        self._of = combinations

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._of.P, self._of.P

    def _cross(self, B: Array, other: Array) -> Array:
        return self._of.form.cross(B, other)

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other' for rows R (m, P); ``other`` defaults to R."""
        B = self._of.of(R)
        return self._cross(B, B if other is None else self._of.of(other))

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        if self._of.tied:
            return self.combinations(self._selector(j))
        M = self._of.block_maps(np.array([j]))[0]
        return M @ self._of.form.block(j) @ M.T

    def _selector(self, j: int) -> Array:
        at = np.arange(self.shape[0])[self._of.design.columns(j)]
        rows = np.zeros((len(at), self.shape[0]))
        rows[np.arange(len(at)), at] = 1.0
        return rows

    def variances(self) -> Array:
        """Diagonal of V, (P,)."""
        if self._of.tied:
            return np.diagonal(self.dense()).copy()
        out = np.empty(self.shape[0])
        for equations, blocks in self._of.form.blocks():
            M = self._of.block_maps(equations)
            found = np.einsum("kab,kab->ka", np.matmul(M, blocks), M)
            for j, own in zip(equations, found, strict=True):
                out[self._of.design.columns(int(j))] = own
        return out

    def dense(self) -> Array:
        """V, (P, P)."""
        return self.combinations(np.eye(self.shape[0]))

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()


class WorkingFormCovariance(FormCovariance):
    """S = E'E / N takes the place of Sigma: Sigma made the estimator, and is not trusted.

    Parameters
    ----------
    combinations : Combinations
    E : ndarray, shape (n, K)
        Residuals times equations' small-sample factors, on the rows of the form.
    n_obs : int
        N.
    df : float
        Degrees of freedom of S.
    """

    def __init__(self, combinations: Combinations, E: Array, n_obs: int, df: float) -> None:
        super().__init__(combinations)
        self._root, self._n_obs, self._df = np.asarray(np.linalg.qr(E, mode="r")).T, n_obs, df

    def _products(self, B: Array) -> Array:
        """a_n'R' of every row, (m, n, k), a (n, K) the errors' weights and R'R = E'E."""
        T = self._of.form.pull(B)
        return np.stack([self._of.form.carried(t) @ self._root for t in T.T])

    def _cross(self, B: Array, other: Array) -> Array:
        left = self._products(B).reshape(B.shape[1], -1)
        right = left if other is B else self._products(other).reshape(other.shape[1], -1)
        return left @ right.T / self._n_obs

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        return self.combinations(self._selector(j))

    def variances(self) -> Array:
        """Diagonal of V, (P,)."""
        out, eye = np.empty(self.shape[0]), np.eye
        for start in range(0, self.shape[0], 8):
            rows = eye(8, self.shape[0], start)[: self.shape[0] - start]
            out[start : start + len(rows)] = np.diagonal(self.combinations(rows))
        return out

    def joint_df(self, R: Array) -> float:
        """Degrees of freedom of the covariance of R theta, a Wishart matrix or nearly."""
        return self._df
