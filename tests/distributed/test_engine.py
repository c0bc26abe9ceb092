"""One program in all shards: the same result wherever they are and whatever happens to them."""

import _thread
import pickle
import threading
import time

import numpy as np
import pytest

from sm_alsgls.distributed import dask_crew, tasks
from sm_alsgls.distributed.engine import run
from sm_alsgls.distributed.live import LiveProgram
from sm_alsgls.distributed.messages import Answer, Behind, Done
from sm_alsgls.distributed.parcels import packed
from sm_alsgls.distributed.shard import Made, Shard, runs
from sm_alsgls.exceptions import (
    CallableError,
    ClusterError,
    NonFiniteError,
    OptionError,
    OutOfStepError,
)
from tests.distributed import toys

N, K = 30, 24


@pytest.fixture(scope="module")
def E():
    return np.random.default_rng(19).normal(size=(N, K))


def shards_of(E, number):
    at = runs([1] * E.shape[1], number)
    return [Shard(one, Made(E[:, one])) for one in at]


def nothing_is_left(client=None, seconds=5.0):
    """No program and no thread of one, in this process or in a worker."""

    def left():
        if client is None:
            return toys.threads_here() + tasks.alive()
        here = client.run(toys.threads_here).values()
        return [one for found in (*here, *client.run(tasks.alive).values()) for one in found]

    end = time.monotonic() + seconds
    while left() and time.monotonic() < end:
        time.sleep(0.05)
    return left() == []


@pytest.mark.parametrize("number", [1, 2, 5, K])
def test_shards_together_do_what_one_does(E, number):
    outcome = run(toys.power, shards_of(E, number), 400)
    value, vector = np.linalg.eigh(E @ E.T)[0][-1], np.linalg.eigh(E @ E.T)[1][:, -1]
    np.testing.assert_allclose([v[0] for v in outcome.values], value, rtol=1e-10)
    whole = np.concatenate([v[1] for v in outcome.values])
    np.testing.assert_allclose(
        whole * np.sign(whole[0]), E.T @ vector * np.sign(E[:, 0] @ vector), rtol=1e-6
    )
    assert nothing_is_left()


def test_the_path_that_sums_decide_is_one(E):
    b = np.arange(1.0, N + 1)
    outcome = run(toys.conjugate_gradients, shards_of(E, 3), b)
    expected = np.linalg.solve(np.eye(N) + E @ E.T, b)
    for x in outcome.values:
        np.testing.assert_allclose(x, expected, rtol=1e-9)
        assert np.array_equal(x, outcome.values[0])


def test_a_cluster_has_the_bits_of_threads(E, cluster):
    b = np.arange(1.0, N + 1)
    here = run(toys.conjugate_gradients, shards_of(E, 3), b, 1.0)
    there = run(toys.conjugate_gradients, shards_of(E, 3), b, 1.0, client=cluster)
    for x, y in zip(here.values, there.values, strict=True):
        assert np.array_equal(x, y)
    assert there.traffic.sums == here.traffic.sums
    assert nothing_is_left(cluster)


def test_each_shard_may_have_arguments_of_its_own(E):
    # Columns that are scaled are arguments here.
    outcome = run(toys.power, shards_of(E, 2), each=[(3,), (3,)])
    assert outcome.traffic.rounds == 3


def test_traffic_is_counted_in_numbers_and_in_bytes(E, cluster):
    traffic = run(toys.power, shards_of(E, 2), 7, client=cluster).traffic
    assert traffic.rounds == 7
    numbers = traffic.sums["total", (N,)]
    assert (numbers.rounds, numbers.sent, numbers.received) == (7, 7 * 2 * 8 * N, 7 * 2 * 8 * N)
    envelopes = 7 * 2 * 400
    assert numbers.sent < traffic.to_workers < numbers.sent + envelopes
    assert numbers.received < traffic.from_workers < numbers.received + envelopes
    assert traffic.begun > E.nbytes
    assert (traffic.replayed, traffic.restarts) == (0, 0)
    assert 0 < traffic.returned < 2000


