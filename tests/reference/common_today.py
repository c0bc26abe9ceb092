"""Fits with ``common=``, in numbers that do not depend on how a shared coefficient is held.

Written by the release in which ``common=`` was (K-1) restrictions a regressor, one for each
further equation: ``common_today.json`` holds what that code gave, equation by equation, and
`tests/test_common_numbers.py` asks the same of the code of today. To make it again:

    python -m tests.reference.common_today
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld

PATH = Path(__file__).with_suffix(".json")
# Near enough that two ways to the same maximum agree to ten digits.
TIGHT = {"gtol": 1e-10, "rel_tol": 1e-12, "n_starts": 1, "max_sweeps": 3000}
COMPLETE = ("nonrobust", "KH", "sandwich", "HC0", "HC1", "HC2", "HC3", "HAC")
HOLES = ("nonrobust", "HC0", "HC2", "HC3")


def simulated(
    K: int = 12, N: int = 60, seed: int = 3, even: bool = True
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Slopes x1 of all equations and x2 of most are equal; constants and z are their own."""
    rng = np.random.default_rng(seed)
    names = [f"e{j:02d}" for j in range(K)]
    factors, Y, X = rng.standard_normal((N, 2)), {}, {}
    for j, name in enumerate(names):
        x = {"const": np.ones(N), "x1": rng.standard_normal(N) + 0.4 * factors[:, 0]}
        if j % 4 != 1:
            x["x2"] = 3.0 * rng.standard_normal(N) + 1.0
        if j % 4 == 1 or (j % 3 == 0 and not even):
            x = {"z": rng.standard_normal(N), **x}
        X[name] = pd.DataFrame(x)
        mean = X[name].to_numpy() @ np.linspace(0.5, 1.5, len(x)) + 0.3 * j
        Y[name] = mean + factors @ rng.standard_normal(2) + (0.5 + 0.1 * j) * rng.standard_normal(N)
    return pd.DataFrame(Y), X


def grunfeld(**kwds: Any) -> LowRankSUR:
    """Eleven firms."""
    return LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", **kwds
    )


def with_holes(**kwds: Any) -> LowRankSUR:
    """A tenth of the cells is missing."""
    Y, X = simulated()
    Y = Y.mask(np.random.default_rng(8).random(Y.shape) < 0.1)
    return LowRankSUR(Y, X, missing="fiml", **kwds)


def weighted(by_cell: bool, **kwds: Any) -> LowRankSUR:
    """Weights of rows, or of cells."""
    Y, X = simulated()
    w = np.random.default_rng(9).uniform(0.5, 2.0, Y.shape)
    return LowRankSUR(Y, X, weights=w if by_cell else w[:, 0], **kwds)


def plain(**kwds: Any) -> LowRankSUR:
    """All cells, equal weights."""
    return LowRankSUR(*simulated(), **kwds)


def uneven(**kwds: Any) -> LowRankSUR:
    """Equations with two to four regressors."""
    return LowRankSUR(*simulated(even=False), **kwds)


def huge(**kwds: Any) -> LowRankSUR:
    """Responses whose variances have no squares among doubles."""
    Y, X = simulated()
    return LowRankSUR(Y * 1e80, X, **kwds)


def many(**kwds: Any) -> LowRankSUR:
    """Too large for the cache: the tiled products."""
    return LowRankSUR(*simulated(K=240, N=900, seed=5), **kwds)


