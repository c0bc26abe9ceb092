"""Methods of results where errors follow laws: against other fits, dense twins, or refused."""

import functools
import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankPanel, diagnostics
from sm_alsgls.exceptions import NotApplicableError, OptionError
from sm_alsgls.rank import select_rank
from tests.results.laws.fits import (
    CASES,
    LAWS,
    W,
    data_of,
    fitted,
    neighbours,
    new_data,
    twin,
    values,
)

COMPLETE = [name for name in LAWS if not CASES[name].holes]
UNITS = [name for name in LAWS if CASES[name].units]


def fit(name, rank=1, *, own=None, **options):
    """The same with other arguments; the maximum of the likelihood. Made once, changed by none."""
    if own is None:
        own = [] if CASES[name].units else ["x"]
    return _fit(name, rank, own if own is True else tuple(own), **options)


@functools.cache
def _fit(name, rank, own, **options):
    case = CASES[name]
    return LowRankPanel.from_formula(
        "y ~ x", data_of(case.units, case.holes), rank, entity="entity", time="year",
        independent="entity" if case.units else "time",
        heterogeneous=own if own is True else list(own), **case.laws,
    ).fit(reml=False, **options)  # fmt: skip


# -- what there is of every law -------------------------------------------------------------------

#: Arguments of methods that need some.
ARGUMENTS = {
    "t_test": ("Intercept = 0",),
    "wald_test": ("Intercept = 0",),
    "f_test": ("Intercept = 0",),
    "nlcom": ("Intercept**2",),
    "delta_method": ("Intercept**2",),
    "test_across": ("x",),
    "get_robustcov_results": ("HC1",),
    "plot_coefficients": ("x",),
}
#: Who change things, compare two, draw, or are of another kind of model; test_persistence.py draws
#: replicates of laws together, test_bootstrap.py rows of each.
ELSEWHERE = {
    "remove_data", "save", "load", "compare_lr", "forecast", "initialize", "predict", "plot_fit",
    "bootstrap", "t_test_pairwise", "restriction_tests", "law_tests", "law_intervals",
    "wrapper",
}  # fmt: skip


def of_all(results):
    """Public names of results that are methods without required arguments, or have some here."""
    for name in dir(type(results)):
        if name.startswith("_") or name in ELSEWHERE:
            continue
        value = inspect.getattr_static(type(results), name)
        if isinstance(value, property) or not callable(value):
            yield name, lambda name=name: getattr(results, name)
            continue
        required = [
            p for p in list(inspect.signature(value).parameters.values())[1:]
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]  # fmt: skip
        if not required or name in ARGUMENTS:
            yield name, lambda name=name: getattr(results, name)(*ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("name", LAWS)
def test_every_method_answers_or_explains(name):
    import matplotlib.pyplot as plt

    res = fitted(name)
    tried = 0
    for results in (res._results, res.equations[res.model.equations[0]]):
        for method, call in of_all(results):
            tried += 1
            said = ""
            try:
                call()
            except (NotApplicableError, OptionError, AttributeError, NotImplementedError) as error:
                said = str(error)
            assert not said or len(said) > 20, method
            plt.close("all")
    assert tried > 100


@pytest.mark.parametrize("name", COMPLETE)
def test_augment_is_of_innovations(name):
    res = fitted(name)
    n, k = res.resid.shape
    table = res.augment()
    Sigma = res.sigma.to_dense()
    U = table["std_resid"].to_numpy().reshape(k, n).T * np.sqrt(np.diagonal(Sigma))
    away = (res.model.endog - res.predict().to_numpy()).ravel()
    expected = away @ np.linalg.solve(twin(name)[0], away)
    assert np.einsum("nk,nk->", U @ np.linalg.inv(Sigma), U) == pytest.approx(expected, rel=1e-8)
    P = np.linalg.inv(Sigma)
    unique = (U @ P) * np.sqrt(res.sigma.uniquenesses)
    np.testing.assert_allclose(table["unique_resid"].to_numpy().reshape(k, n).T, unique, rtol=1e-8)


@pytest.mark.parametrize("name", LAWS)
def test_augment_of_new_rows_is_by_the_row_alone(name):
    res, data = fitted(name), new_data(name)
    table = res.augment(data)
    variance = res.get_prediction(data).var_resid.to_numpy()
    c = np.square(res.estimate.df.correction)
    each = pd.Series(c, res.model.equations)[table["equation"]].to_numpy()
    np.testing.assert_allclose(
        table["std_resid"], table["resid"] / np.sqrt(variance / each), rtol=1e-10
    )
    assert table["unique_resid"].isna().all()


# -- likelihood ratios ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ar", "row_scale", "cell_scale", "error", "lag", "ar, holes"])
def test_compare_lr_of_a_law(name):
    with_law = fit(name)
    case = CASES[name]
    plain = LowRankPanel.from_formula(
        "y ~ x", data_of(False, case.holes), 1, entity="entity", time="year", independent="time",
        heterogeneous=["x"],
    ).fit()  # fmt: skip
    found = with_law.compare_lr(plain, debiased=False)
    assert found.df_diff == 1
    assert found.statistic == pytest.approx(2 * (with_law.llf - plain.llf))
    assert found.statistic > 0
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, 1))
    with pytest.raises(OptionError):
        plain.compare_lr(with_law)