# --- losses ---


@pytest.mark.parametrize("patience", [20.0, 0.0])
def test_a_worker_that_dies_changes_no_bit(E, mortal, tmp_path, patience, monkeypatch):
    """With patience its nanny's new one has the shard, without it the other worker has both."""
    monkeypatch.setattr(dask_crew, "_BATCH", 5 * 8 * N)  # replayed in several pieces
    flag = tmp_path / "died"
    outcome = run(
        toys.killed_once, shards_of(E, 2), 40, 17, str(flag), client=mortal, patience=patience
    )
    expected = run(toys.killed_once, shards_of(E, 2), 40, 17, None)
    assert flag.exists()
    for x, y in zip(outcome.values, expected.values, strict=True):
        assert np.array_equal(x, y)
    traffic = outcome.traffic
    assert traffic.restarts == 1
    assert 17 * 8 * N < traffic.replayed < 18 * (8 * N + 400) + 2000
    assert traffic.sums == expected.traffic.sums
    assert nothing_is_left(mortal)


def test_a_shard_that_kills_every_worker_is_given_up(E, mortal, monkeypatch):
    monkeypatch.setattr(dask_crew, "_LOSSES", 1)
    with pytest.raises(ClusterError, match="equations 0 to 23: .* lost once.*more memory"):
        run(toys.dies, shards_of(E, 1), client=mortal)


def test_a_program_that_forgets_its_path_is_found_out():
    live = LiveProgram(lambda across: across.total(np.ones(3)), "shard")
    live.give(0, [Answer(("total", ()), 3.0)])
    said = live.reply()
    assert isinstance(said.error, OutOfStepError)
    assert "asked for the total of shape (3,) where the log has the total of shape ()" in str(
        said.error
    )


# --- errors ---


def test_a_shards_error_is_the_users(E):
    bad = shards_of(E, 3)
    E = E.copy()
    E[5, 9] = np.nan
    bad[1] = Shard(bad[1].equations, Made(E[:, bad[1].equations]))
    same = r"^equations 8 to 15: equation 'y3': NaN in row 5$"
    with pytest.raises(NonFiniteError, match=same):
        run(toys.breaks, bad, 3)
    assert nothing_is_left()


def test_a_shards_error_frees_the_cluster(E, cluster):
    bad = shards_of(E, 2)
    E = E.copy()
    E[5, 9] = np.nan
    bad[0] = Shard(bad[0].equations, Made(E[:, bad[0].equations]))
    with pytest.raises(NonFiniteError, match="^equations 0 to 11: equation 'y3': NaN in row 5$"):
        run(toys.breaks, bad, 3, client=cluster)
    assert nothing_is_left(cluster)


@pytest.mark.parametrize("where", ["here", "there"])
def test_another_error_keeps_its_type_and_says_where(E, where, request):
    client = request.getfixturevalue("cluster") if where == "there" else None
    with pytest.raises(KeyError, match="nothing") as raised:
        run(toys.bug, shards_of(E, 2), client=client)
    notes = "".join(raised.value.__notes__)
    assert "toys.py" in notes
    assert "in equations 0 to 11" in notes


@pytest.mark.parametrize("where", ["here", "there"])
def test_an_error_that_cannot_travel_is_told(E, where, request):
    if where == "here":
        with pytest.raises(toys.CannotTravelError):
            run(toys.unpicklable, shards_of(E, 2))
    else:
        client = request.getfixturevalue("cluster")
        with pytest.raises(CallableError, match="CannotTravelError: stays here"):
            run(toys.unpicklable, shards_of(E, 2), client=client)