# Hypotheses: the sums of (equation, variable, weight) that are zero.
Terms = list[tuple[str, str, float]]
FIRMS: list[Terms] = [
    [("IBM", "value", 1.0), ("IBM", "capital", -0.5)],
    [("IBM", "Intercept", 1.0), ("General Motors", "Intercept", -1.0)],
]
BOTH: list[Terms] = [
    [("e00", "x1", 1.0), ("e03", "x2", -1.0)],
    [("e01", "z", 1.0), ("e05", "z", -1.0)],
    [("e04", "const", 1.0), ("e05", "x1", 0.5)],
]
GROUPS = np.arange(60) // 4
TWO_WAYS = np.column_stack([np.arange(60) // 6, np.arange(60) % 10])
CLUSTERS: dict[str, dict[str, Any]] = {
    "cluster": {"groups": GROUPS},
    "cluster CR1": {"groups": GROUPS, "correction": "CR1"},
    "cluster two ways": {"groups": TWO_WAYS},
    "HAC cosine": {"kernel": "cosine", "terms": 12},
}

# How a model is made, keywords of its fit, covariance types, hypotheses.
Case = tuple[Callable[[], LowRankSUR], dict[str, Any], dict[str, dict[str, Any]], list[Terms]]


def _types(kinds: tuple[str, ...], **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**{kind: {} for kind in kinds}, **more}


CASES: dict[str, Case] = {
    "grunfeld slopes": (
        lambda: grunfeld(rank=1, common=["value", "capital"]), {}, _types(COMPLETE), FIRMS,
    ),
    "grunfeld all": (
        lambda: grunfeld(rank=1, common=True), {"d_floor": 0.05},
        _types(COMPLETE), FIRMS[:1],
    ),
    "grunfeld least squares": (
        lambda: grunfeld(rank=0, common=["value", "capital"]), {"cov_type": "pcse"},
        _types(("pcse", "sandwich")), FIRMS,
    ),
    "grunfeld rank 0": (
        lambda: grunfeld(rank=0, common=["value", "capital"]), {}, _types(COMPLETE), FIRMS,
    ),
    "some": (
        lambda: plain(rank=2, common=["x1", "x2"]), {},
        _types(COMPLETE, **CLUSTERS), BOTH,
    ),
    "some, plug-in": (
        lambda: plain(rank=2, common=["x1", "x2"]), {"debiased": False}, _types(COMPLETE), BOTH,
    ),
    "one": (lambda: plain(rank=1, common=["x1"]), {}, _types(("nonrobust", "HC3")), BOTH),
    "constants": (
        lambda: plain(rank=1, common=True), {}, _types(("nonrobust", "HC3", "sandwich")), BOTH[:1],
    ),
    "holes": (lambda: with_holes(rank=2, common=["x1", "x2"]), {}, _types(HOLES), BOTH),
    "row weights": (
        lambda: weighted(False, rank=2, common=["x1", "x2"]), {}, _types(COMPLETE), BOTH,
    ),
    "cell weights": (
        lambda: weighted(True, rank=2, common=["x1", "x2"]), {}, _types((*HOLES, "HC1", "HAC")),
        BOTH,
    ),
    "uneven": (
        lambda: uneven(rank=2, common=["x1", "x2"]), {},
        _types(("nonrobust", "KH", "HC0", "HC2", "HC3")), BOTH,
    ),
    "huge": (lambda: huge(rank=2, common=["x1", "x2"]), {}, _types(("nonrobust", "HC3")), BOTH),
    "many": (lambda: many(rank=2, common=["x1", "x2"]), {}, _types(("nonrobust",)), BOTH),
}  # fmt: skip


def rows(model: LowRankSUR, hypotheses: list[Terms]) -> np.ndarray:
    """Hypotheses as a matrix on the coefficients that the model has."""
    names = list(model.exog_names)
    R = np.zeros((len(hypotheses), len(names)))
    for row, terms in zip(R, hypotheses, strict=True):
        for equation, variable, weight in terms:
            own = f"{equation}_{variable}"
            row[names.index(own if own in names else variable)] += weight
    return R


def by_equation(res: Any, what: str) -> list[float]:
    """A property of all equations, one after the other; of many, of the first four."""
    parts = [getattr(one, what) for one in list(res.equations.values())[: _shown(res)]]
    return [float(value) for part in parts for value in part]


def _shown(res: Any) -> int:
    return 4 if res.neqs > 100 else res.neqs


def numbers(name: str) -> dict[str, Any]:
    """All that is compared of a case."""
    make, kwds, types, hypotheses = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
        res = model.fit(**{**TIGHT, **kwds})
        out: dict[str, Any] = {
            "llf": float(res.llf),
            "df_model": float(res.df_model),
            "params": by_equation(res, "params"),
            "variances": [float(v) for v in np.asarray(res.sigma.diag())[: _shown(res)]],
            "types": {},
        }
        R = rows(model, hypotheses)
        # Restrictions gave equal coefficients of unequal equations unequal degrees of freedom.
        even = len({(len(one.params), one.nobs) for one in res.equations.values()}) == 1
        for label, options in types.items():
            one = res
            if label != res.cov_type or options:
                one = res.get_robustcov_results(label.split()[0], **options)
            t = one.t_test(R)
            found = {"bse": by_equation(one, "bse"), "t_sd": np.ravel(t.sd).tolist()}
            if even:
                joint = one.wald_test(R, scalar=True)
                found["pvalues"] = by_equation(one, "pvalues")
                found["t_pvalue"] = np.ravel(t.pvalue).tolist()
                found["joint"] = [float(joint.statistic), float(joint.pvalue)]
            out["types"][label] = found
        if res.neqs <= 20:
            out["predicted_sd"] = (
                np.asarray(res.get_prediction().se_mean, dtype=float).ravel()[:30].tolist()
            )
    return out


def main() -> None:
    """Write the numbers."""
    found = {name: numbers(name) for name in CASES}
    PATH.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
