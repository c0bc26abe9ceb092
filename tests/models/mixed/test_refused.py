"""What a mixed model is not made of, and what it says."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_sleepstudy
from sm_alsgls.exceptions import (
    CallableError,
    DegenerateResponseError,
    FormulaError,
    IllegalRankError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
    SystemInputError,
    UnbalancedPanelError,
    UnknownArgumentError,
    UnseenLevelError,
)
from tests.models.mixed.data import frame, made

DATA = frame()


def refused(error, match, data=DATA, **how):
    with pytest.raises(error, match=match):
        made(data, **how)


class TestWhatItHasNot:
    @pytest.mark.parametrize("name", ["vc_formula", "exog_vc", "vcomp", "family"])
    def test_by_name_with_the_reason(self, name):
        reason = "Gaussian" if name == "family" else "independent"
        refused(OptionError, f"{name}= is not taken .*{reason}", **{name: {}})
        with pytest.raises(OptionError, match=f"{name}= is not taken .*{reason}"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"], **{name: {}})

    @pytest.mark.parametrize(
        ("term", "said"),
        [
            ("(1 | g)", "re_formula='~ 1', groups='g' beside"),
            ("(x1 + log(x2)|g)", r"re_formula='~ x1 \+ log\(x2\)', groups='g' beside"),
            ("(x1 || g)", "rank='diagonal'"),
            ("(1 | g) + (0 + x1 | g)", r"re_formula='~ 1 \+ 0 \+ x1', groups='g', rank='diagonal'"),
            ("(1 | g) + (1 | kind)", "'g', 'kind': crossed or nested"),
            ("(1 | g/kind)", "'g/kind': crossed or nested"),
        ],
    )
    def test_the_words_of_lme4(self, term, said):
        refused(FormulaError, said, formula=f"y ~ x1 + {term}")

    def test_pythons_or_is_no_random_effect(self):
        made(DATA, 0, "y ~ I((x1 > 1) | (x2 > 1))")

    @pytest.mark.parametrize("groups", [["g", "kind"], "g:kind", "g/kind"])
    def test_crossed_groups(self, groups):
        with pytest.raises(OptionError, match="crossed or nested"):
            LowRankMixedLM.from_formula("y ~ x1", DATA, groups=groups)

    def test_crossed_groups_of_arrays(self):
        with pytest.raises(OptionError, match="one variable, got 2: crossed"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA[["g", "kind"]])

    def test_several_responses(self):
        refused(FormulaError, "2 responses", formula="y + w ~ x1")
        with pytest.raises(ShapeError, match="one response"):
            LowRankMixedLM(DATA[["y", "w"]], DATA[["x1"]], DATA["g"])

    @pytest.mark.parametrize(
        ("name", "said"),
        [("random", "exog_re="), ("dispformula", "residual="), ("use_sparse", "nothing"),
         ("REML", "belongs to the fit"), ("wheights", "did you mean 'weights'")],
    )  # fmt: skip
    def test_names_of_others(self, name, said):
        refused(UnknownArgumentError, said, **{name: 1})

    @pytest.mark.parametrize(
        ("name", "said"), [("REML", "reml="), ("method", "Fisher"), ("fe_pen", "not there")]
    )
    def test_names_of_others_in_fit(self, name, said):
        with pytest.raises(UnknownArgumentError, match=said):
            made(DATA).fit(**{name: 1})

    @pytest.mark.parametrize("name", ["vc_formula", "exog_vc", "vcomp", "family", "hasconst"])
    def test_what_asks_for_nothing_is_let_pass(self, name):
        """MixedLM's defaults, written out."""
        assert made(DATA, 0, **{name: None}).rank == 0
        assert LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"], **{name: None}).rank == 0
        refused((OptionError, UnknownArgumentError), name, **{name: {"a": "~ x1"}})

    def test_what_asks_for_nothing_of_a_fit(self):
        model = made(DATA, 0, formula="y ~ x1", re_formula="~ 1")
        nothing = {"fe_pen": None, "cov_pen": None, "free": None, "method": None}
        assert model.fit(None, True, **nothing).llf == model.fit().llf
        with pytest.raises(UnknownArgumentError, match="seed"):
            model.fit(seed=None)

    @pytest.mark.parametrize("name", ["gtol", "skip_hessian", "method_list", "niter_sa"])
    def test_optimisers_options(self, name):
        with pytest.raises(UnknownArgumentError, match="use nothing"):
            made(DATA).fit(**{name: 1})

    def test_start_params(self):
        with pytest.raises(OptionError, match=r"fit\(reml=False\)"):
            made(DATA).fit(False)
        with pytest.raises(OptionError, match="profiled out"):
            made(DATA).fit([1.0])

    def test_an_error_of_the_callback(self):
        def fails(step):
            raise ZeroDivisionError

        with pytest.raises(CallableError, match="ZeroDivisionError"):
            made(DATA).fit(callback=fails)


