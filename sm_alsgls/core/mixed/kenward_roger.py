"""Kenward and Roger's covariance of coefficients, their F and its degrees of freedom.

With the P, Q, R of `sums`, W the inverse of REML's expected information and C = s2 H^-1,

    C_A = C + 2 C [ sum W_ab (Q_ab - P_a C P_b) - (R - R_t) / 4 ] C,      R = sum W_ab R_ab,

R_ab = X'V^-1 d2V_ab V^-1 X. Kenward and Roger (1997, Biometrics 53) have R alone, and it is zero
where V is linear in its parameters: where G is any or diagonal, and these are its elements, s2 and
the residual variances of levels. An autoregression is not linear in rho, and d2R has its part.
G = Lambda Lambda' + Psi is quadratic in Lambda. There the estimates of Lambda have a bias of the
same order (Kenward and Roger 2009, Computational Statistics and Data Analysis 53),

    -1/4 W t,   t_l = tr(M D M dV_l),   D = sum W_ab d2V_ab,   M = V^-1 - V^-1 X C X'V^-1,

whose effect on C is that of R_t = X'V^-1 D_t V^-1 X, D_t the part of D tangent to the family in
the metric of the information. Only what is bent beyond a change of parameters is left: C_A does not
depend on the parameters, so Lambda Lambda' of rank q has what any G has.

C_A is an expansion in one over the number of groups. Its second term need not be small, and where G
is bent need not leave C_A positive. There it is C^1/2 f(E) C^1/2, of C^1/2 E C^1/2 the second term,

    f(e) = (1 + x + x^2)^2, x = e / 2, where e >= 0,    f(-e) = 1 / f(e),    of eigenvalues of E,

the square of 1 / (1 - x) to second order. A coefficient of what differs between groups, beside k
other effects, has e = 2 k / nu of nu degrees of freedom, since GLS regresses the effect on those:
the variance that is left of it is estimated short by 1 - k / nu, as residuals' are, coefficients
of that regression cost 1 / (1 - k / nu) once more, and nu - k degrees of freedom are left, here
nu / (1 + x + x^2). Kenward and Roger's stay at nu. Where V is linear f is 1 + e, and degrees of
freedom are nu, which is 1997's.

A uniqueness that is zero with the likelihood falling beyond is a known number in C_A, whose
expansion is not of such estimates, and an unknown one in degrees of freedom: see `satterthwaite`.

F of m hypotheses L b = 0 and its denominator are those of section 3 of 1997: moments of an
F distribution matched, with A1 and A2 of W and P. Of one hypothesis that is F(1, 2 / A2) unscaled,
Satterthwaite's degrees of freedom with W in place of the observed information.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.information import LARGE, absolute, elements, work
from sm_alsgls.core.mixed.law_moves import LawMoves
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.core.mixed.satterthwaite import FixedCovariance, inverses, matched
from sm_alsgls.core.mixed.sums import Sums
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.progress import Progress

Array = np.ndarray

#: What is done about second derivatives of V: see the module.
VARIANTS = ("positive", "2009", "1997", "first-order")


class KenwardRogerCovariance(FixedCovariance):
    """C_A with degrees of freedom of its own.

    Parameters
    ----------
    fit : MixedFit
        By REML.
    variant : {"positive", "2009", "1997", "first-order"}
        Second derivatives of V less their tangent part, whole, or left out; "positive" is 2009's by
        f, with the degrees of freedom that are left. All are one where G may be any or is diagonal
        and rows are independent.
    rows : callable, optional
        Gives the `MixedRows`; asked where the law's rows are dependent.

    Raises
    ------
    NotApplicableError
    """

    def __init__(
        self,
        fit: MixedFit,
        variant: str = "positive",
        rows: Callable[[], MixedRows] | None = None,
    ) -> None:
        check_kenward_roger(fit)
        any_G, dependent = is_any(fit), not fit.law.independent
        linear = any_G and fit.structure.size == fit.structure.n_free
        given = rows() if dependent and rows is not None else None
        with Progress("Kenward and Roger's covariance", 3, "step") as told:
            sums = Sums(fit, elements(fit) if linear else absolute(fit), LawMoves(fit, given))
            self._C, self._P = fit.cov_b, sums.P
            told.update()
            information = sums.expected(reml=True)
            told.update()
            known, self._W = inverses(fit, information, any_G=linear)
            second = self._correction(sums, known, variant)
            told.update()
        bent = dependent or (fit.structure.rank > 0 and not any_G)
        self._counts = bent and variant == "positive"
        super().__init__(positive(self._C, second) if self._counts else self._C + second)
        self._b = fit.b

    def _correction(self, sums: Sums, W: Array, variant: str) -> Array:
        C, P = self._C, self._P
        mixed = np.tensordot(W, P, 1)
        inner = sums.contracted_Q(W) - np.einsum("ajk,kl,aln->jn", P, C, mixed, optimize=True)
        if variant != "first-order":
            inner = inner - 0.25 * _bent(sums, W, variant != "1997")
        out = 2.0 * C @ inner @ C
        return np.asarray(0.5 * (out + out.T))

    @cached_property
    def _turned(self) -> Array:
        """C P_a C, (d, p, p)."""
        return self._C @ self._P @ self._C

    def coefficient_df(self) -> Array:
        """Of each coefficient, (p,)."""
        return self.df(np.eye(len(self._V)))

    def df(self, R: Array) -> Array:
        """Of each of R b, (m,)."""
        df = matched(R, self._C, self._turned, self._W)
        if not self._counts:
            return df
        before = np.einsum("mj,jk,mk->m", R, self._C, R, optimize=True)
        after = np.einsum("mj,jk,mk->m", R, self._V, R, optimize=True)
        share = np.divide(before, after, out=np.ones(len(R)), where=after > before)
        return np.asarray(df * np.sqrt(share))

    def joint(self, R: Array, gap: Array) -> tuple[float, float, float, str, str] | None:
        """Their scaled F of R b = q, gap = R b - q; None where so few groups leave it no variance.

        It has one where c3 B < 1, from which A2 < m and c2 B < 1 follow, as A1 is at most m A2; of
        m means that differ between groups that is more than m + 4 groups. The formulas go on, to
        negative scales and degrees of freedom.
        """
        found = self._matched(R)
        if found is None:
            return None
        df, scale = found
        if self._counts:
            grown = np.trace(np.linalg.solve(R @ self._C @ R.T, self.combinations(R))) / len(R)
            df /= np.sqrt(max(1.0, grown))
        Q = float(gap @ np.linalg.solve(self.combinations(R), gap))
        m = len(R)
        return scale * Q / m, float(m), df, "F", f"Kenward and Roger's scaling: {scale:.4f}."

    def _matched(self, L: Array) -> tuple[float, float] | None:
        """Degrees of freedom of the denominator, and the scale of F; None as in `joint`."""
        m = len(L)
        triangle = np.linalg.cholesky(L @ self._C @ L.T)
        rows = np.linalg.solve(triangle, L)
        N = np.matmul(np.matmul(rows, self._turned), rows.T)
        traces = np.trace(N, axis1=1, axis2=2)
        A1 = float(traces @ self._W @ traces)
        A2 = float(np.einsum("ab,ajk,bkj->", self._W, N, N, optimize=True))
        if not A2 > 0.0:
            return np.inf, 1.0
        B = (A1 + 6.0 * A2) / (2.0 * m)
        g = ((m + 1.0) * A1 - (m + 4.0) * A2) / ((m + 2.0) * A2)
        d = 3.0 * m + 2.0 * (1.0 - g)
        c1, c2, c3 = g / d, (m - g) / d, (m + 2.0 - g) / d
        if c3 * B >= 1.0:
            return None
        mean = 1.0 / (1.0 - A2 / m)
        variance = 2.0 / m * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))
        df = 4.0 + (m + 2.0) / (m * variance / (2.0 * mean**2) - 1.0)
        return float(df), float(df / (mean * (df - 2.0)))


def check_kenward_roger(fit: MixedFit) -> None:
    """Whether a fit has what the correction is of.

    Raises
    ------
    NotApplicableError
    """
    if not fit.reml:
        raise NotApplicableError(
            "cov_type='kenward-roger' is a correction of REML estimates, and this fit is by "
            "maximum likelihood; fit with reml=True, or use 'satterthwaite'"
        )


def is_quick(fit: MixedFit) -> bool:
    """Whether the covariance takes about as long as degrees of freedom by Satterthwaite, or less.

    It needs sums over groups and four arrays of q^4, of which a parameter takes a product each.
    """
    return work(fit) + float(fit.structure.size) * fit.products.q**4 <= LARGE


def is_any(fit: MixedFit) -> bool:
    """Whether G may be any, so that V is linear in its elements, whatever G is written in."""
    structure, q = fit.structure, fit.products.q
    return structure.any_basis and structure.n_free == q * (q + 1) // 2


def positive(C: Array, second: Array) -> Array:
    """C^1/2 f(E) C^1/2 of the module, whichever root of C.

    Examples
    --------
    >>> C, second = np.diag([1.0, 4.0]), np.diag([-2.0, 0.4])
    >>> positive(C, second).round(3)
    array([[0.111, 0.   ],
           [0.   , 4.431]])
    """
    root = np.linalg.cholesky(C)
    half = np.linalg.solve(root, second)
    E = np.linalg.solve(root, half.T)
    values, vectors = np.linalg.eigh(0.5 * (E + E.T))
    size = np.abs(values)
    grown = (1.0 + 0.5 * size + 0.25 * size**2) ** 2
    turned = root @ vectors
    return np.asarray((turned * np.where(values >= 0.0, grown, 1.0 / grown)) @ turned.T)


def _bent(sums: Sums, W: Array, less_tangent: bool) -> Array:
    """R, or R - R_t, (p, p)."""
    c, E, t, bent = sums.coordinates.second(W)
    if not (c or E.any() or t.any() or (bent is not None and bent.any())):
        return np.zeros_like(sums.P[0])
    both = sums.with_second(W)
    # X'V^-1 dV_a V^-1 X is -P_a.
    R = -both.P[-1]
    if not less_tangent:
        return np.asarray(R)
    along = W @ both.expected(reml=True)[-1, :-1]
    return np.asarray(R + np.tensordot(along, sums.P, 1))
