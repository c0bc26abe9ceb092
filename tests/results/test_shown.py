"""What a prompt, a notebook, ``dir()`` and ``help()`` show of models and results."""

import html.parser
import inspect
import pickle
import pydoc
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from sm_alsgls import (
    LowRank3SLS,
    LowRankMixedLM,
    LowRankPanel,
    LowRankSUR,
    select_rank,
    simulate_sur,
)
from sm_alsgls.datasets import load_grunfeld, load_klein, load_sleepstudy
from sm_alsgls.diagnostics import diagonality_test
from sm_alsgls.exceptions import SystemInputError

COEFFICIENTS = {
    "bse", "conf_int", "cov_kwds", "cov_params", "cov_type", "delta_method", "df_model", "df_resid",
    "df_resid_inference", "diagnostics", "f_test", "fittedvalues", "get_prediction", "model",
    "get_robustcov_results", "glance", "load", "nlcom", "nobs", "params", "predict", "pvalues",
    "remove_data", "resid", "save", "summary", "t_test", "tidy", "tvalues", "use_t", "wald_test",
    "wald_test_terms", "augment", "rank", "converged", "heywood", "bootstrap",
}  # fmt: skip
FACTORS = {
    "communalities", "factor_scores", "loadings", "plot_communalities", "plot_factor_scores",
    "plot_loadings", "rotated_loadings", "uniquenesses",
}  # fmt: skip
LIKELIHOOD = {"aic", "bic", "llf", "compare_lr", "mle_retvals", "trace", "warnings"}
SYSTEM = {
    "counts", "debiased", "equations", "f_pvalue", "fvalue", "grs_test", "impute", "leave_one_out",
    "n_cells", "neqs", "plot_coefficients", "plot_fit", "plot_residual_correlation", "plot_scree",
    "restriction_tests", "sigma", "sigma_inference", "system_rsquared", "test_across",
    "to_xarray",
}  # fmt: skip
OF_SUR = LIKELIHOOD | {
    "curvature", "exogeneity_test", "forecast", "law_tests", "mle_settings", "nll_per_row",
    "plot_trace",
}  # fmt: skip
OF_CELLS = COEFFICIENTS - {"augment", "get_prediction", "glance", "heywood"}
LISTED = {
    "sur": COEFFICIENTS | SYSTEM | OF_SUR | FACTORS,
    "full": COEFFICIENTS | SYSTEM | OF_SUR,
    "ar": COEFFICIENTS | SYSTEM | OF_SUR | FACTORS | {"ar", "law_params", "law_intervals"},
    "panel": COEFFICIENTS | SYSTEM | OF_SUR | FACTORS
    | {"hausman", "mean_group", "random_effects_test"},
    "effects": COEFFICIENTS | SYSTEM | OF_SUR | FACTORS
    | {"effects", "hausman", "mean_group", "random_effects_test"},
    "3sls": COEFFICIENTS | SYSTEM
    | {"anderson_rubin", "first_stage", "hausman", "iterations", "j_test", "method", "sargan",
       "wild_test"},
    "mixed": COEFFICIENTS | LIKELIHOOD
    | {"bse_fe", "bse_re", "conf_int_fe", "conf_int_re", "corr_re", "cov_re", "cov_re_unscaled",
       "fe_params", "icc", "k_fe", "k_re", "method", "n_groups", "plot_random_effects",
       "plot_slope_correlations", "r2", "random_effects", "random_effects_cov",
       "random_effects_frame", "re_table", "reml", "residual_params", "scale", "sd_re",
       "t_test_pairwise", "variance_test"},
    "fixed": OF_CELLS
    | {"ar", "bias_table", "counterfactual", "effects", "error_variances", "factor_test", "factors",
       "interactive_effects", "loadings", "mle_retvals", "plot_factors", "plot_loadings",
       "rsquared", "rsquared_slopes", "warnings"},
    "cce": OF_CELLS - {"bootstrap", "converged", "rank"}
    | {"comparison", "lags", "rsquared", "slopes"},
}  # fmt: skip
LISTED_IN_TILES = LIKELIHOOD - {"compare_lr"} | {
    "bse", "communalities", "conf_int", "converged", "cov_kwds", "cov_params", "cov_type",
    "debiased",
    "df_model", "df_resid", "equations", "factor_scores", "fittedvalues", "get_robustcov_results",
    "glance", "heywood", "load",
    "loadings", "mle_settings", "model", "neqs", "nll_per_row", "nobs", "params", "predict",
    "pvalues", "rank", "remove_data", "resid", "rsquared", "save", "sigma", "sigma_inference",
    "summary", "tidy", "tvalues", "uniquenesses", "use_t",
}  # fmt: skip
LINES = {
    "sur": "<LowRankSURResults: N=20, K=11, r=1, llf=-812.3012, converged>",
    "full": "<LowRankSURResults: N=20, K=11, Sigma unrestricted, llf=",
    "ar": "<LowRankSURResults: N=20, K=11, r=1, llf=",
    "panel": "<LowRankPanelResults: N=20, K=11, r=1, llf=-894.6571, converged>",
    "effects": "<LowRankPanelResults: N=20, K=11, r=1, llf=",
    "3sls": "<LowRank3SLSResults: N=21, K=3, Sigma unrestricted, converged>",
    "mixed": "<LowRankMixedLMResults: 180 rows of 18 groups, 2 random effects (unrestricted), "
    "REML, llf=-871.8141, converged>",
    "fixed": "<InteractivePanelResults: 11 units x 20 periods, 1 fixed factor, effects: entity, ",
    "cce": "<CCEPanelResults: 11 units x 20 periods, common correlated effects, pooled>",
}  # fmt: skip
MODELS = {
    "sur": "<LowRankSUR: N=20, K=11, r=1, 33 coefficients>",
    "full": "<LowRankSUR: N=20, K=11, Sigma unrestricted, 33 coefficients>",
    "ar": "<LowRankSUR: N=20, K=11, r=1, 33 coefficients>",
    "panel": "<LowRankPanel: N=20, K=11, r=1, 3 coefficients>",
    "effects": "<LowRankPanel: N=20, K=11, r=1, 13 coefficients>",
    "3sls": "<LowRank3SLS: N=21, K=3, Sigma unrestricted, 12 coefficients, 8 instruments>",
    "mixed": "<LowRankMixedLM: 180 rows of 18 groups, 2 fixed and 2 random effects (unrestricted)>",
    "fixed": "<InteractivePanel: 11 units x 20 periods, 2 regressors, effects: entity, "
    "1 fixed factor>",
    "cce": "<CCEPanel: 11 units x 20 periods, 2 regressors, effects: entity, "
    "common correlated effects, pooled>",
}
# One equation's.
ALONE = ("mixed", "fixed", "cce")


