"""Joint tests and robust standard errors in small samples, as users call them."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import (
    CovarianceWarning,
    InsufficientRowsError,
    OptionError,
    RestrictionError,
)
from sm_alsgls.results.coefficients import df_coefficients
from sm_alsgls.results.covariance import covariance as operator_of
from tests.systems import simulate

N, K, P = 30, 6, 3
ROBUST = {
    "HC0": {}, "HC1": {}, "HC2": {}, "HC3": {},
    "CR0": {"groups": np.arange(N) // 2, "correction": "CR0"},
    "CR1": {"groups": np.arange(N) // 2, "correction": "CR1"},
    "CR2": {"groups": np.arange(N) // 2},
    "CR3": {"groups": np.arange(N) // 2, "correction": "CR3"},
    "two-way": {"groups": np.column_stack([np.arange(N) // 5, np.arange(N) % 5])},
    "two-way CR1": {
        "groups": np.column_stack([np.arange(N) // 5, np.arange(N) % 5]), "correction": "CR1",
    },
    "sandwich": {},
    "HAC": {},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _two_way_warnings():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the two-way", CovarianceWarning)
        yield


def covariance(res, name):
    kind = "cluster" if name.startswith(("CR", "two")) else name
    return res.get_robustcov_results(kind, **ROBUST[name])


def fit(Y, X, rank, **kwds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LowRankSUR(Y, X, rank=rank, **kwds).fit(n_starts=1)


@pytest.fixture(scope="module")
def system():
    X, Y, _ = simulate(N, K, P, 1, seed=5)
    return X, Y


@pytest.fixture(scope="module")
def res(system):
    return fit(system[1], system[0], 1)


def rows(q, columns=K * P):
    R = np.zeros((q, columns))
    R[np.arange(q), 1 + P * np.arange(q)] = 1.0
    return R


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_rank_zero_is_statsmodels_ols(system, kind):
    X, Y = system
    got = fit(Y, X, 0).get_robustcov_results(kind)
    for j in range(K):
        ols = sm.OLS(Y[:, j], X[j]).fit(cov_type=kind)
        np.testing.assert_allclose(got.bse.iloc[P * j : P * (j + 1)], ols.bse, rtol=1e-8)


def test_degrees_of_freedom_at_rank_zero(system):
    """Imbens and Kolesar's formula, written out for one coefficient."""
    X, Y = system
    for name, power in (("HC2", 0.5), ("HC1", 0.0), ("CR2", 0.5)):
        got = covariance(fit(Y, X, 0), name)
        x = X[2]
        H = x @ np.linalg.inv(x.T @ x) @ x.T
        a = np.linalg.solve(x.T @ x, x.T)[1]
        code = np.arange(N) if name[0] == "H" else np.arange(N) // 2
        D = np.equal.outer(np.unique(code), code) * a
        theta = D @ (np.eye(N) - H) @ D.T
        A = (np.diag(theta) / np.square(D).sum(axis=1)) ** -power
        theta = theta * np.outer(A, A)
        df = np.trace(theta) ** 2 / np.square(theta).sum()
        t = got.tvalues.iloc[2 * P + 1]
        assert got.pvalues.iloc[2 * P + 1] == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-6)
        alone = got.t_test(np.eye(K * P)[2 * P + 1])
        assert float(alone.df_denom) == pytest.approx(df, rel=1e-6)


@pytest.mark.parametrize("name", ROBUST)
def test_one_hypothesis_is_the_t_test(res, name):
    got = covariance(res, name)
    for row in (rows(1), rows(2)[:1] - rows(2)[1:]):
        t, f = got.t_test(row), got.f_test(row)
        assert float(f.fvalue) == pytest.approx(float(t.tvalue[0, 0]) ** 2)
        assert float(f.pvalue) == pytest.approx(float(t.pvalue))


