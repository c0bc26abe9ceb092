"""Inference about coefficients is a function of a `Fitted`: of one equation as of a system."""

import io
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls.exceptions import (
    DataRemovedError,
    OptionError,
    RestrictionError,
    UnknownAttributeError,
)
from sm_alsgls.results import coefficients
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.dense_covariance import DenseCovariance
from sm_alsgls.results.hypotheses import wald_test
from sm_alsgls.results.parameter_covariance import Found
from tests.worked.coefficients import GroupwiseLS, Satterthwaite

NAMES = ["const", "x", "I(x ** 2)"]


def parts(seed=0, sizes=(12, 30, 9), scales=(1.0, 3.0, 0.4)):
    rng = np.random.default_rng(seed)
    made = []
    for n, scale in zip(sizes, scales, strict=True):
        x = rng.standard_normal(n)
        X = np.column_stack([np.ones(n), x, x**2])
        made.append((X, X @ [1.0, 2.0, -0.5] + scale * rng.standard_normal(n)))
    return made


def fit(data, names=NAMES, made=None):
    """The worked example of arrays of each group, with other covariances where they are given."""
    X = pd.DataFrame(np.concatenate([X for X, _ in data]), columns=names)
    y = np.concatenate([y for _, y in data])
    groups = np.repeat(np.arange(len(data)), [len(y) for _, y in data])
    res = GroupwiseLS(y, X, groups=groups).fit()
    if made is None:
        return res
    own = covariance(res.estimate).parts
    estimate = replace(res.estimate, covariances=lambda fitted, chosen: made(own), known={})
    return type(res)(type(res._results)(res.model, estimate))


@pytest.fixture
def res():
    return fit(parts())


def dense(data):
    """b, V and the matrices of Satterthwaite's df, with nothing of the package."""
    X, y = np.concatenate([X for X, _ in data]), np.concatenate([y for _, y in data])
    s2, nu = [], []
    for Xg, yg in data:
        H = Xg @ np.linalg.pinv(Xg)
        nu.append(len(yg) - round(np.trace(H)))
        s2.append(yg @ (np.eye(len(yg)) - H) @ yg / nu[-1])
    sizes = [len(y) for _, y in data]
    W = np.diag(np.repeat(1.0 / np.array(s2), sizes))
    V = np.linalg.inv(X.T @ W @ X)
    return V @ X.T @ W @ y, V, np.array(s2), np.array(nu), X, sizes


def dense_df(data, row, h=1e-6):
    """2 Var(r'b)^2 / Var(Var-hat(r'b)), the derivatives in s_g^2 by differences."""
    _, V, s2, nu, X, sizes = dense(data)

    def variance(at):
        return row @ np.linalg.inv(X.T / np.repeat(at, sizes) @ X) @ row

    slope = []
    for g in range(len(s2)):
        step = np.zeros(len(s2))
        step[g] = h * s2[g]
        slope.append((variance(s2 + step) - variance(s2 - step)) / (2.0 * step[g]))
    return 2.0 * (row @ V @ row) ** 2 / (np.square(slope) @ (2.0 * s2**2 / nu))


def test_numbers_are_those_of_dense_algebra(res):
    b, V, *_ = dense(parts())
    np.testing.assert_allclose(res.params, b, rtol=1e-10)
    np.testing.assert_allclose(res.cov_params(), V, rtol=1e-10)
    np.testing.assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-10)
    df = np.array([dense_df(parts(), row) for row in np.eye(3)])
    np.testing.assert_allclose(res.pvalues, 2 * stats.t.sf(abs(b / res.bse), df), rtol=1e-6)
    half = stats.t.ppf(0.95, df) * np.sqrt(np.diag(V))
    np.testing.assert_allclose(res.conf_int(0.1), np.column_stack([b - half, b + half]), rtol=1e-8)
    assert (res.nobs, res.df_model, res.df_resid, res.df_resid_inference) == (51, 3, 48.0, 48.0)
    assert (res.cov_type, res.use_t) == ("own", True)
    assert res.cov_kwds["description"] == ""


def test_arrays_are_labelled(res):
    for one in (res.params, res.bse, res.tvalues, res.pvalues, res.conf_int(), res.cov_params()):
        assert list(one.index) == NAMES
    assert res.conf_int(cols=["x"]).index.tolist() == ["x"]
    assert res.cov_params(column=["x", "const"]).index.tolist() == ["x", "const"]