def _model(which):
    if which == "mixed":
        return LowRankMixedLM.from_formula(
            "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~Days"
        )
    if which == "3sls":
        formulas = {
            "consump": "consump ~ corpProf + corpProfLag + wages",
            "invest": "invest ~ corpProf + corpProfLag + capitalLag",
            "privWage": "privWage ~ gnp + gnpLag + trend",
        }
        listed = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag"
        return LowRank3SLS.from_formula(formulas, load_klein(), instruments=listed, rank="full")
    data, formula = load_grunfeld(), "invest ~ value + capital"
    if which in ("panel", "effects"):
        more = {"effects": "entity"} if which == "effects" else {}
        return LowRankPanel.from_formula(formula, data, entity="firm", time="year", rank=1, **more)
    if which in ("fixed", "cce"):
        more = {"rank": 1, "effects": "entity"} if which == "fixed" else {}
        keys = {"entity": "firm", "time": "year", "factors": which}
        return LowRankPanel.from_formula(formula, data, **keys, **more)
    more = {"rank": "full"} if which == "full" else {"rank": 1}
    more |= {"ar": "common"} if which == "ar" else {}
    return LowRankSUR.from_formula(formula, data, groups="firm", time="year", **more)


@pytest.fixture(scope="module", params=list(LISTED))
def fitted(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _model(request.param)
        return request.param, model, model.fit()


def test_one_line_says_what_and_how_large(fitted):
    which, model, res = fitted
    assert repr(model) == MODELS[which]
    assert repr(res).startswith(LINES[which])
    assert repr(res) == repr(res._results)
    assert "object at 0x" not in repr(res)
    if which not in ALONE:
        first = res.equations[model.equations[0]]
        assert repr(first).startswith(f"<EquationResults {first.name!r}: N=2")
        assert repr(res.equations).startswith(f"<{len(model.equations)} equations: ")
        assert "object at 0x" not in repr(res.sigma)


class _Balanced(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("br", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _checked(page, has="<table"):
    reader = _Balanced()
    reader.feed(page)
    assert not reader.open
    assert has in page
    return page


def test_a_notebook_shows_tables(fitted):
    which, model, res = fitted
    assert "P&gt;|t|" in _checked(res._repr_html_())
    page = _checked(model._repr_html_())
    if which in ALONE:
        assert ("Days" if which == "mixed" else "General Motors") in page
        return
    assert all(name in page for name in model.equations)
    assert all(name in _checked(res.equations._repr_html_()) for name in model.equations)
    assert "R-squared" in _checked(res.equations[model.equations[0]]._repr_html_())
    assert ("communality" in _checked(res.sigma._repr_html_())) is (which not in ("full", "3sls"))


def test_dir_lists_what_works(fitted):
    which, _, res = fitted
    assert set(dir(res)) == LISTED[which]
    for name in dir(res):
        getattr(res, name)
    if which not in ALONE:
        equation = next(iter(res.equations.values()))
        for name in dir(equation):
            getattr(equation, name)
        assert ("loadings" in dir(equation)) is ("loadings" in dir(res))


def test_help_has_every_name_with_its_docstring(fitted):
    _, _, res = fitted
    page = pydoc.plain(pydoc.render_doc(res))
    for name in dir(res):
        member = inspect.getattr_static(type(res), name)
        said = inspect.getdoc(member if not isinstance(member, classmethod) else member.__func__)
        assert said, name
        assert said.splitlines()[0] in page, name
    assert page.splitlines()[0].endswith("object")
    for name in ("summary", "predict"):
        ours, inner = getattr(res, name), getattr(res._results, name)
        assert inspect.signature(ours) == inspect.signature(inner)


def test_what_is_passed_on_is_what_was(fitted):
    which, model, res = fitted
    names = res.model.exog_names
    for name in ("params", "bse", "tvalues", "pvalues"):
        labelled = getattr(res, name)
        assert list(labelled.index) == names
        np.testing.assert_array_equal(labelled, getattr(res._results, name))
    assert res.model is model or which in ALONE
    again = pickle.loads(pickle.dumps(res))
    assert repr(again) == repr(res)
    np.testing.assert_array_equal(again.params, res.params)


def test_what_is_not_listed_still_says_why(fitted):
    which, _, res = fitted
    if which == "3sls":
        with pytest.raises(SystemInputError, match="no likelihood"):
            _ = res.llf
    if which in ("fixed", "cce"):
        with pytest.raises(SystemInputError, match="least squares"):
            _ = res.llf
        with pytest.raises(NotImplementedError, match="contrasts"):
            res.t_test_pairwise("value")
    if which == "full":
        with pytest.raises(SystemInputError, match="unrestricted"):
            _ = res.loadings


def test_names_and_long_lists_are_text_of_their_length():
    rng = np.random.default_rng(0)
    Y, X = rng.normal(size=(40, 60)), np.column_stack([np.ones(40), rng.normal(size=40)])
    names = [f"<b>{j}</b>" + "n" * 80 for j in range(60)]
    model = LowRankSUR(dict(zip(names, Y.T, strict=True)), dict.fromkeys(names, X), rank=0)
    page = _checked(model._repr_html_())
    assert "&lt;b&gt;0" in page
    assert "<b>0" not in page
    assert page.count("<tr>") == 21
    assert "20 of 60 equations are shown" in page
    res = model.fit(n_starts=1)
    assert len(repr(res.equations[names[0]])) < 120
    assert len(repr(res.equations)) < 260
    assert res.sigma._repr_html_().count("<tr>") == 21


def test_equations_in_tiles_are_shown_as_systems_are():
    truth = simulate_sur(30, 40, 2, rank=1, rng=1)
    model = LowRankSUR.from_equations([(truth.endog, np.stack(truth.exog))], 1)
    res = model.fit()
    assert repr(model) == "<LowRankSUR: N=30, K=40, r=1, 80 coefficients, in tiles>"
    assert repr(res).startswith("<ManySURResults: N=30, K=40, r=1, llf=-")
    assert set(dir(res)) == LISTED_IN_TILES
    equation = res.equations["y7"]
    for shown in (res, equation):
        page = pydoc.plain(pydoc.render_doc(shown))
        for name in dir(shown):
            getattr(shown, name)
            if name in ("system", "position", "load") or name in vars(shown):
                continue
            said = inspect.getdoc(inspect.getattr_static(type(shown), name))
            assert said, name
            assert said.splitlines()[0] in page, name
    assert repr(equation).startswith("<ManyEquationResults 'y7': N=30, p=2, R-squared=0.")
    assert repr(res.equations) == "<40 equations: y1 .. y40>"
    assert "object at 0x" not in repr(res.resid)
    assert "20 of 40 equations are shown" in _checked(model._repr_html_())
    assert "y40" in _checked(res.equations._repr_html_())
    assert "R-squared" in _checked(equation._repr_html_())
    assert "communality" in _checked(res._repr_html_())


@pytest.mark.parametrize("K", [3, 20, 21, 500])
def test_the_summary_of_equations_in_tiles_is_short(K):
    truth = simulate_sur(30, K, 2, rank=1, rng=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = LowRankSUR.from_equations([(truth.endog, np.stack(truth.exog))], 1).fit()
    lines = str(res.summary()).splitlines()
    assert max(map(len, lines)) <= 82
    assert all(f"Equation: y{j}" in "\n".join(lines) for j in range(1, K + 1)) is (K <= 20)
    if K > 20:
        assert len(lines) <= 66
        listed = [line.split()[0] for line in lines if re.match(r"y\d+ .*\d$", line)]
        best = res.rsquared.sort_values(ascending=False).index
        assert listed == [*best[:10], *best[-10:]]
        text = str(res.summary(equations=["y2", f"y{K}"]))
        assert f"Equation: y{K}" in text
        assert "Coefficients over equations" not in text


# What users keep of a fit; each has a line of its own, and not the address of an object.
HELD = {
    "sur": {
        "bootstrap": lambda res: res.bootstrap(reps=3, rng=1),
        "bootstrapped": lambda res: res.bootstrap(reps=3, rng=1).nlcom("IBM_value / IBM_capital"),
        "nlcom": lambda res: res.nlcom("IBM_value / IBM_capital"),
        "diagonality": diagonality_test,
        "rank": lambda res: select_rank(res.model, method="ic2"),
        "checks": lambda res: res.diagnostics(),
        "joint": lambda res: res.get_robustcov_results("HC3").test_across("value"),
        "means": lambda res: res.get_prediction(),
        "imputed": lambda res: res.impute(),
    },
    "panel": {
        "hausman": lambda res: res.hausman(),
        "random effects": lambda res: res.random_effects_test(),
    },
    "3sls": {"hausman": lambda res: res.hausman(), "first stage": lambda res: res.first_stage},
    "fixed": {
        "bootstrap": lambda res: res.bootstrap(2, rng=1),
        "factors": lambda res: res.factor_test(),
        "effect": lambda res: res.counterfactual({"IBM": 1950}, reps=2),
        "checks": lambda res: res.diagnostics(),
    },
    "mixed": {
        "variance": lambda res: res.variance_test("Days"),
        "bootstrap": lambda res: res.bootstrap(reps=2, rng=1),
        "checks": lambda res: res.diagnostics(),
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_what_users_keep_has_a_face(fitted):
    which, _, res = fitted
    for name, make in HELD.get(which, {}).items():
        made = make(res)
        assert "object at 0x" not in repr(made), name
        assert len(repr(made).splitlines()[0]) < 200, name
        if name not in ("joint", "means", "imputed"):
            _checked(made._repr_html_(), "<")


def test_a_simulated_system_does_not_print_its_arrays():
    assert len(repr(simulate_sur(30, 4, 2, 1, rng=0))) < 120


def test_the_screenshots_are_all_on_their_page_and_small():
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "measured" / "seen.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\(\.\./images/seen/(\w+\.png)\)", page))
    files = {path.name: path.stat().st_size for path in (docs / "images" / "seen").glob("*.png")}
    assert named == set(files)
    assert max(files.values()) < 150_000