class TestRanks:
    def test_beyond_the_largest(self):
        refused(IllegalRankError, "4 random effects; the largest is 1", rank=2)
        refused(IllegalRankError, "the largest is 0", rank=1, re_formula="~ 1")
        refused(IllegalRankError, "the largest is 4", rank=5, uniquenesses=False)

    @pytest.mark.parametrize("rank", [-1, 1.0, True, "ful", None, [1]])
    def test_no_rank(self, rank):
        refused(IllegalRankError, "rank must be", rank=rank)

    @pytest.mark.parametrize("rank", ["full", "diagonal", "auto", "bic"])
    def test_without_uniquenesses(self, rank):
        refused(OptionError, "uniquenesses=False", rank=rank, uniquenesses=False)
        with pytest.raises(OptionError, match="uniquenesses"):
            made(DATA, 1, uniquenesses="no")

    def test_criteria_of_systems(self):
        refused(IllegalRankError, "bic_groups, bic, aic", rank="bic_ols")


class TestRows:
    def test_one_group(self):
        refused(InsufficientRowsError, "have one value", DATA.assign(g=1))

    def test_as_many_regressors_as_rows(self):
        few = pd.concat([DATA[DATA["g"] == 1].iloc[:2], DATA[DATA["g"] == 2].iloc[:2]])
        refused(InsufficientRowsError, "4 regressors but only 4 rows", few)

    def test_one_row_a_group(self):
        alone = DATA.groupby("g").head(1)
        for rank in (0, "auto"):
            refused(InsufficientRowsError, "told apart|no candidate", alone, rank=rank,
                    re_formula="~ 1")  # fmt: skip

    def test_a_variance_for_each_outcome_twice(self):
        rng = np.random.default_rng(0)
        m, K = 30, 6
        long = pd.DataFrame({"g": np.repeat(range(m), K), "taxon": np.tile(list("abcdef"), m)})
        long["y"] = rng.standard_normal(m * K)
        formulas = {"formula": "y ~ 0 + taxon", "re_formula": "~ 0 + taxon"}
        refused(InsufficientRowsError, "'a', 'b', .*LowRankSUR", long, rank=2,
                residual="~ 0 + taxon", **formulas)  # fmt: skip
        refused(InsufficientRowsError, "the residual variance and", long, rank="full", **formulas)
        assert made(long, 2, residual="~ 0 + taxon", uniquenesses=False, **formulas).rank == 2

    def test_covariances_that_no_group_has(self):
        """Kinds are of groups, so that no group tells the covariance of their effects."""
        data = DATA.assign(kind=np.where(DATA["g"] % 2, "odd", "even"))
        refused(InsufficientRowsError, "even.*odd.*one level of a factor", data, rank="full",
                re_formula="~ 0 + kind")  # fmt: skip
        assert made(data, "diagonal", re_formula="~ 0 + kind").rank == 0

    def test_missing_is_told_by_its_label(self):
        holed = DATA.copy()
        holed.loc["r5", "x2"] = np.nan
        refused(NonFiniteError, "x2, first rows r5", holed, missing="raise")
        holed = DATA.assign(g=DATA["g"].astype(object))
        holed.loc["r4", "g"] = None
        refused(NonFiniteError, "groups .* 1 rows, the first is 'r4'", holed, missing="none")
        X = DATA[["x1"]].copy()
        X.loc["r6", "x1"] = np.nan
        with pytest.raises(NonFiniteError, match=r"exog_re: column 'x1' .* 'r6'"):
            LowRankMixedLM(DATA["y"], DATA[["x2"]], DATA["g"], X)
        w = DATA["w"].copy()
        w["r2"] = np.nan
        with pytest.raises(NonFiniteError, match="weights .*'r2'"):
            LowRankMixedLM(DATA["y"], DATA[["x2"]], DATA["g"], weights=w)

    def test_infinite_and_too_large(self):
        refused(NonFiniteError, "'x1' has 1 infinite.*'r3'", DATA.assign(
            x1=DATA["x1"].where(DATA.index != "r3", np.inf)))  # fmt: skip
        refused(SystemInputError, "beyond 1e", DATA.assign(x1=DATA["x1"] * 1e155))

    def test_nothing_left(self):
        refused(NonFiniteError, "No row is left", DATA.assign(x1=np.nan))
        refused(InsufficientRowsError, "weight 0", DATA.assign(w=0.0), weights="w")

    def test_negative_weights(self):
        refused(OptionError, "negative weight", DATA.assign(w=-DATA["w"]), weights="w")

    def test_rows_that_do_not_fit(self):
        with pytest.raises(ShapeError, match="exog has 3 rows"):
            LowRankMixedLM(DATA["y"].to_numpy(), np.ones((3, 1)), DATA["g"].to_numpy())
        with pytest.raises(ShapeError, match="groups has 3 rows"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], [1, 2, 3])
        with pytest.raises(ShapeError, match="groups is missing"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]])

    def test_a_label_that_is_not_there(self):
        with pytest.raises(ShapeError, match="no label for row 'r0'"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"].iloc[1:])

    def test_times_that_repeat(self):
        refused(UnbalancedPanelError, "repeat a time of their group, the first g=.*t=0 in row 'r",
                DATA.assign(t=0), time="t", ar="groups")  # fmt: skip

    def test_times_without_distances(self):
        refused(FormulaError, "t", DATA.assign(t="t" + DATA["t"].astype(str)), time="t",
                ar="groups")  # fmt: skip


class TestColumns:
    def test_dependent_regressors_are_named(self):
        twice = DATA.assign(x4=DATA["x1"] - 2.0 * DATA["x2"])
        refused(RankDeficientError, "'x4'|'x1'|'x2'", twice, rank=0, formula="y ~ x1 + x2 + x4",
                re_formula="~ 1")  # fmt: skip

    @pytest.mark.parametrize("rank", [1, "full", "auto"])
    def test_dependent_random_effects_are_named(self, rank):
        twice = DATA.assign(x4=DATA["x1"] - 2.0 * DATA["x2"])
        refused(RankDeficientError, "random effects are linearly dependent.*rank='diagonal'", twice,
                rank=rank, re_formula="~ x1 + x2 + x4")  # fmt: skip

    @pytest.mark.parametrize("rank", [0, "full"])
    def test_a_random_effect_that_is_zero(self, rank):
        refused(RankDeficientError, "'x4' of the random effects is zero", DATA.assign(x4=0.0),
                rank=rank, re_formula="~ x4")  # fmt: skip

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("offset", [1e12, 1e14, 1e17])
    def test_regressors_that_nearly_are(self, offset, streamed):
        """Between what bases of rows and what products of them can tell, too: by label."""
        data = DATA.assign(x1=DATA["x1"] + offset)
        refused(RankDeficientError, "'x1' is a combination of '?Intercept|"
                "'Intercept' is a combination of 'x1'", iter([data]) if streamed else data,
                rank=0, formula="y ~ x1", re_formula="~ 1")  # fmt: skip

    def test_a_constant_response(self):
        refused(DegenerateResponseError, "'y' is constant", DATA.assign(y=2.0))

    def test_a_response_that_regressors_fit(self):
        refused(DegenerateResponseError, "exactly", DATA.assign(y=3.0 * DATA["x1"] - 1.0))


class TestFormulas:
    def test_groups_that_are_no_column(self):
        with pytest.raises(FormulaError, match="did you mean 'Subject'"):
            LowRankMixedLM.from_formula("Reaction ~ Days", load_sleepstudy(), groups="subject")
        with pytest.raises(FormulaError, match="groups= is missing"):
            LowRankMixedLM.from_formula("Reaction ~ Days", load_sleepstudy())

    def test_formulas_of_one_side(self):
        refused(FormulaError, "re_formula='y ~ x1'", re_formula="y ~ x1")
        refused(FormulaError, "re_formula='~'", re_formula="~")
        refused(FormulaError, "one string", formula={"a": "y ~ x1"})
        refused(FormulaError, "no left side", formula="x1 + x2")

    def test_levels_that_are_none(self):
        for text in ("~ kind", "~ 0 + x1", "~ 0 + kind + x1"):
            refused(FormulaError, "of which level", rank=0, residual=text)

    def test_names_that_are_not_there(self):
        refused(FormulaError, "'re_formula'.*'x9'", re_formula="~ x9")


class TestStreams:
    def parts(self):
        return iter([DATA.iloc[:60], DATA.iloc[60:]])

    @pytest.mark.parametrize("name", ["ar", "time", "subset"])
    def test_what_needs_rows(self, name):
        refused(FormulaError, f"{name}= does not go with an iterator", self.parts(),
                **{name: "groups"})  # fmt: skip
        chunk = (DATA["y"], DATA[["x1"]], DATA["g"])
        if name != "subset":
            with pytest.raises(OptionError, match=f"{name}= does not go with chunks"):
                LowRankMixedLM.from_chunks([chunk], 0, **{name: "groups"})

    def test_what_learns_from_the_data(self):
        refused(FormulaError, "learns from the data", self.parts(), re_formula="~ center(x1)")

    def test_empty(self):
        refused(ShapeError, "empty", iter([]))
        refused(InsufficientRowsError, "no row is left in 1 chunks", iter([DATA.iloc[:0]]))

    def test_a_chunk_is_named(self):
        bad = DATA.iloc[60:].assign(y=np.nan)
        refused(NonFiniteError, "chunk 2: .*endog", iter([DATA.iloc[:60], bad]), missing="raise")
        level = DATA.iloc[60:].assign(kind="middle")
        refused(UnseenLevelError, "chunk 2: .*middle", iter([DATA.iloc[:60], level]),
                formula="y ~ kind")  # fmt: skip
        chunk = (DATA["y"], DATA[["x1"]], DATA["g"])
        with pytest.raises(ShapeError, match="chunk 2: exog has 2 columns"):
            LowRankMixedLM.from_chunks([chunk, (DATA["y"], DATA[["x1", "x2"]], DATA["g"])])
        with pytest.raises(ShapeError, match="chunk 1: expected"):
            LowRankMixedLM.from_chunks([(DATA["y"], DATA[["x1"]])])
        with pytest.raises(ShapeError, match="chunk 1: a chunk is a mapping"):
            LowRankMixedLM.from_chunks([{"endog": DATA["y"]}])

    def test_dependent_columns_are_named(self):
        twice = DATA.assign(x4=DATA["x1"] - 2.0 * DATA["x2"])
        parts = [twice.iloc[:60], twice.iloc[60:]]
        refused(RankDeficientError, "exog are linearly dependent", iter(parts), rank=0,
                formula="y ~ x1 + x2 + x4", re_formula="~ 1")  # fmt: skip
        refused(RankDeficientError, "random effects are linearly dependent", iter(parts), rank=1,
                formula="y ~ x1", re_formula="~ x1 + x2 + x4")  # fmt: skip
        refused(DegenerateResponseError, "constant", iter([DATA.assign(y=1.0)]))
