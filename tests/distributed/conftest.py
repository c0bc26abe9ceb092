"""Two worker processes of dask on this machine, for whatever is tested past one process."""

from contextlib import contextmanager

import pytest

WORKERS = 2


@contextmanager
def client_of_two():
    """A client of a `LocalCluster` of two workers of one thread each."""
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


@pytest.fixture(scope="session")
def cluster():
    """Made once a session; nobody kills its workers."""
    with client_of_two() as client:
        yield client


@pytest.fixture
def mortal():
    """A cluster of a test that kills a worker, once.

    15 s after a loss a `LocalCluster` looks whether there is a worker of that name again, and gives
    it up for good where there is none: killed by another test just then, it never comes back.
    """
    with client_of_two() as client:
        yield client