@pytest.mark.parametrize("name", ROBUST)
def test_parts_agree(res, name):
    got = covariance(res, name)
    V = got.cov_params().to_numpy()
    np.testing.assert_allclose(np.sqrt(np.diag(V)), got.bse, rtol=1e-8)
    view = covariance(res, name).equations[res.model.equations[3]]
    own = V[9:12, 9:12]
    if name.startswith("two"):  # an equation's block is made positive semidefinite
        np.testing.assert_allclose(np.diag(view.cov_params()), np.diag(own), rtol=1e-8)
    else:
        np.testing.assert_allclose(view.cov_params(), own, rtol=1e-8, atol=1e-14)
    f = view.f_test(np.eye(P)[1:])
    assert float(f.fvalue) == pytest.approx(view.fvalue)
    assert float(f.pvalue) == pytest.approx(view.f_pvalue)
    assert np.isfinite([got.fvalue, got.f_pvalue]).all()
    if not name.startswith("two"):
        C = np.random.default_rng(0).standard_normal((2, K * P))
        np.testing.assert_allclose(got.cov_params(r_matrix=C), C @ V @ C.T, rtol=1e-8)


def test_methods_and_notes(res):
    R = rows(5)
    assert covariance(res, "HC1").f_test(R).method == "approximate Hotelling"
    few = res.get_robustcov_results("cluster", groups=np.arange(N) // 5).f_test(R)
    assert few.method == "Bonferroni"
    assert "6 clusters" in few.note
    assert few.note in str(few)
    single = res.get_robustcov_results("cluster", groups=np.arange(N) // 5).t_test(R).pvalue
    assert float(few.pvalue) == pytest.approx(min(1.0, 5 * float(np.min(single))))
    assert covariance(res, "two-way").f_test(R).method == "Bonferroni"
    hac = covariance(res, "HAC").f_test(R)
    assert hac.df_denom == N - P - 1 - 5 + 1
    V = covariance(res, "HAC").cov_params(r_matrix=R)
    b = R @ res.params.to_numpy()
    nu = N - P - 1
    assert hac.fvalue == pytest.approx(b @ np.linalg.solve(V, b) * (nu - 4) / (nu * 5))
    with_chi2 = covariance(res, "HC1").wald_test(R, use_f=False, scalar=True)
    assert with_chi2.distribution == "chi2"
    assert with_chi2.statistic == pytest.approx(
        b @ np.linalg.solve(covariance(res, "HC1").cov_params(r_matrix=R), b)
    )
    array = covariance(res, "HC1").wald_test(R, scalar=False)
    assert array.fvalue.shape == (1, 1)


def test_more_hypotheses_than_degrees_of_freedom():
    X, Y, _ = simulate(20, 30, P, 1, seed=1)
    res = fit(Y, X, 1)
    R = rows(20, 90)
    with pytest.raises(InsufficientRowsError, match="20 hypotheses.*16 degrees"):
        res.get_robustcov_results("HAC").f_test(R)
    for kind in ("sandwich", "HC1"):
        found = res.get_robustcov_results(kind).f_test(R)
        assert found.method == "Bonferroni"
        assert 0.0 <= found.pvalue <= 1.0


def test_hypotheses_that_follow_from_others(res):
    R = rows(3)
    got = covariance(res, "HC1")
    with pytest.warns(UserWarning, match="there are 4, and 3 say everything"):
        more = got.f_test(np.vstack([R, R[0] + R[1]]))
    assert float(more.fvalue) == pytest.approx(float(got.f_test(R).fvalue))
    assert more.df_num == 3


def test_nothing_depends_on_units(system):
    X, Y = system
    s = 10.0 ** np.arange(-6, 6, 2)
    R = rows(4)
    one, other = fit(Y, X, 1), fit(Y * s, [x * s[::-1][j] for j, x in enumerate(X)], 1)
    for name in ("HC1", "CR2", "sandwich"):
        a, b = covariance(one, name).f_test(R), covariance(other, name).f_test(R)
        assert float(a.fvalue) == pytest.approx(float(b.fvalue), rel=1e-4)
        assert a.df_denom == pytest.approx(b.df_denom, rel=1e-4)


class TestEqualDesigns:
    """With one design for all equations Hotelling's T2 is exact."""

    @pytest.fixture
    def made(self):
        rng = np.random.default_rng(0)
        X = np.column_stack([np.ones(40), rng.standard_normal((40, 2))])
        Sigma = 0.9 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
        Y = (
            X @ rng.standard_normal((3, 8))
            + rng.standard_normal((40, 8)) @ np.linalg.cholesky(Sigma).T
        )
        return X, Y

    def hotelling(self, X, Y, k):
        B, E = np.linalg.lstsq(X, Y, rcond=None)[0], None
        E = Y - X @ B
        nu, m = len(X) - X.shape[1], Y.shape[1]
        T2 = B[k] @ np.linalg.solve(E.T @ E / nu, B[k]) / np.linalg.inv(X.T @ X)[k, k]
        return T2 * (nu - m + 1) / (nu * m), nu - m + 1

    def test_sandwich(self, made):
        X, Y = made
        got = fit(Y, X, 1).get_robustcov_results("sandwich").f_test(rows(8, 24))
        F, df = self.hotelling(X, Y, 1)
        assert got.fvalue == pytest.approx(F)
        assert (got.df_num, got.df_denom) == (8, pytest.approx(df))
        assert "exact" in got.note

    def test_the_default_where_the_rank_is_too_low(self, made):
        X, Y = made
        res = fit(Y, X, 1)
        got = res.test_across(res.model.labels.regressors[0][1])
        assert res.diagnostics().table.loc["factors left", "verdict"] == "look"
        assert got.fvalue == pytest.approx(self.hotelling(X, Y, 1)[0])
        assert "still correlated after 1 factors" in got.note
        inside = res.f_test(np.eye(24)[1:3])
        assert (inside.method, inside.note) == ("F", "")

    def test_the_default_where_it_is_right(self):
        X, Y, _ = simulate(100, 8, 2, 1, seed=3)
        res = fit(Y, X, 1)
        R = np.eye(16)[1::2]
        V, b = res.cov_params(r_matrix=R), R @ res.params.to_numpy()
        got = res.f_test(R)
        assert (got.method, got.note) == ("F", "")
        assert got.fvalue == pytest.approx(b @ np.linalg.solve(V, b) / 8)


@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("kind", ["holes", "weights", "common", "some common", "ridge"])
def test_holes_weights_and_restrictions(system, name, kind):
    """Numbers, or one error that says why; never NaN."""
    X, Y = system
    kwds = {}
    if kind == "holes":
        Y, kwds = Y.copy(), {"missing": "fiml"}
        Y[np.random.default_rng(0).random(Y.shape) < 0.1] = np.nan
    if kind == "weights":
        kwds = {"weights": np.random.default_rng(0).uniform(0.5, 2.0, (N, K))}
    if "common" in kind:
        kwds = {"common": True if kind == "common" else ["x1"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LowRankSUR(Y, X, rank=1, **kwds)
        res = model.fit(n_starts=1, **({"lam_B": 0.1} if kind == "ridge" else {}))
    if kind == "holes" and name == "sandwich":
        with pytest.raises(OptionError, match="missing cells"):
            covariance(res, name)
        return
    got = covariance(res, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=CovarianceWarning)  # two-way CR1
        assert np.isfinite(got.bse).all()
    assert np.isfinite(got.pvalues).all()
    assert np.isfinite(got.conf_int()).all(axis=None)
    R = rows(2)
    if "common" in kind:
        # A shared coefficient, and where there is one an own coefficient of two equations.
        R = np.eye(len(got.params))[1:3] if kind == "common" else np.eye(len(got.params))[[0, 2, P]]
        assert [n for n in model.exog_names if n.endswith("x1")] == ["x1"]
    found = got.f_test(R)
    assert np.isfinite([float(found.fvalue), float(found.pvalue)]).all()
    assert 0.0 <= float(found.pvalue) <= 1.0


class TestTwoWay:
    def test_never_nan(self):
        """A random 5 x 4 grouping has a negative variance somewhere in most draws."""
        X, Y, _ = simulate(40, 6, P, 1, seed=2)
        res = fit(Y, X, 1)
        seen = 0
        for seed in range(10):
            rng = np.random.default_rng(seed)
            groups = np.column_stack([rng.integers(0, 5, 40), rng.integers(0, 4, 40)])
            for correction in ("CR1", "CR2"):
                got = res.get_robustcov_results("cluster", groups=groups, correction=correction)
                negative = operator_of(got.estimate).negative
                seen += negative.any()
                if negative.any():
                    with pytest.warns(CovarianceWarning, match="not positive for"):
                        assert (got.bse > 0.0).all()
                assert (got.bse > 0.0).all()
                assert np.isfinite(got.pvalues).all()
                assert np.isfinite(got.get_prediction().se_mean).all(axis=None)
        assert seen

    def test_what_stands_for_it(self, res):
        groups = ROBUST["two-way"]["groups"]
        both = groups[:, 0] * 5 + groups[:, 1]
        a, b, ab = (
            res.get_robustcov_results("cluster", groups=g)
            for g in (groups[:, 0], groups[:, 1], both)
        )
        got = covariance(res, "two-way")
        raw = a.bse**2 + b.bse**2 - ab.bse**2
        expected = np.where(raw > 0.0, raw, np.maximum(a.bse**2, b.bse**2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CovarianceWarning)
            np.testing.assert_allclose(got.bse**2, expected, rtol=1e-10)
        fewest = np.minimum(df_coefficients(a.estimate), df_coefficients(b.estimate))
        np.testing.assert_allclose(df_coefficients(got.estimate), fewest)
        for j in range(K):
            assert np.linalg.eigvalsh(operator_of(got.estimate).block(j))[0] > -1e-12


def test_a_coefficient_of_one_group_is_named():
    X, Y, _ = simulate(24, 4, 2, 1, seed=2)
    X = [np.column_stack([x, np.arange(24) < 4]) for x in X]
    got = fit(Y, X, 1).get_robustcov_results("HC3")
    assert np.isfinite(got.bse).all()
    X = [np.column_stack([x[:, :2], np.arange(24) == 4]) for x in X]
    got = fit(Y, X, 1).get_robustcov_results("HC2")
    with pytest.warns(CovarianceWarning, match="alone determine"):
        assert np.isfinite(got.bse).all()


@pytest.mark.parametrize(
    ("kwds", "message"),
    [
        ({"correction": "CR9"}, "'CR0', 'CR1', 'CR2', 'CR3'; got 'CR9'"),
        ({"correction": "CR2", "use_correction": False}, "leave one out"),
        ({"use_correction": "no"}, "True or False"),
    ],
)
def test_options(res, kwds, message):
    with pytest.raises(OptionError, match=message):
        res.get_robustcov_results("cluster", groups=np.arange(N) // 5, **kwds)


def test_use_correction_is_the_name_of_others(res):
    groups = np.arange(N) // 5
    for flag, name in ((True, "CR1"), (False, "CR0")):
        one = res.get_robustcov_results("cluster", groups=groups, use_correction=flag)
        other = res.get_robustcov_results("cluster", groups=groups, correction=name)
        np.testing.assert_array_equal(one.bse, other.bse)


@pytest.mark.slow
def test_large_systems_never_form_p_by_p():
    """P = 3,000 and N = 60: a P x P array is 72 MB."""
    import tracemalloc

    X, Y, _ = simulate(60, 1500, 2, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1, cov_type="HC2")
    tracemalloc.start()
    assert np.isfinite(res.pvalues).all()
    res.f_test(np.eye(4, 3000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 36e6


# -- hypotheses that are odd, under every covariance ---------------------------------------------


@pytest.mark.parametrize("use_t", [True, False])
@pytest.mark.parametrize("name", [*ROBUST, "nonrobust"])
def test_a_hypothesis_about_no_coefficient_is_named(res, name, use_t):
    found = res if name == "nonrobust" else covariance(res, name)
    R = rows(2)
    R[1] = 0.0
    with pytest.raises(RestrictionError, match="hypothesis 2 of 2 is about no coefficient.*0 = 3"):
        found.wald_test((R, [0.0, 3.0]), use_f=use_t)


def test_hypotheses_that_contradict_each_other(res):
    R = rows(2)
    three = np.vstack([R, R[0] - 2.0 * R[1]])
    with pytest.warns(UserWarning, match="follow from others"):
        agree = res.wald_test((three, [1.0, 2.0, -3.0]))
    assert agree.fvalue == pytest.approx(res.wald_test((R, [1.0, 2.0])).fvalue, rel=1e-8)
    with (
        pytest.warns(UserWarning, match="follow from others"),
        pytest.raises(RestrictionError, match=r"contradict each other: what number \d of 3"),
    ):
        res.wald_test((three, [1.0, 2.0, -3.1]))


@pytest.mark.parametrize("name", [*ROBUST, "nonrobust"])
def test_hypotheses_that_nearly_say_the_same(res, name):
    """A test is of the hyperplane that hypotheses span, whatever rows span it."""
    found = res if name == "nonrobust" else covariance(res, name)
    R = rows(2)
    near = np.vstack([R[0], R[0] + 1e-7 * R[1]])
    one, other = found.wald_test((R, [0.1, 0.2])), found.wald_test((near, [0.1, 0.1 + 2e-8]))
    assert one.method == other.method
    if one.method != "Bonferroni":  # of each row, so that rows matter
        # The second row holds 7 digits of the second hypothesis.
        np.testing.assert_allclose(other.fvalue, one.fvalue, rtol=1e-5)
        np.testing.assert_allclose(other.df_denom, one.df_denom, rtol=1e-5)


@pytest.mark.parametrize("name", [*ROBUST, "nonrobust"])
def test_a_hypothesis_as_wrong_as_one_likes(res, name):
    found = res if name == "nonrobust" else covariance(res, name)
    for m in (1, 2):
        test = found.wald_test((rows(m), np.full(m, 1e300)))
        assert test.pvalue == 0.0


def test_panel_corrected_errors_of_more_hypotheses_than_rows():
    """E'E is singular where K > N, and so is the covariance of as many combinations."""
    X, Y, _ = simulate(24, 60, 3, 1, seed=0)
    wide = fit(Y, X, 0)
    found = wide.get_robustcov_results("pcse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = found.wald_test(np.eye(180))
    assert test.method == "Bonferroni"
    assert 0.0 <= test.pvalue <= 1.0


def test_panel_corrected_errors_are_refused_at_once(res):
    with pytest.raises(OptionError, match="this fit has rank 1"):
        res.get_robustcov_results("pcse")


def test_robust_errors_of_a_ridge_without_factors():
    """Without factors nothing ties equations, but the ridge makes H other than diagonal."""
    X, Y, _ = simulate(N, 4, P, 1, seed=2)
    res = LowRankSUR(Y, X, rank=0).fit(lam_B=0.5, debiased=False, use_t=False)
    found = res.get_robustcov_results("sandwich")
    inverse = np.asarray(res.estimate.sample.problem.covariance(res.sigma).dense())
    E, d = np.asarray(res.resid), res.sigma.diag()
    S = E.T @ E / N
    meat = np.block([[X[j].T @ X[m] * S[j, m] / (d[j] * d[m]) for m in range(4)] for j in range(4)])
    np.testing.assert_allclose(found.cov_params(), inverse @ meat @ inverse, rtol=1e-6, atol=1e-12)
    assert np.isfinite(found.wald_test(np.eye(4 * P)[:2]).pvalue)