def test_a_combination_has_degrees_of_freedom_of_its_own(res):
    row = np.array([1.0, -1.0, 2.0])
    tested = res.t_test("const - x + 2 * I(x ** 2) = 0.5")
    b, V, *_ = dense(parts())
    df = dense_df(parts(), row)
    assert tested.df_denom == pytest.approx(df, rel=1e-7)
    t = (row @ b - 0.5) / np.sqrt(row @ V @ row)
    assert tested.tvalue.item() == pytest.approx(t, rel=1e-9)
    assert tested.pvalue.item() == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-7)
    one = res.wald_test((row, 0.5), scalar=True)
    assert (one.df_num, one.df_denom) == (1.0, pytest.approx(df, rel=1e-7))
    assert one.fvalue == pytest.approx(t**2, rel=1e-9)
    ratio = res.nlcom({"sum": lambda b: b["const"] - b["x"] + 2 * b["I(x ** 2)"]})
    assert ratio.df["sum"] == pytest.approx(df, rel=1e-6)
    assert ratio.test(0.5).fvalue == pytest.approx(t**2, rel=1e-6)
    assert res.delta_method("x / const").bse.iloc[0] > 0.0
    several = res.t_test(np.array([row, [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(several.df_denom, [df, dense_df(parts(), np.eye(3)[1])], rtol=1e-6)


def test_two_means_are_welchs_test():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(7), 1.0 + 4.0 * rng.standard_normal(19)
    found = fit([(np.tile([1.0, 0.0], (7, 1)), a), (np.tile([0.0, 1.0], (19, 1)), b)], ["a", "b"])
    ours, theirs = found.t_test("a = b"), stats.ttest_ind(a, b, equal_var=False)
    assert ours.df_denom == pytest.approx(theirs.df, rel=1e-10)
    assert ours.pvalue.item() == pytest.approx(theirs.pvalue, rel=1e-10)


def test_joint_tests_have_fai_and_cornelius_denominator(res):
    """By eigenvectors of the covariance of what is tested, as it is written, as lmerTest has it."""
    b, V, *_ = dense(parts())
    _, vectors = np.linalg.eigh(V[1:, 1:])
    rows = np.column_stack([np.zeros(2), vectors.T])
    nu = np.array([dense_df(parts(), row) for row in rows])
    E = (nu / (nu - 2.0)).sum()
    test = res.f_test("x = 0, I(x ** 2) = 0")
    assert test.df_num == 2.0
    assert test.df_denom == pytest.approx(2.0 * E / (E - 2.0), rel=1e-6)
    assert float(test.fvalue) == pytest.approx(b[1:] @ np.linalg.solve(V[1:, 1:], b[1:]) / 2)
    # Hypotheses that say the same in other words have the same F, and eigenvectors of their own.
    R = np.array([[0.0, 5.0, 5e3], [0.0, 1.0, -7.0]])
    again = res.f_test(R)
    assert float(again.fvalue) == pytest.approx(float(test.fvalue), rel=1e-8)
    rows = np.linalg.eigh(R @ V @ R.T)[1].T @ R
    nu = np.array([dense_df(parts(), row) for row in rows])
    E = (nu / (nu - 2.0)).sum()
    assert again.df_denom == pytest.approx(2.0 * E / (E - 2.0), rel=1e-6)
    chi2 = res.wald_test("x = 0, I(x ** 2) = 0", use_f=False, scalar=True)
    assert chi2.statistic == pytest.approx(2.0 * float(test.fvalue))


class Degrees(Satterthwaite):
    """With given degrees of freedom of everything."""

    given = 5.0

    def df(self, R):
        return self.given + np.arange(len(R)) * self.apart

    apart = 0.0


@pytest.mark.parametrize(
    ("given", "apart", "denominator"),
    [(5.0, 0.0, 5.0), (1.5, 4.0, 1.5), (2.0, 4.0, 2.0), (3.0, 3.0, None)],
)
def test_few_degrees_of_freedom_have_no_mean(given, apart, denominator):
    def made(parts):
        V = Degrees(parts)
        V.given, V.apart = given, apart
        return V

    if denominator is None:
        E = 3.0 / 1.0 + 6.0 / 4.0
        denominator = 2.0 * E / (E - 2.0)
    found = fit(parts(), made=made).f_test(np.eye(3)[1:])
    assert found.df_denom == pytest.approx(denominator, rel=1e-12)


class Scaled(Satterthwaite):
    """A joint test of its own: half the Wald F with 7 degrees of freedom."""

    def joint(self, R, gap):
        F = gap @ np.linalg.solve(self.combinations(R), gap) / len(gap)
        return 0.5 * F, float(len(gap)), 7.0, "scaled F", "half of it"


def test_a_covariance_may_make_its_own_joint_test(res):
    scaled = fit(parts(), made=Scaled)
    hypotheses = "x = 1, const = x"
    plain, own = res.wald_test(hypotheses), scaled.wald_test(hypotheses, scalar=True)
    assert own.fvalue == pytest.approx(0.5 * plain.fvalue, rel=1e-9)
    assert (own.df_num, own.df_denom, own.method) == (2.0, 7.0, "scaled F")
    assert own.pvalue == pytest.approx(stats.f.sf(own.fvalue, 2, 7))
    assert "scaled F, 2 hypotheses" in own.summary()
    assert "half of it" in own.summary()
    # One hypothesis is a t test.
    one = scaled.wald_test("x = 1")
    assert one.df_denom == scaled.t_test("x = 1").df_denom
    assert one.method == "F"


def test_a_covariance_without_degrees_has_the_estimates(res):
    plain = res.get_robustcov_results("plain")
    assert plain.cov_type == "plain"
    assert type(plain) is type(res)
    np.testing.assert_array_equal(plain.bse, res.bse)
    assert plain.t_test("x = const").df_denom == 48.0
    test = plain.wald_test("x = 1, const = x")
    assert (test.df_denom, test.method) == (48.0, "F")
    given = plain.estimate.with_covariance(CovarianceChoice("plain", {}, "", df=4.0), True)
    assert coefficients.df_coefficients(given).tolist() == [4.0] * 3
    assert wald_test(given, np.eye(3)[:2]).df_denom == 4.0
    normal = res.get_robustcov_results("own", use_t=False)
    np.testing.assert_allclose(normal.pvalues, 2 * stats.norm.sf(abs(res.tvalues)))
    with pytest.raises(OptionError, match="cov_type"):
        res.get_robustcov_results("HC1")


def test_a_table(res):
    table = res.tidy(alpha=0.1)
    assert list(table.columns) == [
        "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
    ]  # fmt: skip
    assert table["term"].tolist() == NAMES
    np.testing.assert_array_equal(table["conf_low"], res.conf_int(0.1)[0])


def test_bad_input_is_told_as_of_systems(res):
    with pytest.raises(RestrictionError, match="no coefficient is called 'z'"):
        res.t_test("z = 0")
    with pytest.raises(OptionError, match="no coefficient is called 'y'"):
        res.cov_params(column="y")
    with pytest.raises(UnknownAttributeError, match="use bse"):
        _ = res._results.std_errors
    assert not hasattr(res._results, "sigma")
    with pytest.raises(FrozenInstanceError):
        res.estimate.params = None


def test_what_is_saved_comes_back(res, tmp_path):
    path = tmp_path / "res.pickle"
    res.save(path)
    again = type(res).load(path)
    for one in (again, pickle.loads(pickle.dumps(res))):
        np.testing.assert_array_equal(one.bse, res.bse)
        assert one.f_test(np.eye(3)[1:]).df_denom == res.f_test(np.eye(3)[1:]).df_denom


def test_without_data_coefficients_are_there(res):
    before = res.t_test("x"), res.pvalues, res.cov_params()
    file = io.BytesIO()
    res.save(file, remove_data=True)
    file.seek(0)
    again = type(res).load(file)
    assert again.t_test("x").pvalue == before[0].pvalue
    np.testing.assert_array_equal(again.pvalues, before[1])
    np.testing.assert_array_equal(again.cov_params(), before[2])
    for refused in (again.t_test, again.f_test):
        with pytest.raises(DataRemovedError, match="own"):
            refused("x = const, x = 0" if refused == again.f_test else "x = const")
    assert again.t_test("x = const", use_t=False).pvalue > 0.0
    again.remove_data()
    np.testing.assert_array_equal(again.pvalues, before[1])


class Products(Satterthwaite):
    """Holds no rows, and says so."""

    def without_data(self):
        return self


def test_a_covariance_without_rows_outlives_the_data():
    res = fit(parts(), made=Products)
    before = res.f_test(np.eye(3)[1:])
    res.remove_data()
    assert res.f_test(np.eye(3)[1:]).df_denom == before.df_denom
    assert res.t_test("x = const").df_denom == fit(parts()).t_test("x = const").df_denom


def test_options_with_rows_go_with_the_data(res):
    choice = CovarianceChoice("own", {"groups": np.zeros(51), "least": 3}, "")
    kept = replace(res.estimate, choice=choice).without_data().choice.kwds
    assert kept["least"] == 3
    with pytest.raises(DataRemovedError):
        len(kept["groups"])


def test_an_estimate_may_have_joint_tests_of_its_own(res):
    """As systems have, whose covariances say nothing of them; a covariance's own comes first."""

    def joint(estimate, R, q):
        return Found(3.0, float(len(R)), 11.0, "of the estimate", "", len(R))

    def tested(made):
        return wald_test(replace(made, joint=joint, known={}), np.eye(3)[:2], scalar=True)

    found = tested(res.estimate)
    assert (found.fvalue, found.df_denom, found.method) == (3.0, 11.0, "of the estimate")
    assert tested(fit(parts(), made=Scaled).estimate).method == "scaled F"
    assert wald_test(replace(res.estimate, joint=joint), np.eye(3)[:1]).method == "F"


def test_a_dense_covariance_is_a_copy_of_its_own():
    V = np.array([[2.0, 1.0], [1.0, 3.0]])
    made, R = DenseCovariance(V), np.array([[1.0, -1.0], [0.5, 2.0]])
    for seen in (made.dense(), made.block(0), np.asarray(made), made.variances()):
        seen[...] = 0.0
    np.testing.assert_array_equal(made.dense(), V)
    np.testing.assert_allclose(made.combinations(R, R[:1]), R @ V @ R[:1].T)
    assert made.shape == (2, 2)
