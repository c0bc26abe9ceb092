"""The summary of a mixed model: every number is the results'."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_sleepstudy
from sm_alsgls.exceptions import OptionError
from tests.models.mixed.data import frame, made

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


def many(q, rank, m=60, seed=0):
    """q random slopes of m groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(m), 3 * q)
    Z = rng.standard_normal((len(groups), q))
    effects = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, q))
    effects = effects + 0.5 * rng.standard_normal((m, q))
    y = (Z * effects[groups]).sum(axis=1) + rng.standard_normal(len(groups))
    X = pd.DataFrame(Z, columns=[f"x{j + 1}" for j in range(q)])
    return LowRankMixedLM(y, X, groups, X, rank=rank).fit(n_starts=2)


@pytest.fixture(scope="module")
def sleep():
    model = LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), "~ Days", groups="Subject"
    )
    return model.fit()


def line(text, start):
    return next(row.split() for row in text.splitlines() if row.startswith(start))


def test_of_sleepstudy(sleep):
    text = str(sleep.summary())
    assert "Rows, min/mean/max:     10 / 10.0 / 10" in text
    assert "Method:                            REML" in text
    assert "unrestricted (auto)" in text
    days = [row.split() for row in text.splitlines() if row.startswith("Days")]
    assert days[0][:4] == ["Days", "10.4673", "1.546", "6.771"]
    assert days[1] == ["Days", "35.0717", "5.9221", "0.066"]
    assert "Degrees of freedom of t: 17.0." in text
    assert f"All {len(sleep.mle_retvals['starts'])} starts" in text


def test_letter_and_level_follow_the_results(sleep):
    normal = sleep.get_robustcov_results("nonrobust", use_t=False)
    text = str(normal.summary(alpha=0.1))
    assert "P>|z|" in text
    assert "[0.05" in text
    assert "Degrees of freedom" not in text


def test_names_may_be_others(sleep):
    text = str(sleep.summary(yname="ms", xname_fe=["a", "b"], xname_re=["c", "d"], title="T"))
    assert "Dep. Variable:                       ms" in text
    assert line(text, "a ")[1] == "251.4051"
    assert line(text, "d ")[1] == "35.0717"
    with pytest.raises(OptionError, match="xname_re must list 2 names, got 1"):
        sleep.summary(xname_re=["c"])


def test_up_to_six_effects_have_a_triangle_and_more_have_loadings():
    few, more = many(5, 1), many(8, 2)
    text = str(few.summary())
    row = [r.split() for r in text.splitlines() if r.startswith("x4")][1]
    C = few.corr_re.loc["x4", ["x1", "x2", "x3"]]
    assert row[3:] == [f"{value:.3f}" for value in (*C, few.communalities["x4"])]
    text = str(more.summary())
    assert "factor1" in text
    row = [r.split() for r in text.splitlines() if r.startswith("x4")][1]
    L = more.loadings.loc["x4"] / more.sd_re["x4"]
    assert row[3:] == [f"{value:.3f}" for value in (more.communalities["x4"], *L)]
    assert "2 factors + diagonal" in text


def test_of_fifty_the_ends_are_shown():
    res = many(30, 1, m=80)
    text = str(res.summary())
    assert "the 10 largest and smallest of 30" in text
    after = text[text.index("Random effects:") :]
    shown = [row.split()[0] for row in after.splitlines() if row.startswith("x")]
    order = res.sd_re.sort_values(ascending=False).index.tolist()
    assert shown == order[:10] + order[-10:]


def test_levels_and_autoregression_have_a_table():
    data = frame(40)
    res = made(data, "full", "y ~ x1", "~ 1", residual="kind").fit()
    text = str(res.summary())
    after = text[text.index("Residuals") :]
    second = res.model.law.labels[1]
    value = res.scale * np.exp(res.residual_params.iloc[0])
    assert float(line(after, second)[1]) == pytest.approx(value, rel=1e-3)
    assert "first level" in text
    res = made(data, "full", "y ~ x1", "~ 1", ar="groups", time="t").fit()
    assert float(line(str(res.summary()), "rho")[1]) == pytest.approx(
        res.residual_params["rho"], abs=1e-4
    )


def test_doubts_are_told():
    data = frame(12, seed=2)
    res = made(data, "full").fit()
    singular = np.linalg.eigvalsh(res.corr_re)[0] < 1e-8
    assert singular == ("is singular" in str(res.summary()))
    assert singular
    assert any("singular" in said for said in res.warnings)
    assert "CR2" in str(res.get_robustcov_results("CR2").summary())


def test_is_latex_and_html(sleep):
    assert "Group" in sleep.summary().as_latex()
    assert "Group" in sleep.summary().as_html()
