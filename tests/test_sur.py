"""LowRankSUR: every form of input, every error, and the estimates on real data."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.base.model import LikelihoodModel

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    DegenerateResponseError,
    DuplicateEquationError,
    HeywoodWarning,
    IllegalRankError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
)
from tests.systems import french, munnell, simulate, wide_grunfeld

GRUNFELD = {"groups": "firm", "time": "year", "rank": 2}


@pytest.fixture(scope="module")
def grunfeld():
    return LowRankSUR.from_formula("invest ~ value + capital", load_grunfeld(), **GRUNFELD)


@pytest.fixture(scope="module")
def grunfeld_fit(grunfeld):
    return grunfeld.fit()


class TestForms:
    def test_is_a_statsmodels_model(self, grunfeld):
        assert isinstance(grunfeld, LikelihoodModel)
        assert (grunfeld.nobs, grunfeld.neqs, grunfeld.rank) == (20, 11, 2)
        assert grunfeld.exog_names[:3] == [
            "General Motors_Intercept",
            "General Motors_value",
            "General Motors_capital",
        ]

    @pytest.mark.slow
    def test_pairs_mappings_arrays_and_formulas_agree(self, grunfeld_fit):
        pairs = wide_grunfeld()
        y = {k: v for k, (v, _) in pairs.items()}
        X = {k: v for k, (_, v) in pairs.items()}
        from_pairs = LowRankSUR.from_system(pairs, rank=2).fit()
        from_maps = LowRankSUR(y, X, rank=2).fit()
        frame = pd.DataFrame(y)
        from_list = LowRankSUR(frame, list(X.values()), rank=2).fit()
        arrays = LowRankSUR(frame.to_numpy(), [x.to_numpy() for x in X.values()], rank=2).fit()
        for res in (from_pairs, from_maps, from_list, arrays):
            assert res.llf == pytest.approx(grunfeld_fit.llf, abs=1e-8)
        assert list(from_pairs.params.index) == list(from_list.params.index)
        assert arrays.model.equations[:2] == ["y1", "y2"]
        assert arrays.params.index[2] == "y1_const"
        assert list(from_pairs.resid.index) == list(range(1935, 1955))

    @pytest.mark.slow
    def test_formula_forms_agree(self, grunfeld_fit):
        data = load_grunfeld()
        wide = pd.concat(
            {
                f: d.set_index("year")[["invest", "value", "capital"]]
                for f, d in data.groupby("firm", sort=False)
            },
            axis=1,
        )
        wide.columns = [f"{v}_{f.replace(' ', '')}" for f, v in wide.columns]
        firms = [f.replace(" ", "") for f in data["firm"].unique()]
        texts = {f: f"invest_{f} ~ value_{f} + capital_{f}" for f in firms}
        braces = " ".join(f"{{{f}: {t}}}" for f, t in texts.items())
        for form in (texts, list(texts.values()), braces):
            res = LowRankSUR.from_formula(form, wide, rank=2).fit()
            assert res.llf == pytest.approx(grunfeld_fit.llf, abs=1e-8)
        shared = LowRankSUR.from_formula(
            " + ".join(f"invest_{f}" for f in firms[:4]) + " ~ value_IBM", wide
        )
        assert shared.exog[0] is shared.exog[3]
        assert shared.equations == [f"invest_{f}" for f in firms[:4]]

    def test_formulas_see_the_callers_variables(self):
        half = 0.5  # noqa: F841

        def twice(x):
            return 2 * x

        model = LowRankSUR.from_formula(
            "invest ~ I(half * value) + twice(capital)", load_grunfeld(), **GRUNFELD
        )
        plain = LowRankSUR.from_formula("invest ~ value + capital", load_grunfeld(), **GRUNFELD)
        np.testing.assert_allclose(model.exog[0], plain.exog[0] * [1.0, 0.5, 2.0])

    def test_series_single_equation_and_default_rank(self):
        X, Y, _ = simulate(40, 12, 2, 1)
        assert LowRankSUR(Y, X).rank == 1
        assert LowRankSUR(Y, X, rank="rule").rank == 2
        assert LowRankSUR(pd.Series(Y[:, 0], name="wage"), X[0]).equations == ["wage"]

    def test_missing_drop_removes_rows_of_the_system(self):
        X, Y, _ = simulate(30, 4, 3, 1)
        Y, X = Y.copy(), [x.copy() for x in X]
        Y[3, 1] = np.nan
        X[2][7, 1] = np.nan
        model = LowRankSUR(Y, X, rank=1, missing="drop")
        keep = np.setdiff1d(np.arange(30), [3, 7])
        np.testing.assert_array_equal(model.endog, Y[keep])
        assert list(model.system.index) == list(keep)

    def test_nothing_of_the_callers_changes(self):
        X, Y, _ = simulate(50, 8, 3, 1, seed=1)
        X0, Y0 = [x.copy() for x in X], Y.copy()
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        model = LowRankSUR(Y, X, rank=1)
        before = set(vars(model))
        res = model.fit(rng=3)
        res.summary()
        assert set(vars(model)) == before
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
        np.testing.assert_array_equal(Y, Y0)
        for x, x0 in zip(X, X0, strict=True):
            np.testing.assert_array_equal(x, x0)


class TestErrors:
    def test_row_mismatch(self):
        X, Y, _ = simulate(20, 3, 2, 1)
        with pytest.raises(ShapeError, match="'y2'.*19 rows but endog has 20"):
            LowRankSUR(Y, [X[0], X[1][:-1], X[2]])

    def test_number_of_designs(self):
        X, Y, _ = simulate(20, 3, 2, 1)
        with pytest.raises(ShapeError, match="2 designs for 3 equations"):
            LowRankSUR(Y, X[:2])

    def test_names_differ(self):
        X, Y, _ = simulate(20, 2, 2, 1)
        with pytest.raises(ShapeError, match=r"exog lacks equation 'b'; it has 'c'"):
            LowRankSUR({"a": Y[:, 0], "b": Y[:, 1]}, {"a": X[0], "c": X[1]})

    def test_row_labels_differ(self):
        X, Y, _ = simulate(20, 2, 2, 1)
        y = pd.DataFrame(Y, index=range(1900, 1920))
        with pytest.raises(ShapeError, match="row labels of exog.*1901"):
            LowRankSUR(y, pd.DataFrame(X[0], index=range(1901, 1921)))

    @pytest.mark.parametrize(("bad", "kind"), [(np.nan, "missing"), (np.inf, "infinite")])
    def test_not_finite(self, bad, kind):
        X, Y, _ = simulate(20, 3, 2, 1)
        frame = pd.DataFrame(X[1], columns=["const", "price"], index=range(100, 120))
        frame.iloc[4:6, 1] = bad
        with pytest.raises(NonFiniteError, match=f"'price' of equation 'y2' has 2 {kind}.*row 104"):
            LowRankSUR(Y, [X[0], frame, X[2]], rank=0)
        Y[7, 2] = bad
        with pytest.raises(NonFiniteError, match=f"endog: equation 'y3' has 1 {kind} .*row 7"):
            LowRankSUR(Y, X[0])

    def test_text_is_not_a_number(self):
        with pytest.raises(ShapeError, match="endog of equation 'a' holds"):
            LowRankSUR({"a": ["x", "y"]}, np.ones((2, 1)))

    def test_dependent_columns_are_named(self):
        X, Y, _ = simulate(20, 3, 3, 1)
        frame = pd.DataFrame(X[1], columns=["const", "price", "cost"])
        frame["sum"] = frame["price"] + frame["cost"]
        model = LowRankSUR(Y, [X[0], frame, X[2]], rank=1)
        with pytest.raises(RankDeficientError, match=r"'y2'.*'(sum|price|cost)' is a combination"):
            model.fit()
        frame["sum"] = 0.0
        with pytest.raises(RankDeficientError, match="'sum' of exog is zero"):
            LowRankSUR(Y, [X[0], frame, X[2]], rank=1).fit()

    @pytest.mark.parametrize("scale", [1e-8, 1e-150, 1e8])
    def test_scale_alone_is_no_dependence(self, scale):
        X, Y, _ = simulate(20, 3, 3, 0)
        res = LowRankSUR(Y, [x * [1.0, scale, 1.0] for x in X], rank=0).fit()
        assert res.converged

    def test_constant_and_exactly_fitted_responses(self):
        X, Y, _ = simulate(20, 3, 3, 1)
        Y = pd.DataFrame(Y, columns=["a", "b", "c"])
        with pytest.raises(DegenerateResponseError, match="'b' is constant"):
            LowRankSUR(Y.assign(b=4.0), X)
        with pytest.raises(DegenerateResponseError, match="'c' is fitted exactly"):
            LowRankSUR(Y.assign(c=X[2] @ [1.0, 2.0, 3.0]), X, rank=1).fit()

    def test_duplicate_equations(self):
        X, Y, _ = simulate(40, 5, 3, 1)
        Y[:, 3] = 7.0 - 2.0 * Y[:, 1] + X[0][:, 1]
        with pytest.raises(DuplicateEquationError, match="'y2' and 'y4'"):
            LowRankSUR(Y, X[0], rank=1).fit()
        with pytest.raises(ShapeError, match="'a' is repeated"):
            LowRankSUR(pd.DataFrame(Y[:, :2], columns=["a", "a"]), X[0])

    def test_illegal_rank_gives_the_largest_legal_one(self):
        X, Y, _ = simulate(40, 5, 3, 1)
        with pytest.raises(IllegalRankError, match="rank=3 .*largest legal rank is 2"):
            LowRankSUR(Y, X, rank=3)
        with pytest.raises(IllegalRankError, match="'full' or a whole number >= 0, got 'best'"):
            LowRankSUR(Y, X, rank="best")
        with pytest.raises(IllegalRankError, match="True"):
            LowRankSUR(Y, X, rank=True)
        X, Y, _ = simulate(8, 30, 5, 1)
        with pytest.raises(IllegalRankError, match="largest legal rank is 2 .*8 rows less 5"):
            LowRankSUR(Y, X, rank=3)

    def test_too_few_rows(self):
        X, Y, _ = simulate(4, 3, 4, 0)
        with pytest.raises(InsufficientRowsError, match="'y1' has 4 regressors but only 4 rows"):
            LowRankSUR(Y, X)

    @pytest.mark.parametrize(
        ("knob", "value"),
        [
            ("lam_F", -1.0),
            ("lam_B", np.nan),
            ("d_floor", 0.0),
            ("rel_tol", -1e-3),
            ("gtol", 0.0),
            ("max_sweeps", 0),
            ("max_sweeps", 2.5),
            ("cg_tol", 1.0),
            ("cg_maxit", 0),
            ("n_starts", 0),
            ("n_starts", "many"),
            ("rng", "seed"),
            ("start_params", [1.0, 2.0]),
        ],
    )
    def test_options(self, grunfeld, knob, value):
        with pytest.raises(OptionError, match=knob):
            grunfeld.fit(**{knob: value})

    def test_every_error_is_a_value_error(self):
        for error in (ShapeError, NonFiniteError, RankDeficientError, IllegalRankError):
            assert issubclass(error, ValueError)

    def test_no_convergence_warns_with_the_remedy(self, grunfeld):
        with pytest.warns(ConvergenceWarning, match="max_sweeps=2 reached; raise max_sweeps"):
            res = grunfeld.fit(max_sweeps=2, n_starts=1)
        assert not res.converged
        assert not res.mle_retvals["converged"]
        assert "NOT CONVERGED" in str(res.summary())
        from statsmodels.tools.sm_exceptions import ConvergenceWarning as SMWarning

        assert issubclass(ConvergenceWarning, SMWarning)

    def test_heywood_cases_are_named(self):
        X, Y, _ = simulate(30, 5, 3, 1, seed=4)
        with pytest.warns(HeywoodWarning, match="'y4'"):
            res = LowRankSUR(Y, X, rank=1).fit()
        assert res.heywood == ["y4"]
        assert res.converged
        assert "Heywood" in str(res.summary())
        assert res.communalities["y4"] > 1 - 1e-7


class TestFit:
    @pytest.mark.slow
    def test_deterministic_and_seeded(self, grunfeld, grunfeld_fit):
        np.testing.assert_array_equal(grunfeld.fit().params, grunfeld_fit.params)
        # What is constructed is not drawn.
        default = grunfeld.fit(rng=5).mle_retvals["starts"]
        pd.testing.assert_frame_equal(default, grunfeld_fit.mle_retvals["starts"])
        one = grunfeld.fit(n_starts=7, rng=np.random.default_rng(5)).mle_retvals["starts"]
        two = grunfeld.fit(n_starts=7, rng=5).mle_retvals["starts"]
        pd.testing.assert_frame_equal(one, two)
        assert not one.equals(grunfeld.fit(n_starts=7).mle_retvals["starts"])

    def test_restart_from_the_solution_is_immediate(self, grunfeld, grunfeld_fit):
        again = grunfeld.fit(start_params=grunfeld_fit.params, n_starts=1)
        assert again.llf == pytest.approx(grunfeld_fit.llf, abs=1e-7)
        assert again.mle_retvals["iterations"] < grunfeld_fit.mle_retvals["iterations"]

    def test_trace_is_a_table_and_never_rises(self, grunfeld_fit):
        trace = grunfeld_fit.trace
        assert list(trace.columns) == [
            "nll_beta", "nll", "accept_t", "cg_iterations", "sigma_iterations", "gradient_d",
            "score_beta", "seconds",
        ]  # fmt: skip
        assert (np.diff(trace["nll"]) <= 1e-12 * 40).all()
        assert trace["nll"].iloc[-1] == pytest.approx(grunfeld_fit.nll_per_row, rel=1e-12)
        assert (np.diff(trace["seconds"]) >= 0).all()

    def test_mle_retvals(self, grunfeld_fit):
        info = grunfeld_fit.mle_retvals
        n = info["iterations"]
        assert info["converged"] is True
        assert len(info["nll_trace"]) == n + 1
        assert len(info["accept_t"]) == len(info["cg"]) == len(info["nll_beta_trace"]) == n
        assert list(info["starts"].columns) == ["start", "nll", "gap", "sweeps", "ended"]
        assert info["gradient_d"] <= 1e-6
        assert info["score_beta"] <= 1e-6
        assert info["lowest_curvature"] > -1e-5

    def test_callback_sees_sweeps_and_stops(self, grunfeld):
        seen = []

        def stop_at_three(sweep):
            seen.append(sweep)
            return sweep.sweep == 3

        with pytest.warns(ConvergenceWarning, match="stopped by the callback"):
            grunfeld.fit(callback=stop_at_three)
        assert [s.sweep for s in seen] == [0, 1, 2, 3]
        assert np.isfinite(seen[2].nll_beta)

    def test_disp_prints_how_it_ended(self, grunfeld, capsys):
        grunfeld.fit(disp=True, n_starts=1)
        out = capsys.readouterr().out
        assert "stationary" in out
        assert "Starts: 1" in out
        grunfeld.fit(n_starts=1)
        assert capsys.readouterr().out == ""

    def test_ridges_shrink_and_ignore_units(self):
        X, Y, _ = simulate(60, 8, 3, 1, seed=4)
        plain = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        ridge = LowRankSUR(Y, X, rank=1).fit(n_starts=1, lam_B=0.5, lam_F=0.3)
        slopes = [n for n in plain.params.index if not n.endswith("const")]
        assert np.abs(ridge.params[slopes]).sum() < 0.9 * np.abs(plain.params[slopes]).sum()
        assert np.abs(ridge.loadings).to_numpy().sum() < np.abs(plain.loadings).to_numpy().sum()
        assert ridge.llf < plain.llf
        scaled = LowRankSUR(Y * 1e6, [x * [1.0, 1e-4, 1e3] for x in X], rank=1).fit(
            n_starts=1, lam_B=0.5, lam_F=0.3
        )
        np.testing.assert_allclose(scaled.tvalues, ridge.tvalues, rtol=1e-6)

    @pytest.mark.slow
    def test_fit_makes_no_k_by_k_or_p_by_p_array(self):
        """K = 1500 > N: a K x K array is 18 MB, P x P 72 MB, all the data 0.7 MB."""
        code = (
            "import numpy as np, tracemalloc, warnings\n"
            "from tests.systems import simulate\n"
            "from sm_alsgls import LowRankSUR\n"
            "X, Y, _ = simulate(20, 1500, 2, 1)\n"
            "model = LowRankSUR(Y, X, rank=1)\n"
            "tracemalloc.start()\n"
            "model.fit(n_starts=2)\n"
            "print(tracemalloc.get_traced_memory()[1])\n"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert int(out.stdout) < 9e6


class TestRealData:
    def test_french_three_factors_reach_the_best_known_maximum(self):
        Y, X = french()
        model = LowRankSUR(Y, X, rank=3)
        res = model.fit()
        assert res.nll_per_row == pytest.approx(-75.2726955, abs=1e-6)
        assert res.mle_retvals["iterations"] <= 5
        assert res.converged
        # Residuals and equal shares of d, the obvious start, end 79 log-likelihood units lower;
        # tests/core/maximise/test_search.py shows it.

    @pytest.mark.parametrize(("rank", "known"), [(1, -158.0936), (2, -169.2719)])
    def test_munnell_converges(self, rank, known):
        model = LowRankSUR(*munnell(), rank=rank)
        with warnings.catch_warnings():
            # The best maximum at rank 2 has a Heywood case.
            warnings.simplefilter("ignore", HeywoodWarning)
            res = model.fit()
        assert res.nll_per_row < known
        assert res.mle_retvals["iterations"] <= 80
        assert res.mle_retvals["gradient_d"] <= 1e-6
        assert res.mle_retvals["score_beta"] <= 1e-6
        assert res.converged
