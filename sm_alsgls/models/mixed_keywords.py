"""What others call the arguments of a mixed model, and what it refuses with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sm_alsgls.border.arguments import unknown
from sm_alsgls.exceptions import OptionError

_COMPONENTS = (
    "variance components beside the random effects, crossed or nested, are not what this model "
    "has: it takes products of the rows of each group, and groups must be independent. "
    "statsmodels' MixedLM has them; nested ones are re_formula='~ C(inner)' here, with "
    "rank='diagonal'"
)
_GAUSSIAN = (
    "responses are Gaussian given the random effects: other families have no likelihood in cross-"
    "products; statsmodels' BinomialBayesMixedGLM and PoissonBayesMixedGLM, R's glmmTMB have them"
)
_REFUSED = {
    **dict.fromkeys(("vc_formula", "exog_vc", "vcomp", "vc"), _COMPONENTS),
    **dict.fromkeys(("family", "link"), _GAUSSIAN),
}

_FAMILIAR = {
    **dict.fromkeys(("k_factors", "n_factors", "factors", "k", "r", "n_components", "d"), "rank="),
    **dict.fromkeys(("use_sparse", "use_sqrt"), "nothing: cross-products a group are kept"),
    **dict.fromkeys(("random", "re", "random_formula"), "re_formula= of from_formula(), exog_re="),
    **dict.fromkeys(
        ("dispformula", "varIdent", "heteroscedastic"), "residual='~ 0 + levels' (from_formula)"
    ),
    **dict.fromkeys(("correlation", "corAR1", "cor"), "ar='groups'"),
    **dict.fromkeys(("cov_struct", "covariance", "structure"), "rank= ('diagonal', 'full', 2)"),
    **dict.fromkeys(("var_weights", "freq_weights", "aweights"), "weights=, analytic ones"),
    **dict.fromkeys(
        ("formula", "data", "re_formula", "subset", "eval_env"),
        "LowRankMixedLM.from_formula(..., {name}=)",
    ),
    **dict.fromkeys(("REML", "reml", "method"), "fit(reml=): it belongs to the fit"),
    **dict.fromkeys(
        ("cov_type", "cov_kwds", "use_t", "n_starts", "rng", "maxiter", "callback", "disp"),
        "fit({name}=): it belongs to the fit",
    ),
    "hasconst": "nothing: no constant is added, or looked for",
    "drop_missing": "missing='drop'",
}

_FAMILIAR_OF_FIT = {
    "seed": "rng=",
    "random_state": "rng=",
    **dict.fromkeys(("REML", "restricted"), "reml="),
    **dict.fromkeys(("max_iter", "iter_limit", "maxfun", "max_sweeps"), "maxiter="),
    **dict.fromkeys(
        ("method", "do_cg", "niter_sa", "optimizer", "control"),
        "nothing: steps are those of Fisher scoring, from several starts",
    ),
    **dict.fromkeys(
        ("fe_pen", "cov_pen", "free"),
        "nothing: penalties and fixed parts are not there; rank= and uniquenesses= are structures",
    ),
    **dict.fromkeys(
        ("tol", "gtol", "ftol", "xtol", "pgtol", "epsilon", "factr"),
        "nothing: the last step is 1e-7 standard errors; mle_retvals of the results has its length",
    ),
    "skip_hessian": "nothing: no Hessian is made before it is asked for",
    "method_list": "nothing: steps are those of Fisher scoring, from several starts",
    **dict.fromkeys(
        ("full_output", "retall"), "nothing: mle_retvals of the results holds it always"
    ),
    "rank": "LowRankMixedLM(..., rank=): the rank belongs to the model",
    **dict.fromkeys(
        ("weights", "groups", "missing"), "LowRankMixedLM(..., {name}=): it belongs to the model"
    ),
    "verbose": "disp=",
}

# Of MixedLM's arguments those whose None, its default, asks for nothing.
_OPTIONAL = {
    *("vc_formula", "exog_vc", "fe_pen", "cov_pen", "free", "method", "hasconst"),
    *("family", "vcomp"),
}


def refuse(given: Iterable[str] | Mapping[str, Any], known: Iterable[str], called: str) -> None:
    """Say why a keyword is refused, or what does its work.

    Of a mapping, arguments that MixedLM has and that are None, as there by default, are let pass.

    Raises
    ------
    OptionError
        It asks for what the model has not.
    UnknownArgumentError
        Unless ``given`` is empty.
    """
    nothing = set()
    if isinstance(given, Mapping):
        nothing = {name for name, value in given.items() if value is None} & _OPTIONAL
    given, known = [name for name in given if name not in nothing], list(known)
    for name in given:
        if name in _REFUSED:
            raise OptionError(f"{name}= is not taken by LowRankMixedLM: {_REFUSED[name]}")
    familiar = _FAMILIAR_OF_FIT if called == "fit()" else _FAMILIAR
    unknown(given, known, called, {k: v for k, v in familiar.items() if k not in known})
