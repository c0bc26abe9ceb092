"""Every public callable, found by introspection, and the odd values its arguments are tried with.

`arguments` walks the public names of the package and the public methods of what they return. An
argument of a new method is in the tests of the border by itself; one that a call needs, and that
`NEEDED` does not know, is an error here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

import sm_alsgls
from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR, simulate_sur
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.datasets import load_grunfeld, load_sleepstudy
from sm_alsgls.exceptions import AlsglsError, AlsglsWarning, NoFactorsError

#: Of statsmodels, and made of methods of the package; others of its methods are its own affair.
INHERITED = {"f_test"}
#: What the package alone makes.
MADE = {
    "RankSelection", "LowRankSURResults", "LowRank3SLSResults", "LowRankPanelResults",
    "LowRankMixedLMResults", "SimulatedSystem", "CovarianceTest", "InteractivePanelResults",
    "CCEPanelResults",
}  # fmt: skip
#: What the package's own rooms ask of a model, with values of theirs.
ASKED = {"raw_system"}
MODULES = ("sm_alsgls", "sm_alsgls.rank", "sm_alsgls.simulate", "sm_alsgls.diagnostics")


@dataclass(frozen=True)
class Public:
    """A public callable with one argument of it."""

    owner: str
    name: str
    argument: str
    call: Callable[..., Any] = field(repr=False, compare=False)
    parameter: inspect.Parameter = field(repr=False, compare=False)
    needed: dict[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.owner}.{self.name}({self.argument}=)"

    def __call__(self, value: Any) -> Any:
        """The callable with ``value`` for this argument and what it needs for the others."""
        given = {**self.needed, self.argument: value}
        positional = [given.pop(name) for name in _positional(self.call) if name in given]
        return self.call(*positional, **given)


@functools.cache
def firms() -> pd.DataFrame:
    """Six of Grunfeld's firms, as few as a counterfactual of one takes.

    What is made of a formula takes as long as there are units. Nobody changes it.
    """
    data = load_grunfeld()
    few = ["General Motors", "US Steel", "Chrysler", "Westinghouse", "IBM", "Goodyear"]
    return data[data["firm"].isin(few)].reset_index(drop=True)


@functools.cache
def three_firms() -> pd.DataFrame:
    """As few as a system with a factor takes, for formulas that are read with every odd value."""
    data = firms()
    return data[data["firm"].isin(["US Steel", "IBM", "Goodyear"])].reset_index(drop=True)


def _positional(call: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(call).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]


@functools.cache
def made() -> dict[str, Any]:
    """One object of every public class, small."""
    truth = simulate_sur(24, 3, 2, rank=1, rng=1)
    names = ["a", "b", "c"]
    Y = pd.DataFrame(truth.endog, columns=names)
    X = {
        name: pd.DataFrame(x, columns=["const", "x"])
        for name, x in zip(names, truth.exog, strict=True)
    }
    model = LowRankSUR(Y, X, rank=1)
    panel = LowRankSUR.from_formula("invest ~ value", firms(), groups="firm", time="year", rank=1)
    pooled = LowRankPanel.from_formula(
        "invest ~ value + capital", firms(), 1, entity="firm", time="year",
        effects="entity", heterogeneous=["capital"],
    )  # fmt: skip
    mixed = LowRankMixedLM.from_formula(
        "Reaction ~ Days + C(Days > 4)", load_sleepstudy(), "~ Days", groups="Subject"
    )
    beside = {
        kind: LowRankPanel.from_formula(
            "invest ~ value + capital", firms(), rank, entity="firm", time="year",
            factors=kind,
        )
        for kind, rank in (("fixed", 1), ("cce", "auto"))
    }  # fmt: skip
    small = LowRankPanel.from_formula(
        "invest ~ value + capital", three_firms(), 1, entity="firm", time="year", factors="fixed"
    )
    rng = np.random.default_rng(2)
    Z = {name: pd.DataFrame(x).assign(z=rng.standard_normal(24), u=0.0) for name, x in X.items()}
    for name, z in Z.items():
        z["u"] = rng.standard_normal(24) + 2.0 * X[name]["x"]
    endogenous = {
        name: x.assign(w=Z[name]["z"] + Z[name]["u"] + rng.standard_normal(24))
        for name, x in X.items()
    }
    instrumented = LowRank3SLS(Y, endogenous, Z, rank=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        three = instrumented.fit()
        res, long = model.fit(), panel.fit(n_starts=1)
        of_pooled = pooled.fit(n_starts=1)
        of_mixed = mixed.fit()
        of_fixed, of_cce = (beside[kind].fit() for kind in beside)
        holes = Y.mask(np.random.default_rng(0).random(Y.shape) < 0.1)
        holed = LowRankSUR(holes, X, rank=1, missing="fiml").fit(n_starts=1)
        tiled = LowRankSUR.from_equations([(truth.endog, np.stack(truth.exog))], 1)
        of_tiles = tiled.fit()
    return {
        "Model": model,
        "PanelModel": panel,
        "Results": res,
        "InstrumentedModel": instrumented,
        "InstrumentedResults": three,
        "PanelResults": long,
        "PooledModel": pooled,
        "PooledResults": of_pooled,
        "MixedModel": mixed,
        "MixedResults": of_mixed,
        # Every value that an argument of its fit takes is a fit: of three firms 0.01 s, of six 0.3.
        "FixedModel": small,
        "FixedResults": of_fixed,
        "AveragesModel": beside["cce"],
        "AveragesResults": of_cce,
        "Counterfactual": of_fixed.counterfactual({"IBM": 1950}, reps=2),
        "FactorTest": of_fixed.factor_test(),
        "PanelDiagnostics": of_fixed.diagnostics(),
        "HoledResults": holed,
        "EquationResults": res.equations["a"],
        "Saved": LowRankSUR(Y, X, rank=1).fit(n_starts=1),
        "CosineResults": res.get_robustcov_results("HAC", kernel="cosine"),
        "BootstrapResults": res.bootstrap(3),
        "NonlinearCombinations": res.nlcom("a_x / b_x"),
        "BootstrapCombinations": res.bootstrap(3).nlcom("a_x / b_x"),
        "Prediction": res.get_prediction(),
        "PanelPrediction": long.get_prediction(firms()),
        "Conditional": res.get_prediction(given=True),
        "Diagnostics": res.diagnostics(),
        "RankSelection": sm_alsgls.select_rank(model),
        "LowRankDiag": res.sigma,
        "Simulated": truth,
        "Imputation": holed.impute(),
        "ManyModel": tiled,
        "ManyResults": of_tiles,
        "ManyEquationResults": of_tiles.equations["y1"],
        "EquationColumns": of_tiles.resid,
    }


def needed() -> dict[str, Any]:
    """A right value for every argument that some call needs, by its name or `call.name`."""
    objects = made()
    model, res = objects["Model"], objects["Results"]
    return {
        "LowRankSUR.endog": model.endog,
        "LowRankSUR.exog": model.exog,
        "LowRankPanel.endog": three_firms().set_index(["firm", "year"])["invest"],
        "LowRankPanel.exog": three_firms().set_index(["firm", "year"])[["value"]],
        "LowRankPanel.rank": 1,
        "PooledModel.rank": 1,
        "PanelModel.rank": 1,
        "LowRankMixedLM.endog": load_sleepstudy()["Reaction"],
        "LowRankMixedLM.exog": load_sleepstudy()[["Days"]],
        "LowRankMixedLM.groups": load_sleepstudy()["Subject"],
        "MixedModel.formula": "Reaction ~ Days",
        "MixedModel.data": load_sleepstudy(),
        "MixedModel.groups": "Subject",
        "MixedModel.chunks": [
            (
                load_sleepstudy()["Reaction"],
                load_sleepstudy()[["Days"]],
                load_sleepstudy()["Subject"],
            )
        ],
        "MixedResults.cov_type": "cluster",
        "MixedResults.r_matrix": "Days = 0",
        "MixedResults.functions": "Days ** 2",
        "MixedResults.term_name": "C(Days > 4)",
        "MixedResults.restricted": LowRankMixedLM.from_formula(
            "Reaction ~ Days", load_sleepstudy(), groups="Subject"
        ).fit(),
        "variance_test.reps": 2,
        "InteractivePanel.endog": three_firms().set_index(["firm", "year"])["invest"],
        "InteractivePanel.exog": three_firms().set_index(["firm", "year"])[["value"]],
        "InteractivePanel.rank": 1,
        "CCEPanel.endog": three_firms().set_index(["firm", "year"])["invest"],
        "CCEPanel.exog": three_firms().set_index(["firm", "year"])[["value"]],
        **{
            f"{owner}.{name}": value
            for owner in ("FixedModel", "AveragesModel")
            for name, value in {"entity": "firm", "time": "year", "params": np.ones(2)}.items()
        },
        "FixedModel.rank": 1,
        "FixedModel.n_starts": 1,
        "FixedModel.gtol": 1e-3,
        **{
            f"{owner}.{name}": value
            for owner in ("FixedResults", "AveragesResults")
            for name, value in {"functions": "value ** 2", "r_matrix": "value = 0"}.items()
        },
        "AveragesResults.cov_type": "nonparametric",
        "FixedResults.cov_type": "HAC",
        "counterfactual.treated": {"IBM": 1950},
        "counterfactual.reps": 2,
        "LowRank3SLS.endog": model.endog,
        "LowRank3SLS.exog": objects["InstrumentedModel"].exog,
        "LowRank3SLS.instruments": objects["InstrumentedModel"].system.instruments,
        "anderson_rubin.param": "a_w",
        "wild_test.param": "a_w",
        "wild_test.reps": 2,
        "InstrumentedModel.params": np.asarray(objects["InstrumentedResults"].params),
        "InstrumentedModel.equations": {"a": (model.endog[:, 0], model.exog[0], model.exog[0])},
        "InstrumentedModel.formula": "invest ~ [value ~ capital]",
        "from_system.equations": {"a": (model.endog[:, 0], model.exog[0])},
        "from_chunks.chunks": [(model.endog, model.exog)],
        "from_equations.tiles": [(model.endog, list(model.exog))],
        "ManyResults.equation": "y1",
        "ManyEquationResults.r_matrix": "x1 = 0",
        "ManyEquationResults.functions": "x1 ** 2",
        "to_memmap.path": os.path.join(tempfile.gettempdir(), f"columns{os.getpid()}.npy"),
        "from_formula.formula": "invest ~ value",
        "from_formula.data": three_firms(),
        "bootstrap.reps": 2,
        "forecast.exog": model.exog,
        "PanelResults.exog": firms().assign(year=lambda data: data["year"] + 20),
        "PooledResults.exog": firms().assign(year=lambda data: data["year"] + 20),
        "model": model,
        "results": res,
        "params": np.asarray(res.params),
        "sigma": res.sigma,
        "constraints": "a_x = b_x",
        "functions": "a_x / b_x",
        "PanelResults.functions": "IBM_value ** 2",
        "EquationResults.r_matrix": "x = 0",
        "PanelResults.r_matrix": "IBM_value = 0",
        "EquationResults.functions": "x ** 2",
        "r_matrix": "a_x = 0",
        "PanelResults.variable": "value",
        "variable": "x",
        "PanelResults.equation": "IBM",
        "equation": "a",
        "restricted": model.fit_constrained("a_x = b_x", n_starts=1),
        "PanelPrediction.row": 1940,
        "row": 3,
        "N": 20,
        "K": 3,
        "p": 2,
        "rank": 1,
        "rng": 0,
        "F": np.ones((3, 1)),
        "d": np.ones(3),
        "R": np.eye(3),
        "from_residuals.E": np.random.default_rng(0).standard_normal((9, 3)),
        "Unrestricted.rng": np.random.default_rng(0),
        "LowRankDiag.rng": np.random.default_rng(0),
        "Sigma": np.eye(3),
        "from_dense.r": 1,
        "M": np.ones((2, 3)),
        "E": np.ones((2, 3)),
        "Z": np.ones((2, 3)),
        "c": 1.0,
        "n": 2,
        "idx": [0],
        "patterns": Patterns(np.ones((4, 3), dtype=bool)),
        "fname": io.BytesIO(),
        "PanelModel.params": np.asarray(objects["PanelResults"].params),
        "PanelModel.sigma": objects["PanelResults"].sigma,
        "PanelModel.constraints": "IBM_value = 0",
        "PooledModel.entity": "firm",
        "PooledModel.time": "year",
        "PooledModel.params": np.asarray(objects["PooledResults"].params),
        "PooledModel.sigma": objects["PooledResults"].sigma,
        "PooledModel.constraints": "value = 0",
        "PooledResults.functions": "value ** 2",
        "PooledResults.r_matrix": "value = 0",
        "PooledResults.variable": "capital",
        "PooledResults.equation": "IBM",
    }


@functools.cache
def arguments() -> list[Public]:
    """Every argument of every public callable."""
    return list(_arguments())


def _arguments() -> Iterator[Public]:
    values = needed()
    for owner, name, call in _found():
        parameters = inspect.signature(call).parameters
        required = {}
        for p in parameters.values():
            must = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            keys = (f"{owner}.{p.name}", f"{name}.{p.name}", p.name)
            if not must and not any(key in values for key in keys[:2]):
                continue
            key = next((key for key in keys if key in values), None)
            if key is None:
                raise LookupError(f"{owner}.{name} needs {p.name}: give it in border.needed()")
            required[p.name] = values[key]
        for p in parameters.values():
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name.startswith("_"):
                continue
            yield Public(owner, name, p.name, call, p, required)


def _found() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    seen = set()
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            thing = getattr(module, name)
            if thing in seen or not callable(thing):
                continue
            seen.add(thing)
            if name in MADE:
                continue  # made by the package only
            yield "sm_alsgls", name, thing
    for owner, thing in made().items():
        for name in sorted(dir(thing)):
            if name.startswith("_") or name in ASKED:
                continue
            with contextlib.suppress(AttributeError, NotImplementedError, NoFactorsError):
                method = getattr(thing, name)
                if not (inspect.ismethod(method) or inspect.isfunction(method)):
                    continue
                ours = method.__module__.startswith("sm_alsgls") or name in INHERITED
                # One object is there to lose its data.
                if ours and (name == "save") == (owner == "Saved"):
                    yield owner, name, method


def _ignore(*_: Any) -> None:
    """A function of anything."""


#: Values that most arguments do not take.
ODD: dict[str, Any] = {
    "None": None,
    "text": "a",
    "empty text": "",
    "number as text": "0.05",
    "bytes": b"x",
    "True": True,
    "zero": 0,
    "minus one": -1,
    "two and a half": 2.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 1e300,
    "huge int": 10**30,
    "complex": 1 + 2j,
    "list of number": [1],
    "empty list": [],
    "list of text": ["a"],
    "list of lists": [["x1"]],
    "ragged": [[1, 2], [3]],
    "tuple": (1, 2),
    "dict": {1: 2},
    "empty dict": {},
    "set": {1, 2},
    "array of two": np.array([0.05, 0.1]),
    "array of flags": np.array([True, False]),
    "array of text": np.array(["HC1"]),
    "0-d array": np.array(0.05),
    "3-d": np.zeros((2, 2, 2)),
    "complex array": np.array([1j, 2.0]),
    "digits": np.array(["1", "2"], dtype=object),
    "dates": pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"])),
    "date": pd.Timestamp("2020-01-01"),
    "NA": pd.NA,
    "NaT": pd.NaT,
    "empty frame": pd.DataFrame(),
    "frame": pd.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]}),
    "object": object(),
    "function": _ignore,
    "class": dict,
}

_NUMBERS = {"zero", "minus one", "two and a half", "huge", "huge int", "0-d array"}
_WORDS = {"text", "empty text", "number as text"}
#: Which of them an argument may take, by its annotation; of others nothing is known.
FITS: dict[str, set[str]] = {
    "bool": {"True"},
    "bool | None": {"None", "True"},
    "int": {"zero", "huge int"},
    "int | None": {"None", "zero", "huge int"},
    "int | str": {"zero", "text"},
    "float": _NUMBERS,
    "float | None": {"None", *_NUMBERS},
    "str": _WORDS,
    "str | None": {"None", *_WORDS},
    "np.random.Generator | int | None": {"None", "zero", "huge int"},
    "np.random.Generator | int": {"zero", "huge int"},
    "Mapping[str, Any] | None": {"None", "empty dict"},
    "Callable[[Sweep], object] | None": {"None", "function"},
    "Callable[[Step], object] | None": {"None", "function"},
    "Callable[[Replicate], Any] | None": {"None", "function"},
}


def outcome(public: Public, value: Any) -> BaseException | None:
    """What a call raises; None where it returns. Warnings not of the package count as raised."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", AlsglsWarning)
        try:
            public(value)
        except Exception as error:
            return error
    return None


