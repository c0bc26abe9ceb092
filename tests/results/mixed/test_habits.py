"""What a statsmodels user of MixedLM tries beside what has a file of its own."""

import numpy as np
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_orthodont
from sm_alsgls.exceptions import NotApplicableError, ShapeError
from tests.models.mixed.data import frame, made

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


@pytest.fixture(scope="module")
def res():
    return made(frame(40), "full").fit()


def test_terms_are_tested_jointly():
    data = frame(40)
    data["three"] = np.array(["a", "b", "c"])[np.arange(len(data)) % 3]
    res = made(data, "full", "y ~ x1 + C(three)", "~ x1").fit()
    table = res.wald_test_terms(scalar=True).table
    assert set(table.index) == {"Intercept", "x1", "C(three)"}
    both = res.wald_test(["C(three)[T.b] = 0", "C(three)[T.c] = 0"], scalar=True)
    assert table.loc["C(three)", "statistic"] == pytest.approx(both.fvalue)
    pairs = res.t_test_pairwise("C(three)").result_frame
    assert pairs.index.tolist() == ["b-a", "c-a", "c-b"]
    assert pairs.loc["c-b", "coef"] == pytest.approx(
        res.params["C(three)[T.c]"] - res.params["C(three)[T.b]"]
    )
    data = load_orthodont()
    arrays = LowRankMixedLM(data["distance"], np.ones(len(data)), data["Subject"]).fit()
    assert arrays.wald_test_terms(scalar=True).table.index.tolist() == ["const"]


def test_the_model_has_the_mean_and_says_what_it_has_not(res):
    model, b = res.model, res.params
    np.testing.assert_allclose(model.predict(b), res.predict())
    np.testing.assert_allclose(model.predict(b, [[1.0, 2.0, 0.0, 0.0]]), b.iloc[0] + 2 * b.iloc[1])
    with pytest.raises(ShapeError, match="4 fixed effects"):
        model.predict(b.iloc[:2])
    for name in ("loglike", "score", "hessian", "information"):
        with pytest.raises(NotApplicableError, match="profiled out"):
            getattr(model, name)(b)
    with pytest.raises(NotApplicableError, match="penalties"):
        model.fit_regularized()


def test_tests_of_coefficients_are_those_of_any_fit(res):
    R = np.array([[0.0, 1.0, -1.0, 0.0]])
    test = res.t_test("x1 = x2")
    assert test.effect[0] == pytest.approx(res.params["x1"] - res.params["x2"])
    V = res.cov_params().to_numpy()
    assert test.sd.item() == pytest.approx(np.sqrt((R @ V @ R.T).item()))
    joint = res.wald_test("x1 = x2", scalar=True)
    assert joint.fvalue == pytest.approx(test.tvalue.item() ** 2)
    assert joint.df_denom == pytest.approx(np.squeeze(test.df_denom).item())
    assert res.tidy()["term"].tolist() == ["Intercept", "x1", "x2", "x3"]
    both = res.nlcom("x1 / x2")
    assert np.isfinite(both.summary_frame().to_numpy()).all()


def test_repr_says_what_it_is(res):
    text = repr(res)
    assert "40 groups, 4 random effects (unrestricted), REML" in text
    assert f"{res.llf:.4f}" in text
    intercept = made(frame(), "diagonal", "y ~ x1", "~ 1").fit(reml=False)
    assert "1 random effect (variance), ML" in repr(intercept)
