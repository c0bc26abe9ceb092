"""Interactive effects by whole matrices and by Bai's own alternation: slow, and nothing shared."""

from pathlib import Path

import numpy as np
import pandas as pd

from sm_alsgls.core.interactive.panel import Effects, Panel

REFERENCE = Path(__file__).parents[2] / "reference"


def bai(rng, T, n, *, p=2, r=2, variance=2.0, spread=0.7):
    """Bai's (2009, section 8) design, b = 1, 2, ...; lognormal error variances of that mean."""
    F, G = rng.standard_normal((T, r)), rng.standard_normal((n, r))
    moved = 1.0 + F @ G.T + F.sum(1)[:, None] + G.sum(1)
    X = moved + rng.standard_normal((p, T, n))
    d = np.exp(spread * rng.standard_normal(n))
    d *= variance / d.mean()
    b = np.arange(1.0, p + 1.0)
    Y = np.tensordot(b, X, 1) + F @ G.T + np.sqrt(d) * rng.standard_normal((T, n))
    return Panel(Y, X), d, b


def with_holes(panel, rng, share):
    """The same, a share of its cells not observed and nonsense there."""
    seen = rng.random(panel.Y.shape) >= share
    return Panel(np.where(seen, panel.Y, 77.0), np.where(seen, panel.X, -5.0), seen)


def read(name, unit, time, y, columns, logs):
    """A balanced panel of a file of tests/reference."""
    frame = pd.read_csv(REFERENCE / name)
    wide = [
        frame.pivot(index=time, columns=unit, values=c).to_numpy(float).copy()
        for c in (y, *columns)
    ]
    wide = [np.log(w) if c in logs else w for c, w in zip((y, *columns), wide, strict=True)]
    return Panel(wide[0], np.stack(wide[1:]))


def cigar():
    return read("cigar.csv", "state", "year", "sales", ["price", "ndi"], {"sales", "price", "ndi"})


def produc():
    logs = {"gsp", "pcap", "pc", "emp"}
    return read("produc.csv", "state", "year", "gsp", ["pcap", "pc", "emp", "unemp"], logs)


def dummies(T, n, effects, root, F=None, G=None):
    """Columns, over cells (T n), of everything additive, and of the tangent space of F G'."""
    known = [np.kron(one[:, None], np.diag(1.0 / root)) for one in effects.L.T]
    known += [np.kron(np.eye(T), (one / root)[:, None]) for one in effects.C.T]
    if F is not None:
        known += [np.kron(one[:, None], np.diag(1.0 / root)) for one in F.T]
        known += [np.kron(np.eye(T), (one / root)[:, None]) for one in G.T]
    return np.column_stack(known) if known else np.empty((T * n, 0))


def without(M, columns):
    """Residuals of rows of M, each over cells."""
    if not columns.shape[1]:
        return M
    return M - (columns @ np.linalg.lstsq(columns, M.T, rcond=None)[0]).T


def projected(panel, effects, d):
    """W_y (T, n) and W_x (p, T, n) by regressions on dummies."""
    T, n = panel.Y.shape
    root = np.sqrt(d)
    stack = np.concatenate([panel.Y[None], panel.X]) / root
    left = without(stack.reshape(len(stack), -1), dummies(T, n, effects, root))
    left = left.reshape(stack.shape)
    return left[0], left[1:]


def sum_of_squares(panel, effects, d, rank, beta):
    y, X = projected(panel, effects, d)
    s = np.linalg.svd(y - np.tensordot(beta, X, 1), compute_uv=False)
    return float(np.sum(s[rank:] ** 2))


def alternate(panel, effects, d, rank, beta, rounds=20_000, tol=1e-13):
    """b by regression given factors, factors by singular values given b (Bai 2009, p. 1237)."""
    y, X = projected(panel, effects, d)
    A = X.reshape(len(X), -1)
    inverse = np.linalg.inv(A @ A.T)
    for _ in range(rounds):
        U, s, Vt = np.linalg.svd(y - np.tensordot(beta, X, 1), full_matrices=False)
        common = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        new = inverse @ (A @ (y - common).ravel())
        done = np.abs(new - beta).max() <= tol * np.abs(new).max()
        beta = new
        if done:
            return beta
    raise AssertionError("Bai's alternation did not end")


def em(panel, effects, d, rank, beta, rounds=50_000, tol=1e-13):
    """The same with holes, from what is in them: fills are what was fitted (Bai 2009)."""
    Y, X = panel.Y, panel.X
    root = np.sqrt(d)
    for _ in range(rounds):
        y, A = projected(Panel(Y, X), effects, d)
        U, s, Vt = np.linalg.svd(y - np.tensordot(beta, A, 1), full_matrices=False)
        common = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        flat = A.reshape(len(A), -1)
        new = np.linalg.solve(flat @ flat.T, flat @ (y - common).ravel())
        E = (y - common - np.tensordot(new, A, 1)) * root
        Y = np.where(panel.seen, panel.Y, Y - E)
        done = np.abs(new - beta).max() <= tol * np.abs(new).max()
        beta = new
        if done:
            return beta, float(np.sum(np.where(panel.seen, E / root, 0.0) ** 2))
    raise AssertionError("EM did not end")


def influence(fit):
    """Z over observed cells, by regression on the tangent space; zero elsewhere."""
    T, n = fit.panel.Y.shape
    root = np.sqrt(fit.d)
    seen = np.ones((T, n), bool) if fit.panel.seen is None else fit.panel.seen
    rows = seen.ravel()
    columns = dummies(T, n, fit.effects, root, fit.F, fit.loadings)[rows]
    A = (fit.panel.X / root).reshape(fit.panel.p, -1)[:, rows]
    Z = np.zeros((fit.panel.p, T * n))
    Z[:, rows] = without(A, columns)
    return Z.reshape(-1, T, n)


def effects_of(panel, kind):
    return Effects.of(
        panel.T, panel.n, unit=kind in ("unit", "both"), time=kind in ("time", "both")
    )
