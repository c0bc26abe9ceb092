"""Processor seconds of spreg's panels, by a Python that has it: `panel_speed.py` runs this.

    PYTHON benchmarks/panel_peers.py FILE.npz

FILE has Y (periods, regions), X (periods, regions, p) without constants, and W as ``data``,
``indices`` and ``indptr``; names and seconds come back as JSON. Panel_FE_Error has one lambda, one
variance and an effect of each region. SURerrorML has a lambda, a constant and slopes of each period
and a Sigma across periods; of ``periods`` of them, as its time grows fast with their number.
"""

import json
import sys
import time
import warnings

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import scipy.sparse


def seconds(run, runs):
    """The best of some runs."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def main(path):
    """Fit and print."""
    import libpysal
    import spreg

    warnings.simplefilter("ignore")
    data = np.load(path)
    Y, X, few = data["Y"], data["X"], int(data["periods"])
    W = scipy.sparse.csr_matrix((data["data"], data["indices"], data["indptr"]))
    w = libpysal.weights.WSP(W).to_W(silence_warnings=True)
    y, x = Y.reshape(-1, 1), X.reshape(Y.size, -1)
    bigy = {t: Y[t][:, None] for t in range(few)}
    bigX = {t: X[t] for t in range(few)}
    found = {
        "spreg Panel_FE_Error, one variance": seconds(lambda: spreg.Panel_FE_Error(y, x, w), 2),
        f"spreg SURerrorML of {few} periods, an equation each": seconds(
            lambda: spreg.SURerrorML(bigy, bigX, w, nonspat_diag=False), 1
        ),
    }
    json.dump({"version": spreg.__version__, "seconds": found}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
