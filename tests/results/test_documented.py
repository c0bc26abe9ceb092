"""Whatever ``dir()`` shows of what users get has words that ``help()`` shows."""

import inspect
import re

import pytest

import sm_alsgls
from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR, select_rank
from sm_alsgls.datasets import load_grunfeld, load_klein, load_sleepstudy
from sm_alsgls.diagnostics import diagonality_test, rank_test


def _of_systems(model, res):
    one = next(iter(res.equations.values()))
    return [
        model, res, res.equations, one, res.sigma, res.model.rank_selection, res.diagnostics(),
        res.get_prediction(), one.get_prediction(), res.bootstrap(5, rng=1),
        res.nlcom(lambda params: params.iloc[0] ** 2), res.test_across("value"),
        res.wald_test_terms(),
    ]  # fmt: skip


def _sur():
    model = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), "bic_ols", groups="firm", time="year"
    )
    res = model.fit()
    full = LowRankSUR.from_formula(
        "invest ~ value + capital",
        load_grunfeld().query("firm in ['General Motors', 'US Steel', 'IBM']"),
        "full",
        groups="firm",
        time="year",
    ).fit()
    tests = [diagonality_test(res), rank_test(res), res.exogeneity_test(), res.leave_one_out()]
    return [*_of_systems(model, res), *tests, full.sigma, select_rank(model, "bic")]


def _panel():
    model = LowRankPanel.from_formula(
        "invest ~ value + capital", load_grunfeld(), 1, entity="firm", time="year"
    )
    res = model.fit(n_starts=1)
    found = [model, res, res.equations, res.random_effects_test(), res.hausman()]
    return [*found, res.bootstrap(2, rng=1), res.get_prediction(), res.diagnostics()]


def _three():
    formulas = {
        "consump": "consump ~ corpProf + corpProfLag + wages",
        "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    }
    listed = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag"
    model = LowRank3SLS.from_formula(formulas, load_klein(), instruments=listed, rank="full")
    res = model.fit()
    one = next(iter(res.equations.values()))
    tests = [
        res.first_stage, res.hausman(), res.j_test(), res.sargan(),
        res.wild_test("invest_corpProf", reps=5, rng=1), res.anderson_rubin("invest_corpProf"),
    ]  # fmt: skip
    return [model, res, res.equations, one, res.bootstrap(5, rng=1), *tests, res.diagnostics()]


def _mixed():
    model = LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~Days", rank="full"
    )
    res = model.fit()
    return [
        model, res, res.get_prediction(), res.bootstrap(3, rng=1), res.variance_test("Days"),
        res.diagnostics(), res.r2(), select_rank(model),
    ]  # fmt: skip


def _cells():
    model, averages = (
        LowRankPanel.from_formula(
            "invest ~ value + capital", load_grunfeld(), entity="firm", time="year", **how
        )
        for how in ({"factors": "fixed", "rank": 1, "effects": "entity"}, {"factors": "cce"})
    )
    res = model.fit(n_starts=1)
    return [
        model, res, averages, averages.fit(), res.diagnostics(), res.factor_test(),
        res.counterfactual({"IBM": 1950}, reps=2),
    ]  # fmt: skip


def _documented(kind, name):
    member = inspect.getattr_static(kind, name, None)
    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    has_own = callable(function) or isinstance(member, property) or hasattr(member, "__get__")
    if has_own and (getattr(function, "__doc__", None) or inspect.getdoc(function)):
        return True
    # An attribute: "name : type", among others before the colon.
    return re.search(rf"^\s*(\w+, )*{name}(, \w+)*( : |$)", kind.__doc__, re.MULTILINE) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [_sur, _panel, _three, _mixed, _cells])
def test_every_name_of_what_users_get_is_documented(make):
    missing = {}
    for value in make():
        if value is None or not type(value).__module__.startswith("sm_alsgls"):
            continue
        kind = type(value)
        assert kind.__doc__, kind
        names = [name for name in dir(value) if not name.startswith("_")]
        lost = [name for name in names if not _documented(kind, name)]
        if lost:
            missing[f"{kind.__module__}.{kind.__name__}"] = lost
    assert not missing, "\n".join(f"{kind}: {lost}" for kind, lost in missing.items())


def test_public_classes_themselves():
    for name in sm_alsgls.__all__:
        kind = getattr(sm_alsgls, name)
        if inspect.isclass(kind):
            left_out = {one for base in kind.__mro__ for one in vars(base).get("_unlisted", ())}
            members = [one for one in dir(kind) if not one.startswith("_") and one not in left_out]
            assert not [one for one in members if not _documented(kind, one)], name