def test_compare_lr_of_one_coefficient_against_many():
    common, each = fit("ar"), fit("each")
    found = each.compare_lr(common, debiased=False)
    assert found.df_diff == 4
    assert found.statistic == pytest.approx(2 * (each.llf - common.llf))
    assert found.statistic >= 0
    with pytest.raises(OptionError, match="reml=False"):
        fitted("each").compare_lr(common)
    everything = fit("all")
    assert everything.compare_lr(fit("lag")).df_diff == 3
    assert everything.compare_lr(common).df_diff == 3


def test_compare_lr_refuses_laws_that_are_not_nested():
    everything = fit("all")
    for name, said in (("cell_scale", "variables"), ("each, cells, lag", "larger of the two")):
        with pytest.raises(OptionError, match=said):
            everything.compare_lr(fit(name))
    with pytest.raises(OptionError, match="has spatial_error="):
        fit("each, cells, lag").compare_lr(fit("error"))
    other = LowRankPanel.from_formula(
        "y ~ x", data_of(False, False), 1, entity="entity", time="year", independent="time",
        heterogeneous=["x"], spatial_lag=neighbours(list(W.index), 7),
    ).fit()  # fmt: skip
    with pytest.raises(OptionError, match="other neighbours"):
        everything.compare_lr(other)


@pytest.mark.parametrize("name", ["ar", "cell_scale", "error", "lag", "all", "ar, holes"])
@pytest.mark.slow
def test_restriction_tests_estimate_the_laws_as_well(name):
    free = fit(name, own=True)
    names = [n for n in free.params.index if n.endswith("_x")]
    said = [f"{names[0]} = {names[1]}", f"{names[2]} = 1"]
    restricted = free.model.fit_constrained(said, reml=False, debiased=False)
    plain = free.model.fit(reml=False, debiased=False)
    found = restricted.restriction_tests()
    lr = 2 * (plain.llf - restricted.llf)
    assert found.loc["LR", "statistic"] == pytest.approx(lr, rel=1e-4, abs=1e-4)
    wald = plain.wald_test(said, use_f=False, scalar=True).statistic
    assert found.loc["Wald", "statistic"] == pytest.approx(float(wald), rel=1e-4)
    again = restricted.restriction_tests(plain)
    np.testing.assert_allclose(again["statistic"], found["statistic"], rtol=1e-3)
    # All three are of one order.
    assert np.ptp(np.log(found["statistic"])) < 0.5


