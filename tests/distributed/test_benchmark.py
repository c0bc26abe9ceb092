"""Slices of benchmarks/dask_rows.py and million_dask.py, beside the same in this process."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from tests.distributed.test_rows import same_fit

dask = pytest.importorskip("dask")

ROOT = Path(__file__).parents[2]


def test_a_million_rows(cluster, tmp_path, monkeypatch):
    # As workers, whose path begins with the top of the repository, can import it.
    monkeypatch.syspath_prepend(str(ROOT))
    script = importlib.import_module("benchmarks.dask_rows")
    partitions, size = 8, 125_000
    with dask.config.set(scheduler=cluster):
        seconds, passed, res, before, after = script.measured(cluster, tmp_path, partitions, size)
    assert res.nobs == 1_000_000
    assert script.errors(res) < 5.0
    assert 0.0 < passed < seconds["fit"][0]
    assert seconds["read"][0] > 0.0
    # A partition is 25 MB; what a worker has at a time are two and a block of 4,000 rows.
    assert after - before < 400
    chunks = ((data[:, 5:], data[:, :5]) for data in (script.made(i, size) for i in range(8)))
    same_fit(res, LowRankSUR.from_chunks(chunks, rank=2).fit())


def test_equations_of_files_on_workers(cluster, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    script = importlib.import_module("benchmarks.million_dask")
    million = importlib.import_module("benchmarks.million")
    million.make(tmp_path, 150)
    res, seconds, here, there = script.measured(tmp_path, cluster)
    exog, endog = million.arrays(tmp_path)
    local = LowRankSUR(endog, exog, rank=million.R).fit()
    np.testing.assert_allclose(res.params, local.params, atol=1e-6)
    assert set(seconds) == {"look", "fit"}
    assert min(here, *there) > 0.05
    assert len(there) == 2
    told = "\n".join(script.told(res, seconds, here, there))
    assert f"{len(res.trace) - 1} sweeps" in told
    assert "total (12, 500): " in told
