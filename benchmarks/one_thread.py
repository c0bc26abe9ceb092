"""Pin BLAS to one thread. Import it before NumPy; child processes inherit it.

In a process that has NumPy already (pytest) it changes nothing.
"""

import os
import sys

VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

if "numpy" not in sys.modules:
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
