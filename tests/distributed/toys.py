"""Programs that are short enough to be seen to be right, run by the engine in its tests."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np

from sm_alsgls.exceptions import NonFiniteError


def power(E, across, sweeps):
    """The largest eigenvalue of E E', of which a shard has some columns E (N, K_t)."""
    n = len(E)
    v = np.ones(n) / np.sqrt(n)
    value = 0.0
    for _ in range(sweeps):
        w = across.total(E @ (E.T @ v))
        value = float(v @ w)
        v = w / np.linalg.norm(w)
    return value, E.T @ v


def conjugate_gradients(A, across, b, tol=1e-12):
    """x of (I + A A')x = b; a shard has some columns A (N, K_t), and all have x."""
    x = np.zeros_like(b)
    r, p = b.copy(), b.copy()
    rr = r @ r
    while across.largest(float(np.sqrt(rr))) > tol:
        q = across.total(A @ (A.T @ p)) + p
        step = rr / (p @ q)
        x += step * p
        r -= step * q
        before, rr = rr, r @ r
        p = r + rr / before * p
    return x


def killed_once(E, across, sweeps, at, flag):
    """`power`, of which one worker dies by its own hand in sweep ``at``; never again."""
    n = len(E)
    v = np.ones(n) / np.sqrt(n)
    for sweep in range(sweeps):
        if sweep == at and across.total(1.0) and flag is not None and first_to_make(flag):
            os.kill(os.getpid(), signal.SIGKILL)
        w = across.total(E @ (E.T @ v))
        v = w / np.linalg.norm(w)
    return v


def first_to_make(flag):
    """Whether the file was not there: of several processes one is the first."""
    try:
        Path(flag).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def breaks(E, across, at):
    """One shard cannot go on; the others would."""
    for sweep in range(10**6):
        across.total(E)
        if sweep == at and not np.isfinite(E).all():
            raise NonFiniteError("equation 'y3': NaN in row 5")
        time.sleep(0.01)


def out_of_step(E, across):
    return across.total(E) if E.size > 2 else across.largest(1.0)


def early(E, across):
    return None if E.size > 2 else across.total(1.0)


def writes(E, across):
    """A program may write into its totals."""
    first = across.total(E)
    if E[0] == 1.0:
        first[:] = 0.0
    across.total(1.0)  # the others look after it has been written
    return first


def bug(E, across):
    return {}["nothing"]


def threads_here():
    return [t.name for t in threading.enumerate() if t.name.startswith("sm_alsgls shard")]


def dies(E, across):
    across.total(1.0)
    time.sleep(0.5)  # a nanny gives up a worker that dies while it is starting
    os.kill(os.getpid(), signal.SIGKILL)


class CannotTravelError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def unpicklable(E, across):
    raise CannotTravelError("stays here")


def moments(source, across):
    """Y Y' of all equations, and OLS of a shard's own."""
    tiles = [source.read(t) for t in range(len(source.bounds))]
    every = [pair for one in tiles for pair in zip(one.Xt, one.Yt, strict=True)]
    beta = [np.linalg.lstsq(X.T, y, rcond=None)[0] for X, y in every]
    return across.total(sum(one.Yt.T @ one.Yt for one in tiles)), np.array(beta)
