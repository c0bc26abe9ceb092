"""What tests of several folders ask for, on one BLAS thread.

Two processes of two threads each take three times as long on two cores. xdist's inherit this
environment; a process that has NumPy already is told by threadpoolctl.
"""

import gc
import os
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Processes that tests start would compile the package each time, for 0.7 s, where no byte code is
# to lie beside the sources: then it lies elsewhere.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ.setdefault(
        "PYTHONPYCACHEPREFIX", os.path.join(tempfile.gettempdir(), "sm_alsgls-bytecode")
    )

# isort: split
import pytest
import scipy.linalg  # noqa: F401  its BLAS is another than NumPy's
import statsmodels.formula
from threadpoolctl import threadpool_limits

ONE_THREAD = threadpool_limits(1, user_api="blas")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is there before the first test stays to the last: garbage is not looked for in it.

    Half a million objects, of 11,700 tests and what they import, are otherwise gone through again
    and again. The collector goes on meanwhile: dask, imported while it is off, would leave it off.
    """
    done = yield
    if "hypothesis" in sys.modules:
        _first_property()
    gc.collect()
    gc.freeze()
    return done


def _first_property():
    """What hypothesis makes in its first property: its generator of random numbers.

    6.100 asks the collector who holds it, to whom what is frozen is nobody, and warns. Warnings are
    errors, and this one was reported as a test that is flaky.
    """
    from hypothesis import given, settings, strategies

    @settings(derandomize=True, database=None, max_examples=1)
    @given(strategies.none())
    def nothing(_):
        pass

    nothing()


@pytest.fixture(params=["patsy", "formulaic"])
def engine(request):
    """Each formula engine in turn, as statsmodels' option."""
    options = statsmodels.formula.options
    before = options.formula_engine
    options.formula_engine = request.param
    yield request.param
    options.formula_engine = before