@pytest.mark.parametrize("name", ["ar", "cell_scale", "error", "units, error"])
def test_the_score_test_is_that_of_all_cells(name):
    res = fit(name, own=[] if CASES[name].units else ["x"])
    said = "x = 1" if CASES[name].units else "u0_x = 1"
    restricted = res.model.fit_constrained(said, reml=False, debiased=False)
    found = restricted.restriction_tests().loc["score", "statistic"]
    n, k = restricted.resid.shape
    from tests.results.laws import fits

    original, fits.fitted = fits.fitted, lambda *_: restricted
    try:
        Omega = fits.twin(name)[0]
    finally:
        fits.fitted = original
    # Designs of each equation's own, which common= ties as well.
    blocks = restricted.model.exog
    X = np.zeros((n, k, sum(x.shape[1] for x in blocks)))
    start = 0
    for j, x in enumerate(blocks):
        X[:, j, start : start + x.shape[1]] = x
        start += x.shape[1]
    X = X.reshape(n * k, -1)
    e = restricted.resid.to_numpy().ravel()
    u = X.T @ np.linalg.solve(Omega, e)
    H = X.T @ np.linalg.solve(Omega, X)
    assert found == pytest.approx(u @ np.linalg.solve(H, u), rel=1e-7)


# -- tests of Sigma -------------------------------------------------------------------------------


def of_any_sigma(name):
    """Sigma unrestricted, which holds spatial errors among its equations."""
    if name != "error":
        return fit(name, "full")
    return LowRankPanel.from_formula(
        "y ~ x", data_of(False, False), "full", entity="entity", time="year", heterogeneous=["x"]
    ).fit(reml=False)


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
@pytest.mark.parametrize("name", ["ar", "each", "cell_scale", "error", "lag", "units, all"])
@pytest.mark.slow
def test_tests_of_the_rank_compare_maxima(name):
    one = fitted(name)
    nll = fit(name)
    larger = fit(name, 2)
    found = diagnostics.rank_test(one)
    assert found.statistic == pytest.approx(2 * (larger.llf - nll.llf), abs=2e-3)
    full = of_any_sigma(name)
    found = diagnostics.sufficiency_test(one, correction=False)
    assert found.df == full.df_model - nll.df_model
    assert found.statistic == pytest.approx(2 * (full.llf - nll.llf), abs=2e-3)
    near = diagnostics.sufficiency_test(one, "residuals", correction=False).statistic
    assert 0 < near < found.statistic + 1e-6
    none = fit(name, 0)
    found = diagnostics.diagonality_test(one, "lr")
    assert found.statistic == pytest.approx(2 * (nll.llf - none.llf), abs=2e-3)
    assert found.df == one.neqs


@pytest.mark.slow
def test_draws_of_likelihood_ratios_estimate_the_laws():
    res = fitted("error")
    assert 0.0 < diagnostics.rank_test(res, reps=3).pvalue <= 1.0
    assert diagnostics.diagonality_test(res, "lr", reps=3).pvalue == pytest.approx(1 / 4)
    with pytest.raises(NotApplicableError, match="neighbours"):
        diagnostics.diagonality_test(res)
    # Of rows that filters leave.
    assert diagnostics.diagonality_test(fitted("all"), "lr").pvalue < 0.05
    assert diagnostics.diagonality_test(fitted("ar"), "lm_robust", reps=19).pvalue <= 0.1


@pytest.mark.parametrize("name", [*UNITS, "ar", "lag"])
def test_random_effects_are_tested_beside_the_laws(name):
    res, equal = fitted(name), fit(name, "exchangeable")
    table = res.random_effects_test().table
    assert table.loc["lr", "statistic"] == pytest.approx(2 * (fit(name).llf - equal.llf), abs=2e-3)
    assert table.loc["lr", "df"] == 2 * res.neqs - 2
    again = equal.random_effects_test().table
    np.testing.assert_allclose(again.loc["lr"], table.loc["lr"], atol=4e-3)


