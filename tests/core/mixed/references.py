"""sleepstudy and Orthodont, and what R makes of them (tests/reference/mixed_*.R)."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import patsy

_FOLDER = Path(__file__).parents[2] / "reference"


class Rows(NamedTuple):
    """Arrays of one fit."""

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    codes: np.ndarray
    times: np.ndarray
    weights: np.ndarray
    female: np.ndarray
    groups: list[str]


@cache
def values(package):
    """Of each fit a mapping: package is "lme4", "nlme" or "cluster"."""
    return json.loads((_FOLDER / f"mixed_{package}.json").read_text())


@cache
def frame(name, few=False):
    """The data; `few`: with rows missing."""
    data = pd.read_csv(_FOLDER / f"{name}.csv", dtype={"Subject": str})
    if name == "orthodont":
        data["Sex"] = pd.Categorical(data["Sex"], ["Male", "Female"])
    return data[data["few"] == 1].reset_index(drop=True) if few else data


def _parts(name):
    """Of a coefficient's name, patsy's or R's, what does not depend on who writes it."""
    for old, new in (("[T.", ""), ("]", ""), (" ", ""), ("**", "^"), ("Intercept", "(Intercept)")):
        name = name.replace(old, new)
    return frozenset(name.replace("((", "(").replace("))", ")").split(":"))


def rows(fit):
    """The arrays that a fit of `values` is of, columns in R's order."""
    data, sleep = frame(fit["data"], fit["few"]), fit["data"] == "sleepstudy"
    X, Z = (patsy.dmatrix(fit[name].replace("^", "**"), data) for name in ("fixed", "random"))
    places = {_parts(name): j for j, name in enumerate(X.design_info.column_names)}
    X = np.asarray(X)[:, [places[_parts(name)] for name in fit["names"]]]
    codes, groups = pd.factorize(data["Subject"], sort=True)
    return Rows(
        data["Reaction" if sleep else "distance"].to_numpy(float),
        X,
        np.asarray(Z),
        codes,
        data["Days" if sleep else "occasion"].to_numpy(float),
        data["weight"].to_numpy(float) if fit.get("weighted") else np.ones(len(data)),
        np.zeros(len(data), bool) if sleep else (data["Sex"] == "Female").to_numpy(),
        list(groups),
    )
