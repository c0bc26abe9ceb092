"""What linearmodels, statsmodels, R and Stata call something that results have, or have not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sm_alsgls.exceptions import UnknownAttributeError

_COEFFICIENTS = {
    **dict.fromkeys(("std_errors", "std_err", "se", "stderr", "HC0_se", "HC1_se"), "bse"),
    **dict.fromkeys(("tstats", "tstat", "tvalue", "zvalues", "zstats"), "tvalues"),
    **dict.fromkeys(("pvals", "pvalue", "p_values"), "pvalues"),
    **dict.fromkeys(("coef", "coefs", "coef_", "coefficients", "beta", "betas"), "params"),
    **dict.fromkeys(("confint", "conf_intervals", "ci"), "conf_int()"),
}

_EITHER = {
    **_COEFFICIENTS,
    **dict.fromkeys(("resids", "residuals", "uhat"), "resid"),
    **dict.fromkeys(
        ("wresid", "wresids"), "resid, in units of the response; times the root of the weight"
    ),
    **dict.fromkeys(("fitted_values", "fitted", "yhat"), "fittedvalues"),
    **dict.fromkeys(
        ("f_statistic", "fstat", "f_test_result"), "fvalue, with f_pvalue: all slopes are zero"
    ),
    "summary2": "summary()",
    "r2": "rsquared",
}

_SYSTEM = {
    **_EITHER,
    **dict.fromkeys(
        ("rsquared", "r2", "rsquared_uncentered"),
        "system_rsquared (of the system) or equations[name].rsquared (of an equation)",
    ),
    **dict.fromkeys(("rsquared_adj", "rsquared_adj_uncentered"), "equations[name].rsquared_adj"),
    **dict.fromkeys(("cov", "vcov", "cov_params_default"), "cov_params()"),
    **dict.fromkeys(("cov_HC0", "cov_HC1"), "get_robustcov_results('HC1').cov_params()"),
    **dict.fromkeys(("loglik", "loglike", "log_likelihood"), "llf"),
    **dict.fromkeys(("equation_labels", "equation_names"), "model.equations, a list of names"),
    "param_names": "params.index",
    **dict.fromkeys(("mse_resid", "s2", "mse_total"), "sigma.diag(), a variance for each equation"),
    **dict.fromkeys(
        ("ssr", "ess", "resid_ss", "model_ss", "total_ss", "centered_tss", "uncentered_tss"),
        "",
    ),
    **dict.fromkeys(("iterations", "n_iter_", "nit"), "mle_retvals['iterations'], sweeps"),
    **dict.fromkeys(
        ("breusch_pagan", "likelihood_ratio"),
        "diagnostics(), and sm_alsgls.diagnostics for tests of the errors' covariance",
    ),
    **dict.fromkeys(
        ("condition_number", "eigenvals", "durbin_watson", "get_influence", "outlier_test"),
        "diagnostics(), which has condition numbers, serial correlation and outlying rows",
    ),
    **dict.fromkeys(
        ("HC2_se", "HC3_se", "cov_HC2", "cov_HC3"), "get_robustcov_results(cov_type).bse"
    ),
    **dict.fromkeys(("compare_f_test", "compare_lm_test"), "compare_lr(restricted), wald_test(R)"),
    **dict.fromkeys(("factors", "scores_", "factor_score"), "factor_scores"),
    **dict.fromkeys(("components_", "factor_loadings", "loadings_"), "loadings"),
    **dict.fromkeys(("noise_variance_", "specific_variances", "psi"), "uniquenesses"),
    **dict.fromkeys(("get_covariance", "cov_resid", "residual_cov"), "sigma.to_dense()"),
}

_MIXED = {
    **_COEFFICIENTS,
    **dict.fromkeys(("cov", "vcov", "cov_params_default"), "cov_params()"),
    "param_names": "params.index",
    **dict.fromkeys(("resids", "residuals", "uhat"), "resid"),
    **dict.fromkeys(("fitted_values", "fitted", "yhat"), "fittedvalues"),
    **dict.fromkeys(("loglik", "loglike", "log_likelihood", "logLik"), "llf"),
    **dict.fromkeys(("AIC", "BIC", "deviance"), "aic, bic, and -2 llf"),
    **dict.fromkeys(("fixef", "fixed_effects", "fixed"), "fe_params"),
    **dict.fromkeys(
        ("ranef", "random_coefficients", "blup", "blups"),
        "random_effects, or random_effects_frame() for a table with intervals",
    ),
    **dict.fromkeys(
        ("VarCorr", "getVarCov", "varcorr", "cov_random_effects", "theta"),
        "cov_re, corr_re, re_table and scale",
    ),
    **dict.fromkeys(("sigma", "sigma2", "s2", "mse_resid"), "scale, the residual variance"),
    **dict.fromkeys(("ngrps", "num_groups"), "n_groups"),
    **dict.fromkeys(("isSingular", "is_singular", "singular"), "heywood, and diagnostics()"),
    **dict.fromkeys(
        ("intervals", "profile_re"), "conf_int(), conf_int_fe(), of variances conf_int_re()"
    ),
    **dict.fromkeys(("rsquared", "r2_marginal", "r2_conditional", "r_squared"), "r2()"),
    **dict.fromkeys(("anova", "drop1", "lmer_test"), "wald_test() and compare_lr()"),
    **dict.fromkeys(("df_residual", "df_resid_inference"), "df_resid"),
    **dict.fromkeys(
        ("vcomp", "k_vc", "exog_vc"),
        "cov_re: variance components beside the covariance of a group's random effects "
        "(vc_formula) are not what this model has, whose groups are independent",
    ),
    **dict.fromkeys(("freepat", "cov_pen", "params_object", "hist", "use_sqrt"), "mle_retvals"),
    **dict.fromkeys(("factors", "factor_loadings", "components_"), "loadings"),
    **dict.fromkeys(("noise_variance_", "specific_variances", "psi"), "uniquenesses"),
    **dict.fromkeys(("summary2",), "summary()"),
    **dict.fromkeys(("tau", "sd", "stddev"), "sd_re"),
}

_EQUATION = {
    **_EITHER,
    **dict.fromkeys(
        ("loglik", "loglike", "log_likelihood"), "llf of the equation by itself, or system.llf"
    ),
    **dict.fromkeys(("mse_resid", "scale", "s2", "rmse", "root_mse"), "std_error, a root"),
    **dict.fromkeys(("ssr", "resid_ss", "ess", "model_ss", "total_ss", "centered_tss"), ""),
    **dict.fromkeys(("get_robustcov_results",), "system.get_robustcov_results(cov_type)"),
    "r2_adj": "rsquared_adj",
}


class Familiar:
    """Mixin: an attribute that there is not says what does its work, if anything does.

    hasattr() is False, as of any other name that there is not.
    """

    _familiar: ClassVar[dict[str, str]] = {}
    _said_of: ClassVar[str] = "results"

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):
            # A property that raised an AttributeError of its own, for want of data: as it says.
            return object.__getattribute__(self, name)
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        said = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in self._familiar:
            ours = self._familiar[name]
            said += f"; use {ours}" if ours else f"; {self._said_of} do not hold sums of squares"
        raise UnknownAttributeError(said, name=name, obj=self)


class FamiliarCoefficients(Familiar):
    """`Familiar` of coefficients, whatever was estimated."""

    _familiar: ClassVar[dict[str, str]] = {
        **_COEFFICIENTS,
        **dict.fromkeys(("cov", "vcov", "cov_params_default"), "cov_params()"),
        "param_names": "params.index",
    }


class FamiliarCells(FamiliarCoefficients):
    """`Familiar` of results of a panel's cells."""

    _familiar: ClassVar[dict[str, str]] = {
        **FamiliarCoefficients._familiar,
        **dict.fromkeys(("resids", "residuals", "uhat"), "resid"),
        **dict.fromkeys(("fitted_values", "fitted", "yhat"), "fittedvalues"),
        **dict.fromkeys(("r2", "rsquared_overall"), "rsquared"),
        **dict.fromkeys(
            (
                "test_normality", "test_serial_correlation", "test_heteroskedasticity",
                "durbin_watson", "jarque_bera", "breusch_pagan", "pesaran_cd", "pcdtest", "pbgtest",
                "outlier_test", "get_influence",
            ),
            "diagnostics(), which allows for what factors and effects take of residuals",
        ),
        **dict.fromkeys(("condition_number", "eigenvals"), "model.exog, for numpy.linalg"),
    }  # fmt: skip