@pytest.mark.parametrize("name", ["ar", "row_scale", "error", "all"])
def test_exogeneity_is_the_score_of_all_cells(name):
    res = fitted(name)
    n, k = res.resid.shape
    F, Sigma = res.sigma.loadings, res.sigma.to_dense()
    if "spatial_error" in CASES[name].laws:
        F = np.linalg.solve(np.eye(k) - values(res)["spatial_error"] * W.to_numpy(), F)
    xbar = np.mean([x[:, 1] for x in res.model.exog], axis=0)
    Z = np.kron((xbar - xbar.mean())[:, None], F)
    Omega, A = twin(name)
    Omega = np.linalg.solve(A, np.linalg.solve(A, Omega).T)
    blocks = res.model.exog
    X = np.zeros((n, k, 2 * k))
    for j, x in enumerate(blocks):
        X[:, j, 2 * j : 2 * j + 2] = x
    X = res.estimate.labels.gather(X.reshape(n * k, -1))
    e = res.resid.to_numpy().ravel()
    H = X.T @ np.linalg.solve(Omega, X)
    cross = X.T @ np.linalg.solve(Omega, Z)
    V = Z.T @ np.linalg.solve(Omega, Z) - cross.T @ np.linalg.solve(H, cross)
    u = Z.T @ np.linalg.solve(Omega, e)
    plain = res.model.fit(use_t=False)
    assert Sigma.shape == (k, k)
    found = plain.exogeneity_test().statistic
    assert found == pytest.approx(float(u @ np.linalg.solve(V, u)), rel=1e-6)


# -- what is refused, and choices of a rank -------------------------------------------------------


def test_hausman_is_of_effects_that_filters_leave_whole():
    for name, said in (("lag", "spatial_lag="), ("each", "ar='entity'"), ("cell_scale", "cell_s")):
        with pytest.raises(NotApplicableError, match=said):
            fitted(name).hausman()
    for name in ("ar", "row_scale", "error", "units, error"):
        assert 0.0 <= fit(name, own=[]).hausman().pvalue <= 1.0


@pytest.mark.parametrize("name", ["ar", "lag"])
def test_a_model_with_laws_has_no_likelihood_of_coefficients_and_sigma(name):
    res = fitted(name)
    for method in ("loglike", "score", "score_obs", "information", "hessian"):
        with pytest.raises(NotApplicableError, match="law_params"):
            getattr(res.model, method)(res.params, res.sigma)
    if name == "lag":
        with pytest.raises(NotApplicableError, match="predict"):
            res.model.predict(res.params)
    else:
        pd.testing.assert_frame_equal(res.model.predict(res.params), res.predict())


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
@pytest.mark.parametrize("name", ["ar", "lag", "all"])
def test_ranks_are_chosen_beside_the_laws(name):
    chosen = select_rank(fitted(name).model)
    auto = fit(name, "bic_ols")
    assert chosen.rank == auto.rank
    pd.testing.assert_series_equal(
        chosen.table["bic_ols"], auto.model.rank_selection.table["bic_ols"], rtol=1e-4
    )


@pytest.mark.parametrize("name", ["units, error", "units, lag"])
def test_new_rows_of_units_have_what_neighbours_send(name):
    res, data = fitted(name), new_data(name)
    own = res.get_prediction().var_resid
    made = data.assign(v=res.get_prediction(data).var_resid)
    wide = made.pivot(index="entity", columns="year", values="v").loc[own.index]
    np.testing.assert_allclose(wide.to_numpy(), own.to_numpy(), rtol=1e-9)
    assert (own.std() > 0).all()


def test_the_multiplier_of_random_effects_is_of_what_neighbours_leave():
    res = fit("error", own=[])
    n, k = res.resid.shape
    X, Y = np.vstack(res.model.exog), res.model.endog.T.ravel()
    e = (Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]).reshape(k, n).T
    u = e @ (np.eye(k) - values(res)["spatial_error"] * W.to_numpy()).T
    excess = np.square(u.sum(axis=1)).sum() / np.square(u).sum() - 1.0
    expected = (n * k) ** 2 / (2.0 * (n * k**2 - n * k)) * excess**2
    found = res.random_effects_test().table.loc["lm", "statistic"]
    assert found == pytest.approx(expected, rel=1e-8)


