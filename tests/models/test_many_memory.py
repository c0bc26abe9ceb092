"""Memory of a fit in tiles: what grows with the equations is vectors, not their data."""

import json
import subprocess
import sys

import numpy as np
import pytest

N, p = 200, 6

# What fits of as many equations as the arguments say, one after the other, add to the peak of a
# process that does nothing else, in MB.
SCRIPT = """
import json, sys, warnings
import numpy as np
from sm_alsgls import LowRankSUR

form, path, counts = sys.argv[1], sys.argv[2], [int(K) for K in sys.argv[3:]]
N, p, step = 200, 6, 500


# Drawing numbers would take longer than fitting them: every chunk is the first, its rows moved on.
rng = np.random.default_rng(0)
X0, E0 = rng.standard_normal((step, N, p)), rng.standard_normal((N, step))
Z0 = rng.standard_normal((N, 1))
# Sums along six take longer than all else of a chunk.
S0 = X0.sum(axis=2).T


def chunk(first):
    at = first // step
    Y = np.roll(S0, at, axis=0) + Z0 + np.roll(E0, 3 * first // step, axis=0)
    return Y, np.roll(X0, at, axis=1)


def chunks(K):
    return map(chunk, range(0, K, step))


def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def fit(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = model.fit(max_sweeps=1, gtol=1e-2)
    res.bse
    for names, block in res.resid:
        pass
    return res


def make(K):
    if form == "map":
        X, Y = (np.memmap(path + name, mode="r", dtype=float, shape=shape)
                for name, shape in (("X", (K, p, N)), ("Y", (K, N))))
        return LowRankSUR(Y.T, X.transpose(0, 2, 1), rank=1)
    if form == "function":
        return LowRankSUR.from_equations(lambda: chunks(K), 1)
    return LowRankSUR.from_equations(chunks(K), 1)


# What is imported and made once is not of this fit.
fit(LowRankSUR.from_equations([tuple(a[..., :9] if a.ndim == 2 else a[:9] for a in chunk(0))], 1))
before, peaks = peak(), []
for K in counts:
    fit(make(K))
    peaks.append(peak() - before)
print(json.dumps(peaks))
"""


def _peaks(form, path, *counts):
    """MB that fits of so many equations add to the peak of a process."""
    args = [sys.executable, "-c", SCRIPT, form, path, *map(str, counts)]
    done = subprocess.run(args, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["map", "function", "iterator"])
def test_memory_does_not_grow_with_the_data(form, tmp_path):
    few, many = (4_000, 12_000) if form == "function" else (2_000, 8_000)
    rng = np.random.default_rng(0)
    path = f"{tmp_path}/"
    if form == "map":
        X = np.memmap(path + "X", mode="w+", dtype=float, shape=(many, p, N))
        Y = np.memmap(path + "Y", mode="w+", dtype=float, shape=(many, N))
        for at in range(0, many, 500):
            X[at : at + 500] = rng.standard_normal((500, p, N))
            Y[at : at + 500] = X[at : at + 500].sum(axis=1) + rng.standard_normal((500, N))
        X.flush()
    if form == "function":
        # Chunks that threads make and let go leave holes in the heap, as many of few equations as
        # of many, where each has a process.
        (less,), (more,) = _peaks(form, path, few), _peaks(form, path, many)
    else:
        less, more = _peaks(form, path, few, many)
    grown = more - less
    data = 8e-6 * (many - few) * N * (p + 1)
    # 70 or 90 MB more of data; 18 or 22 MB of vectors, of which two secant memories of 20 are most.
    most = 0.6 if form == "function" else 0.4
    assert grown < most * data, f"{grown:.0f} MB for {data:.0f} MB of data"
