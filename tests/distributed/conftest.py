"""Two worker processes of dask on this machine, for whatever is tested past one process."""

import pytest

WORKERS = 2


@pytest.fixture(scope="session")
def cluster():
    """A client of a `LocalCluster` of two workers of one thread each; made once a session.

    Tests may kill a worker: its nanny starts another, for which `whole` waits.
    """
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # 8787 may be taken, which is a warning
            memory_limit=0,
        ) as local,
        # Not the default client: what is not handed it runs where it says.
        Client(local, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def whole(cluster):
    """The cluster, with all of its workers, whatever a test before has killed."""
    cluster.wait_for_workers(WORKERS, timeout=30)
    return cluster