def test_one_coefficient_is_not_a_case_of_many():
    larger, smaller = fit("ar", own=True), fit("each", own=[])
    assert larger.df_model > smaller.df_model
    with pytest.raises(OptionError, match="more AR coefficients"):
        larger.compare_lr(smaller)


def test_the_score_test_knows_that_a_lag_is_estimated():
    free = fit("lag", own=True, debiased=False)
    said = "u0_x = 1"
    restricted = free.model.fit_constrained(said, reml=False, debiased=False)
    found = restricted.restriction_tests(free).loc["score", "statistic"]
    P = np.linalg.inv(restricted.sigma.to_dense())
    E, blocks = restricted.resid.to_numpy(), restricted.model.exog
    u = np.concatenate([X.T @ (E @ P)[:, j] for j, X in enumerate(blocks)])
    H = np.block(
        [[P[j, i] * blocks[j].T @ blocks[i] for i in range(len(P))] for j in range(len(P))]
    )
    laws = free.estimate.laws
    V = np.linalg.inv(H) + laws.slopes @ laws.cov @ laws.slopes.T
    assert found == pytest.approx(u @ V @ u, rel=1e-8)


# -- parameters that are drawn to their mean ------------------------------------------------------


def autoregressive(rho, T, seed):
    """A panel with the errors' coefficients ``rho``, one a unit."""
    rng = np.random.default_rng(seed)
    k = len(rho)
    E = rng.standard_normal((T, k))
    for t in range(1, T):
        E[t] += rho * E[t - 1]
    frame = pd.DataFrame(
        {
            "entity": np.tile([f"u{j}" for j in range(k)], T),
            "year": np.repeat(np.arange(T), k),
            "x": rng.standard_normal(T * k),
        }
    )
    return frame.assign(y=1.0 + frame["x"] + E.ravel())


def test_ar_coefficients_count_as_many_as_they_are():
    k = 8
    counts = {}
    for name, rho in (("one", np.full(k, 0.5)), ("all", np.linspace(-0.85, 0.9, k))):
        data = autoregressive(rho, 60 if name == "one" else 400, seed=0)
        model = LowRankPanel.from_formula(
            "y ~ x", data, 0, entity="entity", time="year", independent="time", ar="entity"
        )
        res = model.fit()
        others = model.df_model - k
        counts[name] = res.df_model - others
        assert res.df_resid == res.model.n_cells - res.df_model
        assert res.aic == pytest.approx(-2 * res.llf + 2 * res.df_model, rel=1e-12)
        assert res.bic == pytest.approx(-2 * res.llf + np.log(res.nobs) * res.df_model, rel=1e-12)
        # Beside those of the common coefficients, the constant among them.
        beside = str(round(res.df_model - 2.0, 1)).removesuffix(".0")
        header = res.summary().tables[0].as_text()
        assert header.split("Df of Sigma, Laws:")[1].split()[0] == beside
        whole = model.fit(reml=False)
        assert whole.df_model == model.df_model == others + k
        common = LowRankPanel.from_formula(
            "y ~ x", data, 0, entity="entity", time="year", independent="time", ar="common"
        ).fit(reml=False)
        assert common.df_model == others + 1
        # Likelihood ratios are of maxima, and whole counts.
        assert whole.compare_lr(common, debiased=False).df_diff == k - 1
        for one, other in ((res, common), (whole, res)):
            with pytest.raises(OptionError, match="reml=False"):
                one.compare_lr(other)
    assert counts["one"] == pytest.approx(1.0, abs=1e-9)
    assert k - 0.1 < counts["all"] < k
