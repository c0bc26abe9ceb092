"""The effective F of Montiel Olea and Pflueger (2013): are the instruments of one regressor weak?

In the notation of `Partialled`, with one endogenous regressor, c = W'Y and S = Cov(c),

    F_eff = c'c / tr(S).

Of rows with one variance it is the first-stage F; S robust to heteroscedasticity, clusters or time
gives the F that says of 2SLS what the textbook's says there. (A robust Wald statistic over L does
not: 2SLS weighs instruments by Z'Z and not by S.) Instruments are weak where the Nagar bias of
2SLS may exceed a share tau of its worst case. With x = B / tau the test of that at level a rejects
beyond

    c(x) = chi2_{K, xK}(1 - a) / K,
    K = tr(S)^2 (1 + 2x) / (tr(S'S) + 2x tr(S) max eig(S)),

the upper quantile of a noncentral chi2 that has Patnaik's effective degrees of freedom K. B <= 1
is the worst ratio of the bias to its benchmark: 1 in the simplified, conservative procedure;
`tsls_bias` has it for 2SLS from the covariance of both reduced forms.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.instruments.partialled import Partialled
from sm_alsgls.core.instruments.scores import score_covariance

Array = np.ndarray

#: Shares of the worst-case bias that the paper tabulates.
TAUS = (0.05, 0.10, 0.20, 0.30)


def effective_f(
    part: Partialled, weights: RowWeights | None = None, factor: float = 1.0
) -> tuple[float, Array]:
    """The effective F of the one endogenous regressor, and S.

    Parameters
    ----------
    part : Partialled
        With m = 1; all N rows where there are ``weights``.
    weights : RowWeights, optional
        How rows depend. Default: independent, of one variance, where it is F.
    factor : float
        Of S, N / (N - k - L) for HC1; 1 is HC0.

    Returns
    -------
    statistic : float
    S : ndarray, shape (L, L)
        For `critical_value`.

    References
    ----------
    Montiel Olea and Pflueger (2013), Journal of Business & Economic Statistics 31, 358-369.
    """
    S = score_covariance(part.W, part.V[:, :1], part.df, weights, factor)[0, 0]
    c = part.C[:, 0]
    return float(c @ c / np.trace(S)), S


def effective_degrees(S: Array, x: float) -> float:
    """Patnaik's K of a weighted sum of noncentral chi2, from 1 to L."""
    eig = np.linalg.eigvalsh(S)
    trace = float(eig.sum())
    return trace**2 * (1.0 + 2.0 * x) / (float(eig @ eig) + 2.0 * x * trace * float(eig[-1]))


def critical_value(
    S: Array, tau: float = 0.10, level: float = 0.05, bias: float = 1.0
) -> tuple[float, float]:
    """Beyond which the effective F rejects that the bias may exceed ``tau`` of the worst case.

    Parameters
    ----------
    S : ndarray, shape (L, L)
        Covariance of the first-stage coefficients; any multiple will do.
    tau, level : float
    bias : float
        B; 1 is the simplified procedure, see `tsls_bias`.

    Returns
    -------
    value, degrees : float
        c(x) and K.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.effective_f import TAUS, critical_value
    >>> [round(critical_value(np.eye(1), tau)[0], 2) for tau in TAUS]
    [37.42, 23.11, 15.06, 12.05]
    >>> value, degrees = critical_value(np.diag([4.0, 1.0, 1.0]))
    >>> round(value, 2), round(degrees, 3)
    (20.63, 1.518)
    """
    x = bias / tau
    K = effective_degrees(S, x)
    return homoscedastic_critical_value(K, tau, level, bias), K


def homoscedastic_critical_value(
    K: float, tau: float = 0.10, level: float = 0.05, bias: float = 1.0
) -> float:
    """c(x) for known effective degrees of freedom: the number of instruments where S is c I."""
    x = bias / tau
    return float(special.chndtrix(1.0 - level, K, x * K) if x else special.chdtri(K, level)) / K


def tsls_bias(S11: Array, S12: Array, S22: Array) -> float:
    """B of 2SLS: its largest Nagar bias over the benchmark, whatever coefficient and direction.

    With S12(b) = S12 - b S22 (its symmetric part), S11(b) = S11 - b (S12 + S12') + b^2 S22 and e
    the eigenvalues of S12(b),

        B = sup_b max_e |tr S12(b) - 2 e| / sqrt(tr S11(b) tr S22).

    Parameters
    ----------
    S11, S12, S22 : ndarray, shape (L, L)
        Covariances of the reduced-form coefficients of the response, of these with the first
        stage's, and of the latter; `score_covariance` of the residuals [v_y, v].

    Notes
    -----
    1 where L = 1. Where S22 is a multiple of I and so are the others it is |1 - 2 / L|: none with
    two instruments, of which 2SLS has a first-order bias of zero.
    """
    mixed = (S12 + S12.T) / 2.0
    t11, t12, t22 = float(np.trace(S11)), float(np.trace(mixed)), float(np.trace(S22))
    # b0 is where tr S12(b) = 0 and scale the root of tr S11(b0) / tr S22: with b = b0 + scale *
    # tan(angle) the whole line is an interval, ends included.
    b0 = t12 / t22
    scale = np.sqrt(max(t11 / t22 - b0**2, 0.0)) or abs(b0) or 1.0

    def ratio(angle: float) -> float:
        # Both forms times cos(angle), so that they are finite at the ends.
        cos, sin = np.cos(angle), np.sin(angle)
        above = cos * (mixed - b0 * S22) - scale * sin * S22
        below = cos**2 * (t11 - b0 * t12) + (scale * sin) ** 2 * t22
        eig = np.linalg.eigvalsh(above)
        worst = max(abs(eig.sum() - 2.0 * eig[0]), abs(eig.sum() - 2.0 * eig[-1]))
        return float(worst / np.sqrt(below * t22)) if below > 0.0 else 0.0

    grid = np.linspace(-np.pi / 2, np.pi / 2, 181)
    values = np.array([ratio(angle) for angle in grid])
    best = float(values.max())
    step = grid[1] - grid[0]
    for at in np.flatnonzero(values >= 0.9 * best):
        low, high = grid[at] - step, grid[at] + step
        found = optimize.minimize_scalar(
            lambda angle: -ratio(angle), bounds=(low, high), method="bounded",
            options={"xatol": 1e-10},
        )  # fmt: skip
        best = max(best, -float(found.fun))
    return min(best, 1.0)
