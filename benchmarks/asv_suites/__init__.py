"""Suites for airspeed velocity: one BLAS thread, and systems that no commit of the package changes.

asv run --config benchmarks/asv.conf.json main~5..main
asv run --config benchmarks/asv.conf.json --python=same --quick     # this tree, once
"""

import os

os.environ.update(
    dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        "1",
    )
)
