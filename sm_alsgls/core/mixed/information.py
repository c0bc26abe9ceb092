"""Coordinates of V, and information about variances in them.

    relative   (phi, theta, log s2)        V = s2 ( Z Gamma(phi) Z' + R(theta) )
    absolute   (phi, law, s2)              V = s2hat Z Gamma(phi) Z' + s2 R
    elements   (elements of G, law, s2)    V = Z G Z' + s2 R

where "law" is theta, or, where rows are independent, the variances of all levels but s2 itself: V
is linear in these. The sums that matrices are made of are those of `sums`.

The observed information is exact where rows are independent. There d2R / dtheta_l^2 is dR_l, and

    -d2 llf = y'P dV_a P dV_b P y - tr(Q dV_a Q dV_b) / 2 + tr(Q d2V_ab) / 2 - y'P d2V_ab P y / 2,

P = V^-1 - V^-1 X Phi X'V^-1 and Q that under REML, V^-1 under ML: residuals are one column more of
X in `sums`, and the last two are slopes of the likelihood. Of other laws, whose second products are
of rows, it is by central differences of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.mixed.climb import held, scoring
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.law_moves import LawMoves
from sm_alsgls.core.mixed.sums import Coordinates, Direction, Sums
from sm_alsgls.progress import counted

Array = np.ndarray

#: Multiplications of `work` beyond which it takes long: two or three seconds of one processor.
LARGE = 5e9

# A step of differences, in standard errors.
_STEP = 1e-3


def work(fit: MixedFit) -> float:
    """Multiplications of what is made for each parameter of G and of the law from m groups."""
    p, q, m = fit.products.p, fit.products.q, fit.products.m
    of_law = fit.law.size * (p + q) * (p + q + fit.law.size)
    return float(m) * (float(fit.structure.size) * q**2 + float(of_law)) * (q + p)


def relative(fit: MixedFit) -> Coordinates:
    """(phi, theta, log s2): G = s2 Gamma(phi), all variances proportional to s2.

    Elements of phi that are held at zero (Heywood cases) are there; see `free`.
    """
    structure, phi, s2, law = fit.structure, fit.point.phi, fit.s2, fit.law.size
    q, size = fit.products.q, structure.size
    E = np.zeros((size + law + 1, q, q))
    E[:size] = fit.mix @ structure.directions(phi) @ fit.mix.T * s2
    t = np.zeros((len(E), law))
    t[size:-1] = s2 * np.eye(law)
    theta = slice(size, size + law)

    def second(w: Array) -> Direction:
        inner = s2 * fit.mix @ structure.contracted(w[:size, :size]) @ fit.mix.T
        inner += np.tensordot(2.0 * w[:size, -1], E[:size], 1)
        moved = 2.0 * s2 * w[theta, -1]
        return Direction(float(s2 * w[-1, -1]), inner, moved, s2 * w[theta, theta])

    names = (*(f"phi{a}" for a in range(size)), *fit.law.names, "log s2")
    values = np.concatenate([phi, fit.theta, [np.log(s2)]])
    return Coordinates(names, values, np.append(np.zeros(len(E) - 1), s2), E, t, second)


def elements(fit: MixedFit) -> Coordinates:
    """(G_jk, j >= k, by rows; law; s2), in the user's units: V is linear in all but theta."""
    q, z = fit.products.q, fit.products.basis.z
    rows, columns = np.tril_indices(q)
    d = len(rows)
    E = np.zeros((d, q, q))
    E[np.arange(d), rows, columns] = 1.0
    E[np.arange(d), columns, rows] = 1.0
    names = tuple(f"G{j},{k}" for j, k in zip(rows, columns, strict=True))
    return _with_law(fit, names, fit.G[rows, columns], z @ E @ z.T, lambda w: np.zeros((q, q)))


def absolute(fit: MixedFit) -> Coordinates:
    """(phi, law, s2), with V = s2hat Z Gamma(phi) Z' + s2 R: s2 moves the residuals alone."""
    structure, phi, s2 = fit.structure, fit.point.phi, fit.s2
    E = fit.mix @ structure.directions(phi) @ fit.mix.T * s2

    def curved(w: Array) -> Array:
        return np.asarray(s2 * fit.mix @ structure.contracted(w) @ fit.mix.T)

    return _with_law(fit, tuple(f"phi{a}" for a in range(structure.size)), phi, E, curved)


