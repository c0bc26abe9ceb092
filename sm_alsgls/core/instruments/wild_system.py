"""The wild restricted efficient bootstrap of a coefficient of a system estimate.

Davidson and MacKinnon's (2010) draws (`sm_alsgls.core.instruments.wild_restricted`) of all
equations at once, each estimated again as the system was, by 3SLS, GMM or 2SLS:

1. the system under its null, b_i = value in equation j, in the same way; residuals u_l = y_l - X_l
   b_l of every equation there;
2. endogenous regressors of each equation on [Z_l u_l] by least squares: C_l the coefficients of
   Z_l, and V_l = X_l - Z_l C_l, which keeps what u_l explains;
3. one sign s_n of +1 or -1 for a row, or a cluster of rows, and all equations, so that errors of
   equations stay as correlated as they are:  X*_l = Z_l C_l + s V_l,  y*_l = X*_l b_l + s u_l;
4. t* of b_i about the null on (y*, X*), Sigma and all, and p = (1 + #{|t*| >= |t|}) / (1 + draws).

u_l is rescaled by the root of N over N less the coefficients that are estimated, V_l by that of
N / (N - q_l). A variable that is in several equations is drawn for each, by the u of each.

The t is model-based (`sm_alsgls.core.instruments.refit`). Signs keep the size of every row's
errors, so that its distribution is right under heteroscedasticity and, with a sign a cluster,
dependence; a t that is itself robust would be nearer to pivotal there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.design.base import Binding
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.refit import Again, Way
from sm_alsgls.core.instruments.three_stage import Rows as WholeRows
from sm_alsgls.core.instruments.wild_restricted import rademacher
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.replicates import replicates
from sm_alsgls.core.rows.instrumented import InstrumentedRows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import IterationError, SystemInputError

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class WholeSystem:
    """All rows of a system, and how it is estimated.

    Attributes
    ----------
    blocks, instruments : sequence of ndarray
        K regressors (N, p_j) and instruments (N, q_j), times the roots of weights if there are any.
    Y : ndarray, shape (N, K)
    endogenous : sequence of ndarray of bool, shape (p_j,)
    law : callable
        Makes the law of the errors of some rows.
    options : ALSOptions
    way : Way
    """

    blocks: Sequence[Array]
    instruments: Sequence[Array]
    Y: Array
    endogenous: Sequence[Array]
    law: Callable[[Rows], Errors]
    options: ALSOptions
    way: Way

    def estimated(
        self,
        blocks: Sequence[Array],
        Y: Array,
        *,
        binding: Binding | None = None,
        near: Covariance | None = None,
    ) -> Again:
        """The estimate of regressors and responses on these instruments, Sigma ``near`` one.

        Raises
        ------
        UnidentifiedError, IterationError
        """
        n, one = len(Y), np.ones(len(Y))
        rows = InstrumentedRows(list(blocks), Y, n, one, None, list(self.instruments))
        design = Instrumented(rows.blocks, rows.instruments, n)
        problem = Problem.from_rows(
            rows, self.options, law=self.law, binding=binding, free=lambda _: design
        )
        return self.way.again(problem, lambda: WholeRows(design, Y), near)

    def places(self) -> Array:
        """The equation of every parameter, (P,)."""
        return np.repeat(np.arange(len(self.blocks)), [X.shape[1] for X in self.blocks])


@dataclass(frozen=True, eq=False)
class SystemNull:
    """A system whose parameter ``at`` has a value: what draws are made of.

    Attributes
    ----------
    system : WholeSystem
    at : int
        The parameter, equation after equation.
    value : float
    beta : list of ndarray, (p_j,)
        Coefficients under the null.
    means, V : list of ndarray, (N, p_j)
        Regressors less their first-stage residuals, and these, rescaled; 0 of exogenous ones.
    u : ndarray, shape (N, K)
        Rescaled residuals.
    sigma : Covariance
        Of 2SLS residuals under the null, from which draws look for theirs.
    code : ndarray of int, shape (N,), optional
        The cluster of each row. Default: rows are their own.
    """

    system: WholeSystem
    at: int
    value: float
    beta: list[Array]
    means: list[Array]
    V: list[Array]
    u: Array
    sigma: Covariance
    code: Array | None = None

    @property
    def units(self) -> int:
        """Rows or clusters: signs of a draw."""
        return len(self.u) if self.code is None else int(self.code.max()) + 1

    def drawn(self, signs: Array) -> tuple[list[Array], Array]:
        """Step 3: regressors and responses of signs (`units`,)."""
        s = (signs if self.code is None else signs[self.code]).astype(float)[:, None]
        blocks = [mean + s * V for mean, V in zip(self.means, self.V, strict=True)]
        fitted = [X @ b for X, b in zip(blocks, self.beta, strict=True)]
        return blocks, np.asfortranarray(np.column_stack(fitted) + s * self.u)

    def t(self, signs: Array) -> float:
        """Step 4: t* of a draw; NaN where it is not identified."""
        try:
            again = self.system.estimated(*self.drawn(signs), near=self.sigma)
            return again.t(self.at, self.value)
        except (SystemInputError, IterationError, np.linalg.LinAlgError):
            return float("nan")


def system_under_null(
    system: WholeSystem, at: int, value: float, code: Array | None = None
) -> SystemNull:
    """Steps 1 and 2.

    Raises
    ------
    UnidentifiedError, IterationError
    """
    own = system.places()
    R = np.zeros((1, len(own)))
    R[0, at] = 1.0
    held = Restrictions(R, np.array([float(value)]))
    again = system.estimated(system.blocks, system.Y, binding=held)
    beta = again.problem.design.to_beta(again.found.g)
    N, K = system.Y.shape
    u, means, residuals = np.empty((N, K), order="F"), [], []
    for j, (X, Z, moves) in enumerate(
        zip(system.blocks, system.instruments, system.endogenous, strict=True)
    ):
        e = system.Y[:, j] - X @ beta[j]
        V = np.zeros_like(X)
        V[:, moves] = efficient_residuals(X[:, moves], Z, e)
        means.append(X - V)
        residuals.append(V * np.sqrt(N / (N - Z.shape[1])))
        u[:, j] = e * np.sqrt(N / (N - len(beta[j]) + (j == own[at])))
    sigma = again.found.first_cov
    return SystemNull(system, at, float(value), list(beta), means, residuals, u, sigma, code)


def efficient_residuals(X: Array, Z: Array, u: Array) -> Array:
    """X - Z C, C the coefficients of Z in a regression of X (N, m) on [Z u]."""
    W = np.linalg.qr(Z)[0]
    inside = W.T @ u
    own = u - W @ inside
    own -= W @ (W.T @ own)
    size = float(own @ own)
    delta = own @ X / size if size > 0.0 else np.zeros(X.shape[1])
    # W'(X - u delta): by Frisch and Waugh delta is that of u in the regression on both.
    return np.asarray(X - W @ (W.T @ X - np.multiply.outer(inside, delta)))


@on_one_thread
def t_of_draw(null: SystemNull, seed: np.random.SeedSequence) -> float:
    """t* of the signs of a seed."""
    return null.t(rademacher(np.random.default_rng(seed), 1, null.units)[0])


def wild_draws(
    null: SystemNull, seeds: Sequence[np.random.SeedSequence], n_jobs: int = 1
) -> Iterator[float]:
    """t* in the order of ``seeds``, the same for any number of processes.

    References
    ----------
    Davidson and MacKinnon (2010), Journal of Business & Economic Statistics 28, 128-144.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.errors.law import law_of
    >>> from sm_alsgls.core.instruments.refit import Way
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((80, 1)) + rng.standard_normal((80, 4))
    >>> Z = [rng.standard_normal((80, 2)) for _ in range(4)]
    >>> X = [Z[j].sum(axis=1)[:, None] + e[:, [j]] for j in range(4)]
    >>> Y = np.column_stack([x[:, 0] for x in X]) + e  # coefficients of 1
    >>> way = Way(1, "iv", False, False, 1e-8, 500, np.ones(4))
    >>> told = [np.array([True])] * 4
    >>> system = WholeSystem(X, Z, Y, told, law_of(1).make, ALSOptions(), way)
    >>> null = system_under_null(system, 0, 1.0)
    >>> draws = list(wild_draws(null, np.random.SeedSequence(0).spawn(99)))
    >>> bool(np.mean(np.abs(draws) > 2.0) < 0.15)
    True
    """
    return replicates(t_of_draw, null, seeds, n_jobs)
