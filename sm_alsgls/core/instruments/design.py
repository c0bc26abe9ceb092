"""A design with two faces: fitted with the regressors, projected with their first stage.

With every instrument of equation j in Z_j (n, q_j), W_j = orth(Z_j) and the first stage

    Xhat_j = W_j W_j'X_j = Q_j R_j,        gamma_j = R_j beta_j,        Xt_j = X_j R_j^-1,

fitted values are Xt_j gamma_j and projections Q_j'm_j. As Q_j'Xt_j = I the projection of Y is two-
stage least squares, so that what starts from ``project(Y)`` and residuals ``Y - fitted(g)`` starts
from 2SLS and its residuals Y - X b (not Y - Xhat b, which are no errors).

What the instruments say beside the first stage is O_j (n, q_j - p_j), an orthonormal basis of the
part of span(W_j) that is orthogonal to Xhat_j. O_j'X_j = O_j'Xhat_j = 0, so O_j'y_j is free of
coefficients: the q_j - p_j over-identifying moments.

Everything of an equation but the products with rows is of the size of its q_j instruments: X_j is
brought to W_j first, W_j'X_j = U_j R_j is factorised, and Q_j = W_j U_j, O_j = W_j U_j^perp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.bases import DependentColumnsError, bases
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.spans import conditions, is_rounding
from sm_alsgls.exceptions import InstrumentError, ShapeError, UnderidentifiedError

Array = np.ndarray

# Elements of the arrays of a chunk of equations while their first stages are made.
_CHUNK = 2**16
# Unit regressors whose first stages are this near to dependent are not told apart.
_APART = 1e-10


class DependentInstrumentsError(InstrumentError):
    """Instruments are linearly dependent; positions as `DependentColumnsError` has them."""

    def __init__(self, found: DependentColumnsError) -> None:
        self.equation, self.columns, self.others = found.equation, found.columns, found.others
        super().__init__(
            f"the instruments of equation {found.equation} are linearly dependent: columns "
            f"{list(found.columns)} follow from {list(found.others)}"
        )


class ManyInstrumentsError(InstrumentError):
    """An equation has as many instruments as rows, so that its first stage is its regressors."""

    def __init__(self, equation: int, q: int, n: int) -> None:
        self.equation, self.q, self.n = equation, q, n
        super().__init__(f"equation {equation} has {q} instruments on {n} rows")


class UnidentifiedError(UnderidentifiedError):
    """First stages are linearly dependent, or fewer than regressors; carries positions.

    Attributes
    ----------
    equation, q, p : int
        The equation, its instruments and its regressors.
    columns, others : tuple of int
        Regressors whose first stages follow from those of others; empty where q < p.
    """

    def __init__(
        self, equation: int, q: int, p: int, columns: Sequence[int] = (), others: Sequence[int] = ()
    ) -> None:
        self.equation, self.q, self.p = equation, q, p
        self.columns, self.others = tuple(columns), tuple(others)
        super().__init__(
            f"equation {equation} is not identified by its {q} instruments of {p} regressors"
            + (f": first stages of {list(columns)} follow from {list(others)}" if columns else "")
        )


class _First:
    """First stages of equations with equal p and q, as they go into the stacks of a design."""

    def __init__(
        self,
        blocks: list[Array],
        Z: list[Array],
        equations: Array,
        n_obs: int,
        exogenous: list[Array] | None,
    ) -> None:
        p = blocks[0].shape[1]
        q = Z[0].shape[1]
        if q < p:
            raise UnidentifiedError(int(equations[0]), q, p)
        if q >= n_obs:
            raise ManyInstrumentsError(int(equations[0]), q, n_obs)
        try:
            W, of_z = bases(Z, equations)
        except DependentColumnsError as error:
            raise DependentInstrumentsError(error) from None
        X = np.stack([block.T for block in blocks])
        length = np.sqrt(np.einsum("mpn,mpn->mp", X, X))
        coordinates = np.matmul(W, X.transpose(0, 2, 1))
        if exogenous is None:
            left = X - np.matmul(coordinates.transpose(0, 2, 1), W)
            left = np.sqrt(np.einsum("mpn,mpn->mp", left, left))
            size = np.array([np.linalg.norm(z, axis=0) for z in Z])
            # The rule by which `data.identified` names them.
            exogenous = list(is_rounding(left, length, coordinates, conditions(size, of_z)))
        self.exogenous = exogenous
        length[length == 0.0] = 1.0
        # Of unit columns, so that scale alone costs nothing.
        U, R = np.linalg.qr(coordinates / length[:, None, :], mode="complete")
        R = R[:, :p]
        _check_rank(R, equations, q)
        self.to_beta = np.linalg.inv(R) / length[:, :, None]
        of_w, over_w = U[:, :, :p], U[:, :, p:]
        self.hat_map, self.over_map = np.matmul(of_z, of_w), np.matmul(of_z, over_w)
        self.basis = np.matmul(of_w.transpose(0, 2, 1), W)
        self.over = np.matmul(over_w.transpose(0, 2, 1), W)
        self.face = np.matmul(self.to_beta.transpose(0, 2, 1), X)


def _check_rank(R: Array, equations: Array, q: int) -> None:
    """First stages of unit regressors, as triangular factors (m, p, p), are apart."""
    p = R.shape[-1]
    # No column is longer than 1, so that the least singular value is above |det| / e^(1/2).
    size = np.abs(np.diagonal(R, axis1=1, axis2=2)).prod(axis=1)
    near = np.flatnonzero(~(size > 2.0 * _APART))
    values = np.linalg.svd(R[near], compute_uv=False)
    bad = near[values[:, -1] <= _APART]
    if not len(bad):
        return
    i = int(bad[0])
    T, pivot = scipy.linalg.qr(R[i], mode="r", pivoting=True)
    k = int((np.abs(np.diagonal(T)) > _APART).sum())
    weights = scipy.linalg.solve_triangular(T[:k, :k], T[:k, k:]) if k else np.zeros((0, p))
    used = np.abs(weights).max(axis=1) > 1e-6 if k else np.zeros(0, dtype=bool)
    raise UnidentifiedError(
        int(equations[i]), q, p, sorted(map(int, pivot[k:])), sorted(map(int, pivot[:k][used]))
    )


class Instrumented(Design):
    """K equations with regressors X_j and instruments Z_j; see the module.

    As a `Design` its bases are those of the first stages, Q_j, and ``beta_map`` is R_j^-1; only
    ``fitted`` is of the regressors themselves.

    Parameters
    ----------
    blocks : sequence of ndarray
        K regressors (n, p_j), exogenous ones among them.
    instruments : sequence of ndarray
        K arrays (n, q_j): every instrument, exogenous regressors among them.
    n_obs : int, optional
        Rows that these stand for, where they are compressed.
    told : sequence of ndarray of bool, optional
        ``exogenous``, where it is known; looked for by default.

    Attributes
    ----------
    q : ndarray of int, shape (K,)
        Instruments of each equation.
    over : Design
        O_j, with coefficients of its own: over-identifying moments are ``over.project(Y)``.
    exogenous : list of ndarray of bool
        Which regressors (p_j,) the instruments span.

    Raises
    ------
    UnidentifiedError, DependentInstrumentsError, ManyInstrumentsError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((50, 3))
    >>> x = Z @ [1.0, 1.0, 0.0] + rng.standard_normal(50)
    >>> design = Instrumented([np.column_stack([Z[:, :1], x])], [Z])
    >>> design.exogenous[0].tolist(), design.over.P
    ([True, False], 1)
    >>> y = rng.standard_normal((50, 1))
    >>> beta = design.to_beta(design.project(y))[0]  # two-stage least squares
    >>> Xhat = Z @ np.linalg.lstsq(Z, design.regressors(0))[0]
    >>> np.allclose(beta, np.linalg.lstsq(Xhat, y[:, 0])[0])
    True
    """

    #: Fitted with X, projected with Xhat.
    symmetric = False

    def __init__(
        self,
        blocks: Sequence[Array],
        instruments: Sequence[Array],
        n_obs: int | None = None,
        told: Sequence[Array] | None = None,
    ) -> None:
        n, K = len(blocks[0]), len(blocks)
        if any(len(X) != n for X in blocks) or any(len(Z) != n for Z in instruments):
            raise ShapeError("regressors and instruments of every equation need the same rows")
        rows = n if n_obs is None else n_obs
        self.q = np.array([Z.shape[1] for Z in instruments])
        self.exogenous: list[Array] = [np.zeros(0, dtype=bool)] * K
        self._faces: list[Array] = []
        # From coordinates on the instruments: Q_j = Z_j hat_map, O_j = Z_j over_map.
        self._maps: list[tuple[Array, Array]] = [(np.zeros((0, 0)),) * 2] * K
        over: list[Array] = [np.zeros((0, n))] * K
        equal = _one(blocks) and _one(instruments)

        def made(equations: Array) -> tuple[Array, Array]:
            p = blocks[int(equations[0])].shape[1]
            basis, face = np.empty((2, len(equations), p, n))
            to_beta = np.empty((len(equations), p, p))
            for q in np.unique(self.q[equations]):
                at = np.flatnonzero(self.q[equations] == q)
                size = max(1, _CHUNK // (n * int(q)))
                for start in range(0, len(at), size):
                    some = at[start : start + size]
                    js = equations[some]
                    known = None if told is None else [told[j] for j in js]
                    first = _First(
                        [blocks[j] for j in js], [instruments[j] for j in js], js, rows, known
                    )
                    basis[some], face[some] = first.basis, first.face
                    to_beta[some] = first.to_beta
                    for i, j in enumerate(js):
                        over[j], self.exogenous[j] = first.over[i], first.exogenous[i]
                        self._maps[j] = first.hat_map[i], first.over_map[i]
            self._faces.append(face)
            return basis, to_beta

        self._stand(n, np.array([X.shape[1] for X in blocks]), equal, made, over)
        for j in range(1, K if equal else 1):
            self.exogenous[j], self._maps[j] = self.exogenous[0], self._maps[0]

    # -- the two faces -------------------------------------------------------------------------

    def fitted(self, g: Array, out: Array | None = None) -> Array:
        """X_j beta_j, (n, K) Fortran-ordered, from gamma (P,); in memory of its own."""
        parts = [
            np.matmul(group.coefficients(g)[:, None, :], face)[:, 0, :]
            for group, face in zip(self._groups, self._faces, strict=True)
        ]
        if len(parts) == 1:
            return parts[0].T
        out = np.empty((self.K, self.n))
        for group, part in zip(self._groups, parts, strict=True):
            out[group.equations] = part
        return out.T

    def left(self, M: Array, g: Array, out: Array | None = None) -> Array:
        """M less X_j beta_j, (n, K)."""
        fitted = self.fitted(g)
        return np.subtract(M, fitted, out=fitted)

    def least_squares(self, M: Array) -> tuple[Array, Array]:
        """Coefficients of two stages, (P,), and what X_j beta_j leave."""
        g = self.project(M)
        return g, self.left(M, g)

    def first_stage(self, g: Array) -> Array:
        """Xhat_j beta_j, (n, K) Fortran-ordered."""
        return super().fitted(g)

    def face_project(self, M: Array) -> Array:
        """The transpose of ``fitted``: Xt_j'm_j, (P,)."""
        out = np.empty(self.P)
        for group, face in zip(self._groups, self._faces, strict=True):
            part = np.matmul(face, M.T[group.equations][:, :, None])[:, :, 0]
            out[group.gamma] = part.reshape(-1)
        return out

    def face(self, j: int) -> Array:
        """Xt_j, (n, p_j)."""
        group, i = self._slices[j]
        at = next(k for k, other in enumerate(self._groups) if other is group)
        return np.asarray(self._faces[at][0 if self.shared else i].T)

    def faces_at(self, at: slice, m: int) -> Array:
        """Xt_j' (m, p, n) of the m equations whose gamma is at ``at``, as `tiles` gives them."""
        for group, face in zip(self._groups, self._faces, strict=True):
            if group.gamma.start <= at.start < group.gamma.stop:
                start = (at.start - group.gamma.start) // group.p
                faces = np.broadcast_to(face, (len(group.equations), *face.shape[1:]))
                return np.asarray(faces[start : start + m])
        raise IndexError(f"no equation's coefficients start at {at.start}")

    def face_tiles(self, size: int) -> Iterator[tuple[Array, Array, slice]]:
        """As `tiles`, of the Xt_j'."""
        for equations, _, at in self.tiles(size):
            yield equations, self.faces_at(at, len(equations)), at

    def regressors(self, j: int) -> Array:
        """X_j, (n, p_j), from its face."""
        return np.asarray(np.linalg.solve(self.beta_map(j).T, self.face(j).T).T)

    @cached_property
    def stacked_faces(self) -> Array:
        """All Xt_j' as rows (P, n), in the order of `stacked`."""
        out = np.empty((self.P, self.n))
        for group, face in zip(self._groups, self._faces, strict=True):
            faces = np.broadcast_to(face, (len(group.equations), *face.shape[1:]))
            out[group.gamma] = faces.reshape(-1, self.n)
        return out

    @cached_property
    def hat(self) -> Design:
        """The design of the first stages alone: fitted values are Xhat_j beta_j."""
        maps = {group.gamma.start: (group.basis, group.to_beta) for group in self._groups}
        groups = {int(group.equations[0]): maps[group.gamma.start] for group in self._groups}
        return self._with_bases(self.p, self.shared, lambda js: groups[int(js[0])])

    def turned(self, order: Sequence[Array]) -> Instrumented:
        """As `Design.turned`; both faces turn with the bases."""
        bases = super().turned(order)
        turns = [self.basis(j).T @ bases.basis(j) for j in range(self.K)]
        design: Instrumented = object.__new__(Instrumented)
        design.q, design.exogenous = self.q, self.exogenous
        design._maps = [
            (first @ turn, over) for (first, over), turn in zip(self._maps, turns, strict=True)
        ]
        design._faces = []

        def made(equations: Array) -> tuple[Array, Array]:
            js = [int(j) for j in equations]
            design._faces.append(np.stack([(self.face(j) @ turns[j]).T for j in js]))
            return np.stack([bases.basis(j).T for j in js]), np.stack(
                [bases.beta_map(j) for j in js]
            )

        over = [self.over.basis(j).T for j in range(self.K)]
        design._stand(self.n, self.p, bases.shared, made, over)
        return design

    def on_rows(self, blocks: Sequence[Array], instruments: Sequence[Array]) -> Instrumented:
        """The same coordinates on the rows that these were compressed from."""
        design: Instrumented = object.__new__(Instrumented)
        n, equal = len(blocks[0]), self.shared
        design.q, design.exogenous, design._maps = self.q, self.exogenous, self._maps
        design._faces = []

        def made(equations: Array) -> tuple[Array, Array]:
            hats = [(instruments[j] @ self._maps[j][0]).T for j in equations]
            faces = [(blocks[j] @ self.beta_map(int(j))).T for j in equations]
            design._faces.append(np.stack(faces))
            return np.stack(hats), np.stack([self.beta_map(int(j)) for j in equations])

        one = [(instruments[j] @ self._maps[j][1]).T for j in range(1 if equal else self.K)]
        design._stand(n, self.p, equal, made, one * self.K if equal else one)
        return design

    def _stand(
        self,
        n: int,
        p: Array,
        equal: bool,
        made: Callable[[Array], tuple[Array, Array]],
        over: Sequence[Array],
    ) -> None:
        """Open the stacks of bases; ``over`` is complete, or filled by ``made`` on the way."""
        self._open(n, p, equal, made)
        self.over = Design.of_bases(over, n, equal)


def _one(blocks: Sequence[Array]) -> bool:
    """Whether all are equal."""
    first = blocks[0]
    return all(X is first or np.array_equal(X, first) for X in blocks)
