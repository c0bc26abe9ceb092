"""The suite's own environment."""

import gc

from threadpoolctl import threadpool_info


def test_the_suite_runs_on_one_blas_thread():
    """So that processes of xdist do not wait for one another's threads."""
    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert found
    assert max(found) == 1


def test_garbage_is_not_looked_for_in_what_stays():
    """Tests and imports are thousands of objects, which each full collection would go through."""
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