class FamiliarMixed(FamiliarCoefficients):
    """`Familiar` of a mixed model's results."""

    _familiar = _MIXED


class FamiliarSystem(Familiar):
    """`Familiar` of a system's results."""

    _familiar = _SYSTEM


class FamiliarEquation(Familiar):
    """`Familiar` of an equation's results."""

    _familiar = _EQUATION


_COV_TYPES = {
    **dict.fromkeys(
        ("robust", "heteroskedastic", "heteroscedastic", "white", "hc", "vce(robust)"),
        "'HC0' or 'HC1' (heteroscedasticity, and any correlation within a row)",
    ),
    **dict.fromkeys(
        ("unadjusted", "homoskedastic", "homoscedastic", "classic", "ols", "oim"),
        "'nonrobust' (or 'sandwich', linearmodels' 'unadjusted' at a given sigma)",
    ),
    **dict.fromkeys(
        ("clustered", "cr0", "cr1", "crv1", "hac-groupsum", "nw-groupsum"),
        "'cluster' with groups= (clusters of rows), or 'HAC' for dependence over time",
    ),
    **dict.fromkeys(
        ("kernel", "newey-west", "nw", "dk", "driscoll-kraay", "hac-panel", "nw-panel"),
        "'HAC' (Driscoll and Kraay: any correlation between equations)",
    ),
    **dict.fromkeys(("kackar-harville", "kenward-roger", "kr"), "'KH'"),
    "bootstrap": "bootstrap(), a method of the results",
}


def familiar_cov_type(name: Any, known: Sequence[str]) -> str:
    """What a ``cov_type`` that there is not is called here, to follow a message; else nothing."""
    text = str(name).lower()
    if text in _COV_TYPES:
        return f"; use {_COV_TYPES[text]}"
    near = {one.lower(): one for one in known}
    return f" (did you mean {near[text]!r}?)" if text in near else ""
