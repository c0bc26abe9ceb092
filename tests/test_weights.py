"""weights=: against transformed rows, linearmodels, repeated rows and dropped ones."""

import pickle

import numpy as np
import pandas as pd
import pytest
from linearmodels.system import SUR

from sm_alsgls import LowRankDiag, LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import FormulaError, NonFiniteError, OptionError, ShapeError
from sm_alsgls.rank import select_rank
from tests.core import dense_observed as dense
from tests.systems import simulate

TIGHT = {"gtol": 1e-9, "rel_tol": 1e-12}
N, K = 60, 5


@pytest.fixture(scope="module")
def data():
    X, Y, _ = simulate(N, K, 3, 1, seed=1)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    rng = np.random.default_rng(0)
    return X, Y, rng.uniform(0.2, 3.0, N), rng.uniform(0.2, 3.0, (N, K))


def scaled(X, Y, w):
    """Rows times the roots of weights with mean 1."""
    each = np.broadcast_to(w[:, None] if w.ndim == 1 else w, Y.shape)
    root = np.sqrt(each / each.mean(axis=0))
    return [x * root[:, [j]] for j, x in enumerate(X)], Y * root, root


@pytest.mark.parametrize("kind", ["rows", "cells"])
class TestTransformation:
    made = {}  # noqa: RUF012  fits of a kind, which no test changes

    def fits(self, data, kind, **options):
        key = kind, *options.items()
        if key not in self.made:
            X, Y, row, cell = data
            w = row if kind == "rows" else cell
            blocks, Z, root = scaled(X, Y, w)
            one = LowRankSUR(Y, X, 1, weights=7.0 * w).fit(**TIGHT, **options)
            other = LowRankSUR(Z, blocks, 1).fit(**TIGHT, **options)
            self.made[key] = one, other, root
        return self.made[key]

    def test_estimates_are_those_of_the_scaled_system(self, data, kind):
        one, other, root = self.fits(data, kind)
        np.testing.assert_allclose(one.params, other.params, rtol=0, atol=1e-9)
        np.testing.assert_allclose(one.bse, other.bse, rtol=1e-8)
        np.testing.assert_allclose(one.sigma.to_dense(), other.sigma.to_dense(), atol=1e-8)
        assert one.llf == pytest.approx(other.llf + np.log(root).sum(), abs=1e-8)
        assert one.mle_retvals["nll_trace"][-1] == pytest.approx(one.nll_per_row, abs=1e-9)
        assert one.trace["nll"].iloc[-1] == pytest.approx(one.nll_per_row, abs=1e-9)
        best = one.mle_retvals["starts"]["nll"].min()
        assert best == pytest.approx(one.nll_per_row, abs=1e-8)

    @pytest.mark.parametrize("cov_type", ["HC0", "HC1", "sandwich", "KH", "HAC"])
    def test_other_standard_errors(self, data, kind, cov_type):
        one, other, _ = self.fits(data, kind)
        a = one.get_robustcov_results(cov_type).bse
        np.testing.assert_allclose(a, other.get_robustcov_results(cov_type).bse, rtol=1e-6)

    def test_residuals_have_the_units_of_the_data(self, data, kind):
        X, Y, *_ = data
        one, other, root = self.fits(data, kind)
        fitted = np.column_stack(
            [
                x @ b
                for x, b in zip(X, one.model.labels.by_equation(one.params.to_numpy()), strict=True)
            ]
        )
        np.testing.assert_allclose(one.resid, Y - fitted, atol=1e-12)
        np.testing.assert_allclose(one.fittedvalues, fitted, atol=1e-12)
        np.testing.assert_allclose(one.predict(X), fitted, atol=1e-12)
        np.testing.assert_allclose(one.resid * root, other.resid, atol=1e-8)
        np.testing.assert_allclose(one.factor_scores, other.factor_scores, atol=1e-7)
        np.testing.assert_allclose(
            one.augment()["unique_resid"], other.augment()["unique_resid"], atol=1e-6
        )

    def test_likelihood_at_any_point(self, data, kind):
        one, other, root = self.fits(data, kind)
        b = one.params.to_numpy() + 0.1
        cov = LowRankDiag.from_factors(np.full((K, 1), 0.5), np.ones(K))
        assert one.model.loglike(b, cov) == pytest.approx(
            other.model.loglike(b, cov) + np.log(root).sum(), abs=1e-8
        )
        for method in ("score", "score_obs", "information"):
            np.testing.assert_allclose(
                getattr(one.model, method)(b, cov),
                getattr(other.model, method)(b, cov),
                rtol=1e-9,
                atol=1e-9,
            )
        assert one.model.loglike(one.params, one.sigma) == pytest.approx(one.llf, abs=1e-8)

    def test_fit_is_measured_in_weights(self, data, kind):
        _, Y, *_ = data
        one, _, root = self.fits(data, kind)
        for j in range(K):
            w, e = root[:, j] ** 2, one.resid.to_numpy()[:, j]
            about = Y[:, j] - np.average(Y[:, j], weights=w)
            expected = 1 - np.sum(w * e**2) / np.sum(w * about**2)
            assert one.equations[f"y{j + 1}"].rsquared == pytest.approx(expected, rel=1e-9)
        slopes = [i for i, n in enumerate(one.params.index) if not n.endswith("const")]
        b, V = one.params.to_numpy()[slopes], one.cov_params().to_numpy()
        wald = b @ np.linalg.solve(V[np.ix_(slopes, slopes)], b)
        assert one.fvalue == pytest.approx(wald / len(slopes), rel=1e-7)

    def test_bootstrap_pickle_and_remove_data(self, data, kind):
        one, _, _ = self.fits(data, kind)
        ratio = one.bootstrap(80, "wild", rng=0).std_errors / one.bse
        assert 0.75 < ratio.median() < 1.25
        again = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(again.resid, one.resid)
        again.remove_data()
        assert again.llf == one.llf
        assert "Weighted" in str(again.summary())

    def test_restrictions(self, data, kind):
        one, other, _ = self.fits(data, kind)
        text = "y1_x1 = y2_x1"
        a = one.model.fit_constrained(text, **TIGHT)
        b = other.model.fit_constrained("y1_x2 = y2_x2", **TIGHT)  # no constant among these
        np.testing.assert_allclose(a.params, b.params, rtol=0, atol=1e-8)
        np.testing.assert_allclose(a.bse, b.bse, rtol=1e-7, atol=1e-10)


