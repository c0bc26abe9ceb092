"""Fits of small panels with each law of the errors, all of them, and holes; and their dense twins.

A twin is the covariance of all cells' responses, rows after rows, at the estimates: nothing of the
package but the estimates themselves.
"""

import contextlib
import functools
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.exceptions import RestrictedLikelihoodWarning

K, N = 5, 40
UNITS = [f"u{i}" for i in range(K)]


class Case(NamedTuple):
    """Arguments of a model."""

    laws: dict
    holes: bool = False
    units: bool = False


def uncorrected(case):
    """Rows that are not whole have no restricted likelihood, and a fit says so."""
    if not case.holes or not {"ar", "row_scale", "cell_scale"} & set(case.laws):
        return contextlib.nullcontext()
    return pytest.warns(RestrictedLikelihoodWarning, match="cells are missing")


def neighbours(labels, seed=0):
    """A ring with weights of its own, rows that sum to one."""
    n = len(labels)
    W, rng = np.zeros((n, n)), np.random.default_rng(seed)
    for i in range(n):
        W[i, [(i + 1) % n, i - 1]] = rng.uniform(0.5, 1.5, 2)
    return pd.DataFrame(W / W.sum(axis=1, keepdims=True), labels, labels)


W = neighbours(UNITS)
MANY = [f"m{i:02d}" for i in range(40)]
W_MANY = neighbours(MANY, 1)

CASES = {
    "none": Case({}),
    "ar": Case({"ar": "common"}),
    "each": Case({"ar": "entity"}),
    "row_scale": Case({"row_scale": "~ z"}),
    "cell_scale": Case({"cell_scale": "~ zc"}),
    "error": Case({"spatial_error": W}),
    "lag": Case({"spatial_lag": W}),
    "each, cells, lag": Case({"ar": "entity", "cell_scale": "~ zc", "spatial_lag": W}),
    "all": Case({"ar": "common", "row_scale": "~ z", "spatial_error": W, "spatial_lag": W}),
    "ar, holes": Case({"ar": "common"}, holes=True),
    "each, cells, holes": Case({"ar": "entity", "cell_scale": "~ zc"}, holes=True),
    "units, error": Case({"spatial_error": W_MANY}, units=True),
    "units, lag": Case({"spatial_lag": W_MANY}, units=True),
    "units, all": Case(
        {"row_scale": "~ z", "spatial_error": W_MANY, "spatial_lag": W_MANY}, units=True
    ),
}
LAWS = [name for name in CASES if name != "none"]
WITH_LAG = [name for name in LAWS if "spatial_lag" in CASES[name].laws]


@functools.cache
def data_of(units, holes):
    """A long panel (time, entity): AR, scales, a factor, neighbours."""
    rng = np.random.default_rng(11)
    T, entities = (5, MANY) if units else (N, UNITS)
    n = len(entities)
    M = (W_MANY if units else W).to_numpy()
    x, zc = rng.standard_normal((T, n)), rng.standard_normal((T, n))
    z = rng.standard_normal(n)[None, :] if units else rng.standard_normal((T, 1))
    v = rng.standard_normal((T, 1)) * rng.uniform(0.7, 1.1, n) + 0.8 * rng.standard_normal((T, n))
    v = v * np.exp(0.3 * z + 0.3 * zc * (not units))
    e = np.empty((T, n))
    e[0] = v[0]
    for t in range(1, T):
        e[t] = 0.5 * e[t - 1] + v[t]
    y = (1.0 + x + e) @ np.linalg.inv(np.eye(n) - 0.3 * M).T
    frame = pd.DataFrame(
        {
            "entity": np.tile(entities, T),
            "year": np.repeat(np.arange(1990, 1990 + T), n),
            "y": y.ravel(),
            "x": x.ravel(),
            "z": np.broadcast_to(z, (T, n)).ravel(),
            "zc": zc.ravel(),
        }
    )
    if holes:
        gone = rng.random(len(frame)) < 0.15
        gone |= (frame["year"] == 1996).to_numpy()  # a period that is there for nobody
        gone |= ((frame["entity"] == "u1") & (frame["year"] >= 2028)).to_numpy()
        frame = frame[~gone].reset_index(drop=True)
        frame.loc[rng.random(len(frame)) < 0.1, "y"] = np.nan
    return frame


@functools.cache
def fitted(name, rank=1):
    """Results of a case."""
    case = CASES[name]
    model = LowRankPanel.from_formula(
        "y ~ x",
        data_of(case.units, case.holes),
        rank,
        entity="entity",
        time="year",
        independent="entity" if case.units else "time",
        heterogeneous=[] if case.units else ["x"],
        **case.laws,
    )
    with uncorrected(case):
        return model.fit()


