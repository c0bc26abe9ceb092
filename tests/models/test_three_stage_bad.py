"""What LowRank3SLS refuses when it is made or fitted, by labels."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRank3SLS
from sm_alsgls.exceptions import (
    CallableError,
    ConvergenceWarning,
    DegenerateResponseError,
    DuplicateEquationError,
    InstrumentError,
    InsufficientRowsError,
    NoLikelihoodError,
    OptionError,
    RankDeficientError,
    UnderidentifiedError,
)
from tests.core.instruments.twin import system

pytestmark = pytest.mark.filterwarnings(
    "ignore::sm_alsgls.exceptions.WeakInstrumentWarning",
    "ignore::sm_alsgls.exceptions.HeywoodWarning",
)
N = 60


@pytest.fixture
def parts():
    """Responses, regressors and instruments of a, b, c, d by names."""
    X, Z, Y, _, _ = system(np.random.default_rng(6), N, 4, q=(4, 4, 4, 4), p=(2, 2, 2, 2))
    names = list("abcd")
    y = {name: pd.Series(column) for name, column in zip(names, Y.T, strict=True)}
    exog = {n: pd.DataFrame(x, columns=["one", "w"]) for n, x in zip(names, X, strict=True)}
    columns = ["one", "z1", "z2", "z3"]
    return y, exog, {n: pd.DataFrame(z, columns=columns) for n, z in zip(names, Z, strict=True)}


def unseen(Z, seed=1):
    """A variable of which the instruments say nothing."""
    Z, u = Z.to_numpy(), np.random.default_rng(seed).standard_normal(len(Z))
    return u - Z @ np.linalg.lstsq(Z, u)[0]


def model(parts, rank=1, **kwds):
    return LowRank3SLS(*parts, rank=rank, **kwds)


@pytest.mark.parametrize("rank", [0, 1, "full", "auto"])
def test_first_stages_that_follow_from_one_another(parts, rank):
    _, exog, Z = parts
    u, v = unseen(Z["b"]), unseen(Z["b"], 2)
    exog["b"] = exog["b"][["one"]].assign(p=Z["b"]["z1"] + u, q=2.0 * Z["b"]["z1"] + v)
    with pytest.raises(
        UnderidentifiedError,
        match="'b' is not identified: its 4 instruments.* 3 "
        r"regressors apart \(first stages of '[pq]' follow from those of '[pq]'",
    ):
        model(parts, rank).fit()


def test_a_first_stage_of_nothing(parts):
    _, exog, Z = parts
    exog["c"] = exog["c"][["one"]].assign(p=unseen(Z["c"]))
    with pytest.raises(UnderidentifiedError, match=r"'c' .*first stages of 'p' are zero\)"):
        model(parts).fit()


def test_regressors_that_are_dependent_themselves(parts):
    _, exog, _ = parts
    exog["c"] = exog["c"].assign(twice=2.0 * exog["c"]["w"])
    with pytest.raises(RankDeficientError, match="'c': the columns of exog .* 'twice'"):
        model(parts).fit()
    exog["c"] = exog["c"].assign(twice=0.0)
    with pytest.raises(RankDeficientError, match="'twice' of exog is zero in every row"):
        model(parts).fit()


@pytest.mark.parametrize("column", [lambda Z: 5.0, lambda Z: Z["z1"] - Z["z2"]])
def test_instruments_that_are_dependent(parts, column):
    parts[2]["d"] = parts[2]["d"].assign(more=column)
    with pytest.raises(RankDeficientError, match="'d': the columns of instruments .* dependent"):
        model(parts)


def test_responses_that_leave_nothing(parts):
    y, exog, Z = parts
    own = y["a"]
    y["a"] = exog["a"]["w"] * 2.0 + 1.0
    with pytest.raises(DegenerateResponseError, match="'a' is fitted exactly"):
        model(parts).fit()
    y["a"] = own * 0.0 + 3.0
    with pytest.raises(DegenerateResponseError, match="'a' is constant"):
        model(parts)
    y["a"] = Z["a"]["z1"]
    with pytest.raises(InstrumentError, match="'z1' is its own response"):
        model(parts)
    y["a"], exog["a"], Z["a"] = y["b"], exog["b"], Z["b"]
    for rank in (1, "full"):
        with pytest.raises(DuplicateEquationError, match="'a' and 'b' have the same residuals"):
            model(parts, rank).fit()


@pytest.mark.parametrize(("n", "error"), [(2, InsufficientRowsError), (4, InstrumentError)])
def test_few_rows(parts, n, error):
    few = [{name: part[:n] for name, part in one.items()} for one in parts]
    with pytest.raises(error):
        model(few)
    w = np.r_[np.ones(n), np.zeros(N - n)]
    with pytest.raises(error):
        model(parts, weights=w)


def test_weights_of_zero(parts):
    with pytest.raises(InsufficientRowsError, match="no row is left of 60"):
        model(parts, weights=np.zeros(N))
    w = np.r_[np.ones(40), np.zeros(20)]
    res = model(parts, weights=w).fit()
    kept = [{name: part[:40] for name, part in one.items()} for one in parts]
    np.testing.assert_allclose(res.params, model(kept).fit().params, rtol=1e-9)


@pytest.mark.parametrize(
    ("kwds", "said"),
    [
        ({"method": "als"}, "method must be one of 'iv', 'gmm', '2sls'"),
        ({"method": "IV"}, "did you mean 'iv'"),
        ({"method": "3sls"}, "did you mean '2sls'"),
        ({"weight": "robust"}, "'homoskedastic' or 'heteroskedastic'"),
        ({"weight": "heteroskedastic"}, "is of method='gmm'"),
        ({"tol": -1.0}, "tol must be a number between 0 and 1"),
        ({"tol": 2.0}, "tol must be a number between 0 and 1"),
        ({"maxiter": 0}, "maxiter must be a whole number >= 1"),
        ({"d_floor": 2.0}, "d_floor must lie between 1e-16 and 1"),
        ({"cov_type": "KH"}, "has none; use one of"),
        ({"cov_type": "pcse"}, "use one of"),
        ({"callback": 3}, "callback must be a function"),
    ],
)
def test_arguments_of_fit(parts, kwds, said):
    with pytest.raises(OptionError, match=said):
        model(parts).fit(**kwds)


def test_callbacks(parts):
    def raises(step):
        raise ValueError("mine")

    with pytest.raises(CallableError, match=r"raised ValueError \(mine\) at round 1"):
        model(parts).fit(callback=raises)
    seen = []
    with pytest.warns(ConvergenceWarning, match="stopped by the callback after 2 rounds"):
        res = model(parts).fit(
            iterate=True, tol=0.0, callback=lambda step: bool(seen.append(step)) or len(seen) == 2
        )
    assert [step.round for step in seen] == [1, 2] == list(res.iterations.index)
    assert not res.converged
    with pytest.warns(ConvergenceWarning, match="raise maxiter or tol"):
        assert len(model(parts).fit(iterate=True, tol=0.0, maxiter=3).iterations) == 3


@pytest.mark.parametrize("name", ["llf", "aic", "bic", "nll_per_row"])
def test_there_is_no_likelihood(parts, name):
    with pytest.raises(NoLikelihoodError):
        getattr(model(parts).fit(), name)