def typed(error: BaseException | None) -> bool:
    """Whether it is no error, one of the package's, or the file system's."""
    return error is None or isinstance(error, (AlsglsError, OSError))


# -- generated values and systems ----------------------------------------------------------------


def odd_values() -> st.SearchStrategy[Any]:
    """Scalars of any kind, arrays and frames of any type and shape, nested lists."""
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**12), 10**12),
        st.floats(),
        st.complex_numbers(max_magnitude=1e3),
        st.text(max_size=4),
        st.sampled_from([pd.NA, pd.NaT, pd.Timestamp("2020"), np.float32(1.5), np.int8(3), b"b"]),
    )
    dtypes = st.sampled_from(["f8", "f4", "i8", "i1", "?", "c16", "U2", "M8[D]", "O"])
    shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
    arrays = st.builds(lambda dtype, shape: np.zeros(shape, dtype=dtype), dtypes, shapes)
    lists = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
    frames = st.dictionaries(st.sampled_from(["a", "b", "x"]), scalars, max_size=3).map(
        lambda columns: pd.DataFrame(columns, index=range(2))
    )
    keyed = st.dictionaries(st.one_of(st.sampled_from(["a", "b", "c"]), st.integers()), lists)
    return st.one_of(
        st.sampled_from(list(ODD.values())),
        scalars,
        arrays,
        lists,
        frames,
        keyed,
        st.lists(scalars).map(tuple),
    )