def new_data(name, periods=3, first=None):
    """Data of all units: of later periods, or of the same ones where these are equations."""
    case = CASES[name]
    frame = data_of(case.units, False)
    years = sorted(frame["year"].unique())
    rng = np.random.default_rng(5)
    if case.units:
        out = frame.copy()
    else:
        out = frame[frame["year"].isin(years[:periods])].copy()
        out["year"] += N if first is None else first
    out["x"] = rng.standard_normal(len(out))
    return out.reset_index(drop=True)


def values(res):
    return res.law_params()["coef"] if res.estimate.laws is not None else pd.Series(dtype=float)


def scales(res, name, extra, new=None):
    """h of the cells (n, K), those of ``extra`` rows of mean scale, but of the ``new`` data's."""
    case, par = CASES[name], values(res)
    mask = np.isfinite(res.resid.to_numpy())
    n, k = mask.shape
    h = np.ones((n + extra, k))
    for argument, column in (("row_scale", "z"), ("cell_scale", "zc")):
        if argument not in case.laws:
            continue
        keys = ("entity", "year") if case.units else ("year", "entity")
        wide = data_of(case.units, case.holes).pivot(index=keys[0], columns=keys[1], values=column)
        zc = wide.to_numpy()[:n]
        zc = np.where(mask, zc, np.nan)
        h[:n] = np.exp(par[f"scale_{column}"] * (zc - np.nanmean(zc)))
        if new is not None:
            z = new.pivot(index=keys[0], columns=keys[1], values=column).to_numpy()
            h[-len(z) :] = np.exp(par[f"scale_{column}"] * (z - np.nanmean(zc)))
    return h


def twin(name, extra=0, process=True, new=None):
    """Dense covariance of cells at the estimates, with ``extra`` periods after the last row.

    ``new``: data of the last of these, which have scales of their own.
    ``process``: of the process at all periods; else as the likelihood has it where cells are
    missing, whose innovations over a gap have the scale of their last cell.
    """
    res, case = fitted(name), CASES[name]
    par, Sigma = values(res), res.sigma.to_dense()
    k = len(Sigma)
    index = res.resid.index
    n = len(index)
    rho = np.zeros(k)
    if "ar" in par.index:
        rho[:] = par["ar"]
    elif case.laws.get("ar") == "entity":
        rho = par[[f"ar_{u}" for u in res.model.equations]].to_numpy()
    times = (
        np.arange(n + extra)
        if case.units
        else np.r_[index.to_numpy() - index[0], index[-1] - index[0] + 1 + np.arange(extra)]
    )
    h = np.nan_to_num(scales(res, name, extra, new), nan=1.0)
    total = n + extra
    # Rows of what filters of rows leave have the covariance S.
    S = Sigma
    if "spatial_error" in case.laws and not case.units:
        B = np.linalg.inv(np.eye(k) - par["spatial_error"] * W.to_numpy())
        S = B @ Sigma @ B.T
    U = np.kron(np.eye(total), S) * np.outer(np.sqrt(h).ravel(), np.sqrt(h).ravel())
    L = np.zeros((total, k, total, k))
    seen = np.r_[np.isfinite(res.resid.to_numpy()), np.ones((extra, k), dtype=bool)]
    for j in range(k):
        at = np.arange(total) if process else np.flatnonzero(seen[:, j])
        T = np.zeros((len(at), len(at)))
        T[0, 0] = np.sqrt(1 - rho[j] ** 2)
        for i in range(1, len(at)):
            g = times[at[i]] - times[at[i - 1]]
            s = np.sqrt((1 - rho[j] ** 2) / (1 - rho[j] ** (2 * g)))
            T[i, i], T[i, i - 1] = s, -s * rho[j] ** g
        L[np.ix_(at, [j], at, [j])] = np.linalg.inv(T)[:, None, :, None]
    L = L.reshape(total * k, total * k)
    A = np.eye(total * k)
    if case.units:
        M = W_MANY.to_numpy()
        if "spatial_error" in case.laws:
            B = np.linalg.inv(np.eye(total) - par["spatial_error"] * M)
            L = np.kron(B, np.eye(k))
        if "spatial_lag" in case.laws:
            A = np.kron(np.linalg.inv(np.eye(total) - par["spatial_lag"] * M), np.eye(k))
    elif "spatial_lag" in case.laws:
        inverse = np.linalg.inv(np.eye(k) - par["spatial_lag"] * W.to_numpy())
        A = np.kron(np.eye(total), inverse)
    return A @ L @ U @ L.T @ A.T, A
