"""The suite's own environment."""

from threadpoolctl import threadpool_info


def test_the_suite_runs_on_one_blas_thread():
    """So that processes of xdist do not wait for one another's threads."""
    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert found
    assert max(found) == 1
