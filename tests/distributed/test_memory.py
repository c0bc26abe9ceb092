"""Whose thresholds of malloc a worker has while a program runs."""

import ctypes
import os
from types import SimpleNamespace

import pytest

from sm_alsgls.distributed import memory
from sm_alsgls.distributed.engine import run
from sm_alsgls.distributed.memory import memory_kept
from sm_alsgls.distributed.shard import Made, Shard

KEPT = [(-3, 2**25), (-1, 2**26)]
GIVEN_BACK = [(-3, 2**17), (-1, 65536)]


@pytest.fixture
def calls(monkeypatch):
    """Those of mallopt, in a process to which dask's nanny has set its threshold."""
    made = []
    library = SimpleNamespace(mallopt=lambda name, value: made.append((name, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return made


def test_memory_is_kept_while_a_program_runs_and_not_after(calls):
    with memory_kept():
        with memory_kept():
            assert calls == KEPT
        assert calls == KEPT
    assert calls == KEPT + GIVEN_BACK
    with pytest.raises(ZeroDivisionError), memory_kept():
        raise ZeroDivisionError
    assert calls == 2 * (KEPT + GIVEN_BACK)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_TRIM_THRESHOLD_", None),
        ("MALLOC_TRIM_THRESHOLD_", "a lot"),
        ("MALLOC_MMAP_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.check=0:glibc.malloc.mmap_threshold=1000000"),
    ],
    ids=["nobody has", "no number", "both, by somebody who knows", "both, as tunables"],
)
def test_who_has_set_nothing_or_both_is_left_alone(calls, monkeypatch, name, value):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with memory_kept():
        pass
    assert calls == []


@pytest.mark.parametrize("larger", [2**26, 2**30, 2**32])
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_who_has_asked_for_more_to_be_kept_has_more(calls, monkeypatch, name, larger):
    """Tunables go before the variable; 2^32 is no int, which mallopt takes."""
    prefix = "glibc.malloc.trim_threshold=" if name == "GLIBC_TUNABLES" else ""
    monkeypatch.setenv(name, f"{prefix}{larger}")
    with memory_kept():
        assert calls == KEPT[:1]
    assert calls == KEPT[:1] + GIVEN_BACK[:1]


@pytest.mark.parametrize("less", [0, 1000])
@pytest.mark.parametrize("alone", [True, False])
def test_thresholds_that_come_as_tunables_are_come_back_to(calls, monkeypatch, less, alone):
    monkeypatch.setenv("GLIBC_TUNABLES", f"glibc.rtld.nns=4:glibc.malloc.trim_threshold={less}")
    if alone:
        monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_")
    with memory_kept():
        assert calls == KEPT
    assert calls == [*KEPT, (-3, 2**17), (-1, less)]


def test_a_library_that_is_not_of_glibc_is_left_alone(calls, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    with memory_kept():
        pass
    assert calls == []


def programs(source, across):
    """How many programs keep memory here."""
    return memory._programs + 0 * across.total(1.0)


def test_programs_on_workers_keep_memory(cluster):
    shards = [Shard(slice(i, i + 1), Made(i)) for i in range(2)]
    assert all(many >= 1 for many in run(programs, shards, client=cluster).values)
    assert all(many >= 1 for many in run(programs, shards).values)
    assert memory._programs == 0
    # What the module is there for: dask may do otherwise one day.
    set_by_dask = cluster.run(lambda: os.environ.get("MALLOC_TRIM_THRESHOLD_"))
    assert set(set_by_dask.values()) == {"65536"}