#: Arguments of which large whole numbers are legal, and take as long as they are large.
LONG = ("n_starts", "reps", "n_jobs", "N", "K", "n", "rank", "p")


@st.composite
def calls(draw: st.DrawFn) -> tuple[Public, Any]:
    """A value of any kind for any argument of any public callable."""
    one, value = draw(st.sampled_from(arguments())), draw(odd_values())
    if one.argument in LONG and isinstance(value, (int, np.integer)) and value > 3:
        value = 3
    return one, value


#: Powers of ten of responses: squares of what is beyond 150 are no floats, and an error says so.
SCALES = st.integers(-170, 170)


@st.composite
def systems(draw: st.DrawFn) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of `LowRankSUR`: small systems in odd units, types and with holes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    N, K, p = draw(st.integers(1, 30)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    Y = rng.standard_normal((N, K)) @ np.triu(rng.standard_normal((K, K)))
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    kinds = ["plain", "shared", "equal", "constant", "exact", "zero", "one", "integer", "lowrank"]
    kind = draw(st.sampled_from(kinds))
    if kind == "shared":
        X = [X[0]] * K
    elif kind == "equal":
        Y[:, -1] = Y[:, 0]
    elif kind == "constant":
        Y[:, 0] = 3.0
    elif kind == "exact":
        Y[:, 0] = X[0] @ np.ones(p)
    elif kind == "zero":
        X[0] = np.zeros_like(X[0])
    elif kind == "one":
        Y[rng.integers(N), rng.integers(K)] = 10.0 ** draw(
            st.sampled_from([-300, -20, 12, 30, 160, 300])
        )
    elif kind == "integer":
        Y = np.round(Y)
    elif kind == "lowrank":
        Y = np.outer(Y[:, 0], np.ones(K)) + 1e-9 * Y
    if draw(st.booleans()):
        scales = 10.0 ** np.array(draw(st.lists(SCALES, min_size=K, max_size=K)), dtype=float)
        with np.errstate(over="ignore"):  # 1e300 becomes infinite, which is one more bad input
            Y = Y * scales
    if draw(st.booleans()):
        X = [x * 10.0 ** draw(st.integers(-60, 60)) for x in X]
    given: dict[str, Any] = {
        "rank": draw(st.sampled_from(["auto", 0, 1, 2, 3, "bic_ols"])),
        "missing": draw(st.sampled_from(["none", "drop", "fiml"])),
    }
    if draw(st.booleans()):
        Y = np.where(rng.random(Y.shape) < 0.2, np.nan, Y)
    if draw(st.booleans()):
        given["weights"] = rng.choice([0.0, 1.0, 2.5, 1e-12], N)
    form = draw(st.sampled_from(["array", "frame", "object", "nullable", "float32"]))
    with np.errstate(over="ignore"):
        made = {
            "array": lambda: Y,
            "frame": lambda: pd.DataFrame(Y, columns=[f"e{j}" for j in range(K)]),
            "object": lambda: Y.astype(object),
            "nullable": lambda: pd.DataFrame(Y).astype("Float64"),
            "float32": lambda: Y.astype(np.float32),
        }[form]()
    return (made, X), given


def everything(arguments: tuple[Any, ...], given: dict[str, Any]) -> BaseException | None:
    """Fit a system and ask for all that follows; the error that is not of the package, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", AlsglsWarning)
        try:
            res = LowRankSUR(*arguments, **given).fit(n_starts=2)
        except AlsglsError:
            return None
        except Exception as error:
            return error
        for ask in (
            lambda: res.summary().as_text(),
            lambda: res.get_robustcov_results("HC1").bse,
            lambda: res.get_robustcov_results("HAC").bse,
            lambda: res.diagnostics().summary(),
            lambda: res.get_prediction().summary_frame(),
            lambda: res.predict(given=True),
            lambda: res.tidy(),
            lambda: res.factor_scores,
            lambda: res.curvature(),
        ):
            try:
                ask()
            except AlsglsError:
                continue
            except Exception as error:
                return error
    return None