def test_shards_that_part_are_found_out():
    shards = [Shard(slice(0, 1), Made(np.ones(2))), Shard(slice(1, 2), Made(np.ones(3)))]
    with pytest.raises(
        OutOfStepError, match="shard 0 asks for the largest .* shard 1 asks for the total"
    ):
        run(toys.out_of_step, shards)
    with pytest.raises(OutOfStepError, match="shard 0 asks for the total .*; shard 1 is through"):
        run(toys.early, shards)
    assert nothing_is_left()


def test_what_a_shard_writes_into_is_its_own():
    shards = [Shard(slice(i, i + 1), Made(np.full(3, i + 1.0))) for i in range(2)]
    first, second = run(toys.writes, shards).values
    np.testing.assert_array_equal(first, 0.0)
    np.testing.assert_array_equal(second, 3.0)


# --- cancelled ---


@pytest.mark.parametrize("where", ["here", "there"])
def test_an_interrupt_frees_everything(E, where, request):
    client = request.getfixturevalue("cluster") if where == "there" else None
    timer = threading.Timer(0.6, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(toys.breaks, shards_of(E, 2), -1, client=client)
    timer.join()
    assert nothing_is_left(client)


def test_a_driver_that_is_gone_frees_the_cluster(cluster):
    """Its lease is all that keeps a program."""
    from distributed import wait

    key = ("a run", 0, 1)
    parcel = packed((toys.breaks, Shard(slice(0, 1), Made(np.ones((3, 1)))), (-1,)))
    lease = cluster.submit(tasks.start, key, parcel, pure=False)
    with cluster.as_current():
        wait(lease)
    assert [key] in cluster.run(tasks.alive).values()
    del lease
    assert nothing_is_left(cluster)


def test_a_copy_of_a_lease_is_none():
    key = ("a run", 0, 1)
    parcel = packed((toys.breaks, Shard(slice(0, 1), Made(np.ones((3, 1)))), (-1,)))
    lease = tasks.start(key, parcel)
    del lease
    assert tasks.alive() == []
    lease = tasks.start(key, parcel)
    copy = pickle.loads(pickle.dumps(lease))
    del lease  # as a worker does that is short of memory
    assert tasks.alive() == [key]
    del copy
    assert tasks.alive() == [key]
    tasks.stop_run("another")
    assert tasks.alive() == [key]
    tasks.stop_run("a run")
    assert nothing_is_left()


# --- clients ---


def test_clients_that_cannot_be_used_are_refused(E, cluster):
    from distributed import Client

    other = Client(cluster.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(OptionError, match="client is closed: make a new one"):
        run(toys.power, shards_of(E, 2), 3, client=other)
    with pytest.raises(OptionError, match="must be a synchronous distributed.Client, got int"):
        run(toys.power, shards_of(E, 2), 3, client=3)


def test_a_cluster_without_workers_is_said_so(E):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as local,
        Client(local, set_as_default=False) as client,
        pytest.raises(ClusterError, match="no workers"),
    ):
        run(toys.power, shards_of(E, 2), 3, client=client)


# --- a program alone ---


def test_answers_that_come_twice_are_taken_once():
    live = LiveProgram(lambda across: across.total(1.0) + 10 * across.total(2.0), "shard")
    form = live.reply().form
    answers = [Answer(form, 3.0), Answer(form, 5.0)]
    assert live.give(1, answers[1:]) == Behind(0)
    assert live.give(0, answers[:1]) is None
    assert live.give(0, answers[:1]) is None
    assert live.reply().part == 2.0
    assert live.give(0, answers) is None
    assert live.reply() == Done(53.0)
    assert live.give(1, answers[1:]) is None


@pytest.mark.parametrize(
    ("sizes", "number"), [([1] * 7, 3), ([100, 1, 1, 1], 3), ([1, 1, 1, 100], 3), ([5], 4)]
)
def test_runs_cover_all_and_none_is_empty(sizes, number):
    made = runs(sizes, number)
    assert [i for one in made for i in range(one.start, one.stop)] == list(range(len(sizes)))
    assert len(made) == min(number, len(sizes))
    assert all(one.stop > one.start for one in made)