def test_linearmodels_given_the_same_sigma(data):
    X, Y, _, cell = data
    res = LowRankSUR(Y, X, 1, weights=cell).fit(debiased=False, **TIGHT)
    equations = {
        f"y{j + 1}": {"dependent": Y[:, j], "exog": X[j], "weights": cell[:, j]} for j in range(K)
    }
    peer = SUR(equations, sigma=res.sigma.to_dense()).fit(method="gls", cov_type="robust")
    np.testing.assert_allclose(res.params, peer.params, rtol=0, atol=1e-8)
    robust = res.get_robustcov_results("HC0")
    np.testing.assert_allclose(robust.bse, peer.std_errors, rtol=1e-7)
    np.testing.assert_allclose(res.resid, peer.resids, rtol=0, atol=1e-8)
    r2 = [peer.equations[f"y{j + 1}"].rsquared for j in range(K)]
    ours = [res.equations[f"y{j + 1}"].rsquared for j in range(K)]
    np.testing.assert_allclose(ours, r2, rtol=1e-8)


def test_rank_zero_is_weighted_least_squares(data):
    import statsmodels.api as sm

    X, Y, _, cell = data
    res = LowRankSUR(Y, X, 0, weights=cell).fit()
    for j in range(K):
        wls = sm.WLS(Y[:, j], X[j], weights=cell[:, j]).fit()
        one = res.equations[f"y{j + 1}"]
        np.testing.assert_allclose(one.params, wls.params, rtol=1e-9)
        np.testing.assert_allclose(one.bse, wls.bse, rtol=1e-9)
        assert one.rsquared == pytest.approx(wls.rsquared, rel=1e-9)
    assert res.llf == pytest.approx(
        sum(
            sm.WLS(Y[:, j], X[j], weights=cell[:, j] / cell[:, j].mean()).fit().llf
            for j in range(K)
        ),
        rel=1e-10,
    )


