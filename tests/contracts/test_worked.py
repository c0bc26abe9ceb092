"""The worked examples of CONTRIBUTING: there, a page each, and held to their protocols."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from tests.contracts import inhabitants
from tests.core import dense, systems
from tests.worked.model import SpatialSUR

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/worked/\w+\.py)`", (ROOT / "CONTRIBUTING.md").read_text())


def test_each_is_named():
    there = {f"tests/worked/{path.name}" for path in (ROOT / "tests" / "worked").glob("[a-z]*.py")}
    assert set(NAMED) == there


@pytest.mark.parametrize("name", NAMED)
def test_is_a_page(name):
    assert len((ROOT / name).read_text().splitlines()) < 60


def test_the_suites_have_them():
    source = Path(inhabitants.__file__).read_text()
    for kind in ("covariance", "design", "law"):
        assert f"from tests.worked.{kind} import" in source


def test_a_model_has_everything_that_results_have():
    """Fitted, tested, printed and predicted by the page of the model and nothing else."""
    rng = np.random.default_rng(0)
    K, N = 5, 80
    blocks, Y = systems.system(rng, N, K, 1, 2)
    Y = Y @ np.linalg.inv(np.eye(K) - 0.5 * systems.ring(K)).T
    res = SpatialSUR(Y, blocks, systems.ring(K), 1).fit()
    best = res.estimate.likelihood.search.best
    assert best.converged
    assert abs(best.nuisance.values[0] - 0.5) < 0.25
    # The likelihood is that of a dense Sigma, lam counts, and standard errors are H^-1's.
    beta = np.split(np.asarray(res.params), np.arange(2, 2 * K, 2))
    E = dense.residuals(blocks, Y, beta)
    assert res.llf == pytest.approx(-N * dense.nll(E, best.cov.to_dense()), rel=1e-10)
    assert res.df_model == 2 * K + 2 * K + 1
    assert res.params.index[3] == "y2_x1"
    assert "lam (std err)" in res.summary().as_text()
    assert 0.0 < res.wald_test("y1_x1 = y2_x1", scalar=True).pvalue < 1.0
    assert (res.get_robustcov_results("HC1").bse > 0.0).all()
    np.testing.assert_allclose(res.predict().to_numpy(), Y - E, rtol=1e-9, atol=1e-9)
    again = pickle.loads(pickle.dumps(res))
    np.testing.assert_array_equal(again.bse, res.bse)
