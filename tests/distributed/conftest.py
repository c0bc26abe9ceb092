"""Two worker processes of dask on this machine, for whatever is tested past one process."""

from contextlib import contextmanager
from pathlib import Path

import pytest

WORKERS = 2
# Fixtures and parameters of tests that have them.
OF_WORKERS = ("cluster", "mortal", "on workers", "there")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What asks for worker processes is slow, by its fixtures or by one of its parameters."""
    # pytest hands every conftest all items, and "cluster" is a type of covariance elsewhere.
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        case = getattr(item, "callspec", None)
        asked = [*getattr(item, "fixturenames", ()), *(case.params.values() if case else ())]
        if any(isinstance(one, str) and one in OF_WORKERS for one in asked):
            item.add_marker(pytest.mark.slow)


# A cluster of a session is idle most of it: what looks at itself 50 or 100 times a second would
# take 7 % of a core in every process.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


@contextmanager
def client_of_two():
    """A client of a `LocalCluster` of two workers of one thread each."""
    pytest.importorskip("distributed")
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(QUIET):
        local = LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # 8787 may be taken, which is a warning
            memory_limit=0,
        )
        # Not the default client: what is not handed it runs where it says.
        client = Client(local, set_as_default=False)
    with local, client:
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