class TestMeaning:
    def test_integer_weights_are_repeated_rows(self, data):
        X, Y, *_ = data
        times = np.random.default_rng(4).integers(1, 4, N)
        rows = np.repeat(np.arange(N), times)
        one = LowRankSUR(Y, X, 1, weights=times).fit(**TIGHT)
        other = LowRankSUR(Y[rows], [x[rows] for x in X], 1).fit(**TIGHT)
        np.testing.assert_allclose(one.params, other.params, rtol=0, atol=1e-8)
        np.testing.assert_allclose(one.sigma.to_dense(), other.sigma.to_dense(), rtol=1e-6)

    @pytest.mark.parametrize("kind", ["plain", "weighted"])
    def test_zero_is_a_row_dropped(self, data, kind):
        X, Y, row, _ = data
        w = np.ones(N) if kind == "plain" else row.copy()
        w[[3, 17, 40]] = 0.0
        keep = w > 0
        model = LowRankSUR(Y, X, 1, weights=w)
        assert (model.nobs, model.n_dropped) == (57, 3)
        one = model.fit(**TIGHT)
        other = LowRankSUR(Y[keep], [x[keep] for x in X], 1, weights=w[keep]).fit(**TIGHT)
        np.testing.assert_allclose(one.params, other.params, rtol=0, atol=1e-9)
        np.testing.assert_allclose(one.bse, other.bse, rtol=1e-9)
        assert one.llf == pytest.approx(other.llf, abs=1e-9)

    @pytest.mark.parametrize("kind", ["plain", "weighted"])
    def test_zero_is_a_cell_dropped(self, data, kind):
        X, Y, _, cell = data
        w = np.ones((N, K)) if kind == "plain" else cell.copy()
        out = np.random.default_rng(2).random((N, K)) < 0.1
        w[out] = 0.0
        one = LowRankSUR(Y, X, 1, weights=w).fit(**TIGHT)
        holes = np.where(out, np.nan, Y)
        other = LowRankSUR(holes, X, 1, missing="fiml", weights=w).fit(**TIGHT)
        np.testing.assert_array_equal(one.params, other.params)
        np.testing.assert_array_equal(one.resid, other.resid)
        if kind == "plain":
            other = LowRankSUR(holes, X, 1, missing="fiml").fit(**TIGHT)
            np.testing.assert_allclose(one.params, other.params, rtol=0, atol=1e-9)
            assert one.llf == pytest.approx(other.llf, abs=1e-9)

    def test_a_value_that_is_missing_may_have_weight_zero(self, data):
        X, Y, *_ = data
        Z, w = Y.copy(), np.ones((N, K))
        Z[5, 2], w[5, 2] = np.nan, 0.0
        one = LowRankSUR(Z, X, 1, weights=w)
        assert one.n_cells == N * K - 1
        assert LowRankSUR(Z, X, 1, weights=w, missing="drop").nobs == N
        w[5, 2] = np.nan  # nothing to weigh
        assert LowRankSUR(Z, X, 1, weights=w, missing="fiml").n_cells == N * K - 1

    def test_weights_and_holes_against_dense(self, data):
        X, Y, row, cell = data
        mask = dense.holes(np.random.default_rng(5), N, K, 0.8, least=15)
        Z = np.where(mask, Y, np.nan)
        for w in (row, cell):
            res = LowRankSUR(Z, X, 1, missing="fiml", weights=w).fit(debiased=False, **TIGHT)
            each = np.broadcast_to(w[:, None], Y.shape) if w.ndim == 1 else np.where(mask, w, 0)
            mean = w.mean() if w.ndim == 1 else each.sum(axis=0) / mask.sum(axis=0)
            root = np.sqrt(each / mean)
            blocks = [x * root[:, [j]] for j, x in enumerate(X)]
            Sigma = res.sigma.to_dense()
            b = dense.gls(blocks, Y * root, mask, Sigma)
            np.testing.assert_allclose(res.params, b, rtol=0, atol=1e-8)
            E = dense.residuals(blocks, Y * root, mask, b)
            llf = -N * dense.nll(E, mask, Sigma) + np.log(root[mask]).sum()
            assert res.llf == pytest.approx(llf, abs=1e-8)
            V = np.linalg.inv(dense.information(blocks, mask, Sigma))
            np.testing.assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-8)
            W = dense.solve(E, mask, Sigma)
            U = np.concatenate([x * W[:, [j]] for j, x in enumerate(blocks)], axis=1)
            robust = res.get_robustcov_results("HC0").cov_params()
            np.testing.assert_allclose(robust, V @ U.T @ U @ V, rtol=1e-7, atol=1e-10)
            assert res.model.loglike(res.params, res.sigma) == pytest.approx(llf, abs=1e-8)

    def test_equal_weights_are_none(self, data):
        X, Y, *_ = data
        one = LowRankSUR(Y, X, 1, weights=np.full((N, K), 3.0)).fit()
        assert one.llf == LowRankSUR(Y, X, 1).fit().llf
        assert "Weighted" not in str(one.summary())


