"""A model whose equations are in shards, as on workers: all it computes is what one process has."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.data.many.tiled import Tiled
from sm_alsgls.exceptions import NonFiniteError, OptionError, RankDeficientError
from sm_alsgls.models.many import ManySUR
from tests.core.tiles.shards import in_shards
from tests.models.test_many import TIGHT, data, gap, tight_intervals  # noqa: F401


class ShardRunner:
    """Shards that are threads; nothing of the caller's is run in them."""

    here = False

    def __init__(self, X, Y, cuts):
        stops = [*cuts, len(X)]
        self.equations = [slice(a, b) for a, b in zip([0, *cuts], stops, strict=True)]
        self.whole = ArraySource(X, Y, size=4)
        self.shards = [ArraySource(X, Y, 3, at.start, at.stop) for at in self.equations]
        self.programs = []

    def run(self, program, *args, each=None, what="", watch=None):
        assert what
        self.programs.append(program.__name__)
        own = [()] * len(self.shards) if each is None else each
        place = {id(shard): i for i, shard in enumerate(self.shards)}

        def one(source, across):
            return program(source, across, *args, *own[place[id(source)]])

        return in_shards(one, self.shards)


def model(X, Y, cuts, rank=2):
    runner = ShardRunner(X, Y, cuts)
    tiled = Tiled(runner.whole, pd.RangeIndex(len(Y)))
    return ManySUR(tiled, rank, runner=runner), runner


@pytest.mark.parametrize("cuts", [(11,), (1, 2, 29)])
@pytest.mark.slow
def test_shards_have_what_one_process_has(cuts):
    X, Y = data()
    whole = LowRankSUR(Y, list(X), rank=2).fit(n_starts=1, **TIGHT)
    made, runner = model(X, Y, cuts)
    res = made.fit(**TIGHT)
    assert gap(whole.params, res.params) < 1e-10
    assert gap(whole.loadings, res.loadings) < 1e-10
    assert gap(whole.bse, res.bse) < 1e-10
    assert gap(whole.equations["y30"].cov_params(), res.cov_params("y30")) < 1e-9
    for cov_type in ("HC1", "HC3"):
        one, other = (fit.get_robustcov_results(cov_type) for fit in (whole, res))
        assert gap(one.bse, other.bse) < 1e-10
        assert gap(one.pvalues, other.pvalues) < 1e-9
    assert gap(whole.resid, res.resid.to_numpy()) < 1e-10
    before = list(runner.programs)
    for name in ("bse", "pvalues", "conf_int", "summary", "sigma_inference", "rsquared"):
        value = getattr(res, name)
        _ = value() if callable(value) else value
    assert runner.programs == before


def test_what_is_wrong_in_a_shard_is_named_in_the_whole():
    X, Y = data()
    bad = X.copy()
    bad[20, 3, 1] = np.nan
    with pytest.raises(NonFiniteError, match="'y21'"):
        model(bad, Y, (11,))
    twice = X.copy()
    twice[20, :, 2] = twice[20, :, 1]
    with pytest.raises(RankDeficientError, match="'y21'.*'x2' is a combination of"):
        model(twice, Y, (11,))[0].fit()
    with pytest.raises(OptionError, match="callback="):
        model(X, Y, (11,))[0].fit(callback=print)