def _with_law(
    fit: MixedFit,
    names: tuple[str, ...],
    values: Array,
    E: Array,
    curved: Callable[[Array], Array],
) -> Coordinates:
    """Coordinates of G with those of residuals that move G by nothing."""
    law, s2, size = fit.law, fit.s2, len(E)
    at, number = law.at_pairs(fit.theta), law.size
    theta = slice(size, size + number)
    # d(theta, s2) of each of (law, s2).
    change = np.eye(number + 1)
    moved = np.append(fit.theta, s2)
    if law.independent:
        # Variances are s2 exp(theta), the first is s2.
        terms = np.concatenate([s2 * at.slopes, at.value[None]])
        change = np.roll(np.linalg.inv(terms), -1, axis=0)
        moved = np.roll(s2 * at.value, -1)
    c = np.append(np.zeros(size), change[:, -1])
    t = np.concatenate([np.zeros((size, number)), s2 * change[:, :-1]])
    gamma = fit.profile.gamma(fit.point.phi)
    whole = np.concatenate([E, -change[:, -1, None, None] * gamma])

    def second(w: Array) -> Direction:
        if law.independent:
            return Direction(0.0, curved(w[:size, :size]), np.zeros(number), None)
        return Direction(0.0, curved(w[:size, :size]), 2.0 * w[theta, -1], s2 * w[theta, theta])

    whose = tuple(f"variance {k}" for k in range(1, number + 1)) if law.independent else law.names
    return Coordinates((*names, *whose, "s2"), np.concatenate([values, moved]), c, whole, t, second)


def free(fit: MixedFit) -> Array:
    """Parameters of (phi, theta, log s2) that are not held on a bound, of bool."""
    return np.append(~held(fit.profile, fit.point), True)


def slopes_of_b(fit: MixedFit) -> Array:
    """d cov(b) / d(phi, theta, log s2), (size, p, p): Phi X'V^-1 dV V^-1 X Phi."""
    return -fit.cov_b @ Sums(fit, relative(fit)).P @ fit.cov_b


def observed(fit: MixedFit) -> Array:
    """Observed information of (phi, theta, log s2), b profiled out, (size, size).

    Of laws whose rows are dependent NaN of what is held.
    """
    return _exact(fit) if fit.law.independent else by_differences(fit)


def _exact(fit: MixedFit) -> Array:
    point, size = fit.point, fit.structure.size
    sums = Sums(fit, relative(fit), LawMoves(fit), response=True)
    out = sums.of_residuals() - sums.expected()
    out[:size, :size] += fit.structure.second(point.S)
    # d2V of theta_l twice is dV of it, and of anything and log s2 dV of that.
    at = np.arange(size, len(out) - 1)
    out[at, at] += point.gradient[size:]
    out[:-1, -1] += point.gradient
    out[-1, :-1] += point.gradient
    return out


def by_differences(fit: MixedFit) -> Array:
    """`observed`, NaN of what is held.

    By central differences of the gradient of the profile likelihood psi(x) = min NLL(x, log s2),

        NLL_xx = psi_xx + (f / 2) l l',   NLL_xs = -(f / 2) l,   NLL_ss = f / 2,

    l = d log s2 / dx of the profiled s2 and f its degrees of freedom. Two evaluations a parameter.

    Returns
    -------
    ndarray, shape (size, size)
    """
    profile, x = fit.profile, fit.point.x
    moves = ~held(profile, fit.point)
    se = 1.0 / np.sqrt(np.maximum(np.diagonal(scoring(profile, fit.point)), 1e-300))
    size = len(x)
    H, slope = np.full((size, size), np.nan), np.full(size, np.nan)
    typical = float(np.median(se[moves])) if moves.any() else 1.0
    for a in counted(np.flatnonzero(moves), "information", unit="parameter"):
        room = min(x[a] - profile.low[a], profile.high[a] - x[a])
        h = min(_STEP * min(float(se[a]), 1e3 * typical), 0.5 * room)
        step = np.zeros(size)
        step[a] = h
        ahead, behind = profile.at(x + step), profile.at(x - step)
        H[a] = (ahead.gradient - behind.gradient) / (2.0 * h)
        slope[a] = (np.log(ahead.s2) - np.log(behind.s2)) / (2.0 * h)
    H[:, ~moves] = np.nan
    half = 0.5 * profile.freedom
    out = np.empty((size + 1, size + 1))
    out[:-1, :-1] = 0.5 * (H + H.T) + half * np.outer(slope, slope)
    out[:-1, -1] = out[-1, :-1] = -half * slope
    out[-1, -1] = half
    return out


def expected(fit: MixedFit, reml: bool | None = None) -> Array:
    """Expected information of (phi, theta, log s2).

    Raises
    ------
    NotApplicableError
        Rows are dependent: that is of `LawMoves` with rows.
    """
    return Sums(fit, relative(fit)).expected(reml)