class TestForms:
    def test_labels_are_aligned(self, data):
        X, Y, row, cell = data
        index = pd.Index([f"t{n}" for n in range(N)])
        names = list("abcde")
        endog = pd.DataFrame(Y, index, names)
        exog = dict(zip(names, [pd.DataFrame(x, index) for x in X], strict=True))
        shuffled = np.random.default_rng(0).permutation(N)
        expected = LowRankSUR(Y, X, 1, weights=row).fit().llf
        series = pd.Series(row, index).iloc[shuffled]
        for w in (series, series.to_frame("w"), row[:, None]):
            assert LowRankSUR(endog, exog, 1, weights=w).fit().llf == pytest.approx(expected)
        expected = LowRankSUR(Y, X, 1, weights=cell).fit().llf
        frame = pd.DataFrame(cell, index, names)
        for w in (
            frame.iloc[shuffled, ::-1],
            {name: cell[:, j] for j, name in enumerate(names)},
            {name: frame[name].iloc[shuffled] for name in reversed(names)},
        ):
            assert LowRankSUR(endog, exog, 1, weights=w).fit().llf == pytest.approx(expected)

    def test_labels_of_rows_that_have_none(self, data):
        """A column of a sorted frame beside arrays of it: its numbers are not those of the rows."""
        X, Y, row, cell = data
        order = np.random.default_rng(0).permutation(N)
        text = pd.Series(row, [f"t{n}" for n in range(N)])
        expected = LowRankSUR(Y, X, 0, weights=row).fit().llf
        for w in (text, pd.Series(row), pd.Series(row, order + N)):
            assert LowRankSUR(Y, X, 0, weights=w).fit().llf == pytest.approx(expected)
        names = [f"y{j + 1}" for j in range(K)]
        for w in (
            pd.Series(row, order),
            pd.DataFrame(cell, order, names),
            {name: pd.Series(cell[:, j], order) for j, name in enumerate(names)},
        ):
            with pytest.raises(ShapeError, match="number the rows in another order.*plain array"):
                LowRankSUR(Y, X, 0, weights=w)
        same = pd.Series(np.full(N, 2.0), order)
        assert LowRankSUR(Y, X, 0, weights=same).fit().nobs == N

    def test_from_system(self, data):
        X, Y, row, _ = data
        pairs = {f"y{j + 1}": (Y[:, j], X[j]) for j in range(K)}
        one = LowRankSUR.from_system(pairs, 1, weights=row).fit()
        assert one.llf == pytest.approx(LowRankSUR(Y, X, 1, weights=row).fit().llf)

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
    def test_formulas(self, data):
        X, Y, row, cell = data
        index = np.arange(N) + 100
        frame = pd.DataFrame(Y, index, list("abcde")).assign(x=X[0][:, 1], w=row, u=cell[:, 0])
        frame.loc[104, "a"] = np.nan
        keep = frame.index != 104
        exog = X[0][keep]
        expected = LowRankSUR(Y[keep], exog, 1, weights=row[keep]).fit().llf
        formula = "a + b + c + d + e ~ x"
        for w in ("w", row, frame["w"], frame["w"].iloc[::-1]):
            res = LowRankSUR.from_formula(formula, frame, 1, weights=w).fit()
            assert res.llf == pytest.approx(expected, abs=1e-7)
        both = {name: "u" if name == "a" else cell[:, 1] for name in "abcde"}
        by_cell = np.column_stack([cell[:, 0], *[cell[:, 1]] * 4])
        expected = LowRankSUR(Y[keep], exog, 1, weights=by_cell[keep]).fit().llf
        res = LowRankSUR.from_formula(formula, frame, 1, weights=both).fit()
        assert res.llf == pytest.approx(expected, abs=1e-7)
        fiml = LowRankSUR.from_formula(formula, frame, 1, weights="w", missing="fiml")
        assert fiml.n_cells == N * K - 1
        some = LowRankSUR.from_formula(formula, frame, 1, weights="w", subset=frame.index > 110)
        late = frame.index > 110
        expected = LowRankSUR(Y[late], X[0][late], 1, weights=row[late]).fit().llf
        assert some.fit().llf == pytest.approx(expected, abs=1e-7)

    @pytest.mark.slow
    def test_long_panels(self):
        data = load_grunfeld()
        rng = np.random.default_rng(0)
        data["w"] = rng.uniform(0.5, 2.0, len(data))
        shuffled = data.sample(frac=1.0, random_state=1)
        model = LowRankSUR.from_formula(
            "invest ~ value", shuffled, 1, groups="firm", time="year", weights="w"
        )
        wide = {firm: part.set_index("year") for firm, part in data.groupby("firm")}
        expected = LowRankSUR.from_system(
            {
                name: (wide[name]["invest"], wide[name][["value"]].assign(one=1.0))
                for name in model.equations
            },
            1,
            weights={name: wide[name]["w"] for name in model.equations},
        )
        assert model.fit().llf == pytest.approx(expected.fit().llf, abs=1e-6)
        short = shuffled.drop(index=shuffled.index[:20])
        holes = LowRankSUR.from_formula(
            "invest ~ value", short, 0, groups="firm", time="year", weights=short["w"]
        )
        assert holes.n_cells == 200
        with pytest.raises(ShapeError, match="one for each of its 200 rows"):
            LowRankSUR.from_formula(
                "invest ~ value",
                short,
                groups="firm",
                time="year",
                weights=dict.fromkeys(model.equations, "w"),
            )


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "error", "match"),
        [
            (lambda w: w.__setitem__((4, 1), -1.0), OptionError, "'y2', row 4 .* negative"),
            (lambda w: w.__setitem__((4, 1), np.nan), NonFiniteError, "'y2', row 4 .* missing"),
            (lambda w: w.__setitem__((4, 1), np.inf), NonFiniteError, "'y2', row 4 .* infinite"),
        ],
    )
    def test_values(self, data, change, error, match):
        X, Y, row, cell = data
        w = cell.copy()
        change(w)
        with pytest.raises(error, match=match):
            LowRankSUR(Y, X, 1, weights=w)
        r = row.copy()
        r[7] = -2.0
        with pytest.raises(OptionError, match="row 7 has the negative weight -2"):
            LowRankSUR(Y, X, 1, weights=r)

    def test_shapes_and_labels(self, data):
        X, Y, row, _ = data
        index = pd.Index([f"t{n}" for n in range(N)])
        endog = pd.DataFrame(Y, index)
        with pytest.raises(ShapeError, match=r"60 rows.* got shape \(59,\)"):
            LowRankSUR(Y, X, 1, weights=row[:-1])
        with pytest.raises(ShapeError, match=r"weights has no label for row 't59'"):
            LowRankSUR(endog, X, 1, weights=pd.Series(row[:-1], index[:-1]))
        with pytest.raises(ShapeError, match="row labels repeat"):
            LowRankSUR(endog, X, 1, weights=pd.Series(row, ["a"] * N))
        with pytest.raises(ShapeError, match="weights lacks .*'y5'"):
            LowRankSUR(Y, X, 1, weights={f"y{j + 1}": row for j in range(4)})
        with pytest.raises(ShapeError, match="of equation 'y3' must hold 60"):
            LowRankSUR(Y, X, 1, weights={f"y{j + 1}": row[: 60 - (j == 2)] for j in range(K)})
        with pytest.raises(OptionError, match="weights holds text"):
            LowRankSUR(Y, X, 1, weights=["heavy"] * N)
        frame = pd.DataFrame(Y, index, list("abcde")).assign(x=row, weight=row)
        with pytest.raises(FormulaError, match="did you mean 'weight'"):
            LowRankSUR.from_formula("a + b + c ~ x", frame, weights="weigt")

    def test_streams_and_cross_validation(self, data):
        X, Y, row, _ = data
        with pytest.raises(OptionError, match="stream"):
            LowRankSUR.from_chunks([(Y, X)], 1, weights=row)
        model = LowRankSUR(Y, X, 1, weights=row)
        with pytest.raises(OptionError, match="bic_ols"):
            select_rank(model, "cv")
        blocks, Z, _ = scaled(X, Y, row)
        assert select_rank(model).rank == select_rank(LowRankSUR(Z, blocks, 1)).rank


def test_many_rows_are_compressed():
    """Row weights leave cross-products that do not grow with N; so do constants."""
    X, Y, _ = simulate(3_000, 4, 3, 1)
    w = np.random.default_rng(0).uniform(0.5, 2.0, 3_000)
    model = LowRankSUR(Y, X, 1, weights=w)
    assert len(model.system.rows.Y) < 30
    res = model.fit(**TIGHT)
    blocks, Z, root = scaled(X, Y, w)
    other = LowRankSUR(Z, blocks, 1).fit(**TIGHT)
    assert res.llf == pytest.approx(other.llf + np.log(root).sum(), abs=1e-7)
    e, u = res.resid.to_numpy()[:, 0], w / w.mean()
    about = Y[:, 0] - np.average(Y[:, 0], weights=u)
    expected = 1 - np.sum(u * e**2) / np.sum(u * about**2)
    assert res.equations["y1"].rsquared == pytest.approx(expected, rel=1e-8)
