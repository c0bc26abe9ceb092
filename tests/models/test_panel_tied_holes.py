"""Every combination of laws beside space, with missing cells, against one dense covariance."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.exceptions import NonFiniteError, OptionError
from tests.core.laws import dense as by_differences

RANKS = [0, 1, "full", "exchangeable", "spherical"]


def ring(n):
    W = 0.5 * (np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1))
    W[0, n // 2] += 0.3  # Not mutual.
    return W / W.sum(axis=1, keepdims=True)


def panel(units, periods, seed=1, share=0.12):
    """Long data of units and periods with a bit of every law."""
    rng = np.random.default_rng(seed)
    W, shape = ring(units), (periods, units)
    z, w = rng.standard_normal(shape), rng.standard_normal(periods)
    common = rng.standard_normal((periods, 1)) @ rng.uniform(0.5, 1.0, (1, units))
    v = (common + rng.standard_normal(shape)) * np.exp(0.2 * z + 0.2 * w[:, None])
    for n in range(1, periods):
        v[n] += 0.4 * v[n - 1]
    e = v @ np.linalg.inv(np.eye(units) - 0.3 * W).T
    x = rng.standard_normal(shape)
    y = (1.0 + x + e) @ np.linalg.inv(np.eye(units) - 0.25 * W).T
    y[rng.random(shape) < share] = np.nan
    t, i = np.indices(shape)
    columns = {"y": y, "x": x, "t": t, "i": i, "z": z, "w": np.repeat(w[:, None], units, axis=1)}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def laws_of(names, units):
    values = {
        "ar": "common", "ar_each": "entity", "row_scale": "~ w", "cell_scale": "~ z",
        "spatial_error": ring(units), "spatial_lag": ring(units),
    }  # fmt: skip
    return {name.removesuffix("_each"): values[name] for name in names}


class Dense:
    """The panel's one covariance, from the laws' values and Sigma; rows n, equations j."""

    def __init__(self, frame, names, by_time):
        y, x, z, w, t, i = (frame[name].to_numpy() for name in ("y", "x", "z", "w", "t", "i"))
        order = np.lexsort((i, t) if by_time else (t, i))
        self.y, self.x, self.z, self.w = (v[order] for v in (y, x, z, w))
        self.N, self.K = (len(set(t)), len(set(i))) if by_time else (len(set(i)), len(set(t)))
        self.names, self.by_time = names, by_time
        self.seen = np.isfinite(self.y)
        units = self.K if by_time else self.N
        W = ring(units)
        self.W = np.kron(np.eye(self.N), W) if by_time else np.kron(W, np.eye(self.K))

    def filters(self, values):
        """A, and T of whole rows with spatial errors last where they are among equations."""
        values, N, K = dict(values), self.N, self.K
        eye = np.eye(N * K)
        A = eye - values.get("spatial_lag", 0.0) * self.W
        T = eye
        B = eye - values.get("spatial_error", 0.0) * self.W
        if not self.by_time:
            T = B @ T
        rho = values.get("ar", 0.0) * np.ones(K)
        if "ar_0" in values:
            rho = np.array([values[f"ar_{j}"] for j in range(K)])
        R = eye.copy()
        for n, j in itertools.product(range(N), range(K)):
            if n:
                R[n * K + j, (n - 1) * K + j] = -rho[j]
            else:
                R[j, j] = np.sqrt(1.0 - rho[j] ** 2)
        T = R @ T
        # Scales are of the mean cell: of all, where missing ones count, else of those observed.
        for name, v in (("scale_w", self.w), ("scale_z", self.z)):
            if name in values:
                counted = np.ones_like(self.seen) if self.tied else self.seen
                T = np.exp(-0.5 * values[name] * (v - v[counted].mean()))[:, None] * T
        if self.by_time:
            T = B @ T
        return A, T

    @property
    def tied(self):
        lag = "spatial_lag" in self.names
        scaled = any("scale" in name for name in self.names)
        return not self.by_time or any("ar" in n[:2] for n in self.names) or (lag and scaled)

    def llf(self, values, b, Sigma):
        A, T = self.filters(values)
        half = np.linalg.solve(A, np.linalg.inv(T))
        o = self.seen
        Omega = (half @ np.kron(np.eye(self.N), Sigma) @ half.T)[np.ix_(o, o)]
        mean = np.linalg.solve(A, np.column_stack([np.ones_like(self.x), self.x]) @ b)
        e = (self.y - mean)[o]
        logdet = np.linalg.slogdet(Omega)[1]
        quad = e @ np.linalg.solve(Omega, e)
        return -0.5 * (logdet + quad + o.sum() * np.log(2.0 * np.pi))


def fitted(frame, names, by_time, rank, **options):
    laws = laws_of(names, frame["i"].nunique())
    model = LowRankPanel.from_formula(
        "y ~ x", frame, rank, entity="i", time="t", effects=None, missing="fiml",
        independent="time" if by_time else "entity", **laws,
    )  # fmt: skip
    return model.fit(gtol=1e-8, reml=False, **options)


@functools.cache
def of_case(names, by_time, rank):
    """Data and results of a case: no test changes them."""
    frame = panel(4, 24) if by_time else panel(16, 3)
    if not by_time:  # A scale of rows is one of units.
        frame["w"] = frame.groupby("i")["w"].transform("mean") + np.sin(frame["i"])
    return frame, fitted(frame, names, by_time, rank, n_starts=1)


def values_of(res):
    return res.law_params()["coef"]


def b_of(res):
    return res.params.reindex(["Intercept", "x"]).to_numpy()


TIME = [
    (space, *rows, *scale)
    for space in ("spatial_error", "spatial_lag")
    for rows in ((), ("ar",), ("ar_each",))
    for scale in ((), ("row_scale",), ("cell_scale",))
]
BOTH = [("spatial_error", "spatial_lag", "ar", "cell_scale"), ("spatial_error", "spatial_lag")]
ENTITY = [
    ("spatial_error",), ("spatial_lag",), ("spatial_error", "spatial_lag"),
    ("spatial_error", "row_scale"), ("spatial_lag", "cell_scale"),
]  # fmt: skip
# An unrestricted Sigma among equations takes what spatial errors among them would be.
CASES = [
    (names, by_time, rank)
    for by_time, combinations in ((True, TIME + BOTH), (False, ENTITY))
    for names in combinations
    for rank in RANKS
    if not (by_time and rank == "full" and "spatial_error" in names)
]


# Of these it is shown that they are the maximum over everything.
MAXIMA = [
    (("spatial_error", "ar", "cell_scale"), True, 1),
    (("spatial_lag", "ar_each"), True, 0),
    (("spatial_error", "spatial_lag", "ar", "cell_scale"), True, "spherical"),
    (("spatial_error", "ar", "row_scale"), True, "exchangeable"),
    (("spatial_lag", "ar", "cell_scale"), True, "full"),
    (("spatial_error",), True, "spherical"),
    (("spatial_error", "row_scale"), False, 1),
    (("spatial_lag", "cell_scale"), False, "full"),
    (("spatial_error", "spatial_lag"), False, "exchangeable"),
]
# And of these everything of results.
SHOWN = [(("spatial_error", "ar"), True, 1), (("spatial_lag", "ar_each"), True, 1)]


def pairs(case):
    """Every two of a case's rank, direction, and laws of space, of rows and of scale."""
    names, by_time, rank = case
    parts = [
        tuple(n for n in names if n.startswith(what)) for what in ("spatial", "ar", ("row", "cell"))
    ]
    return set(itertools.combinations(enumerate([rank, by_time, *parts]), 2))


def where_every_two_meet():
    """Those above, and others until every combination of laws and all pairs are there."""
    taken = [*MAXIMA, *SHOWN]
    left = set().union(*map(pairs, CASES)) | {case[:2] for case in CASES}
    while True:
        left -= set().union(*map(pairs, taken)) | {case[:2] for case in taken}
        if not left:
            return taken
        taken.append(max(CASES, key=lambda case: len((pairs(case) | {case[:2]}) & left)))


def label(case):
    names, by_time, rank = case
    return f"{'+'.join(names)}-{'time' if by_time else 'entity'}-{rank}"


@pytest.mark.parametrize("case", where_every_two_meet(), ids=label)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow
def test_likelihood_is_that_of_the_observed_cells(case):
    names, by_time, _ = case
    frame, res = of_case(*case)
    assert res.converged
    found = Dense(frame, names, by_time)
    expected = found.llf(values_of(res), b_of(res), res.sigma.to_dense())
    assert res.llf == pytest.approx(expected, rel=1e-10)
    for name, value in values_of(res).items():
        bent = dict(values_of(res)) | {name: value + 1e-3}
        assert found.llf(bent, b_of(res), res.sigma.to_dense()) < res.llf + 1e-6


@pytest.mark.parametrize("case", MAXIMA, ids=label)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow
def test_it_is_the_maximum_over_everything(case):
    names, by_time, rank = case
    frame, res = of_case(*case)
    found = Dense(frame, names, by_time)
    K, m = found.K, len(values_of(res))
    Sigma = res.sigma.to_dense()
    if rank == "full":
        low = np.tril_indices(K)
        own, made = np.linalg.cholesky(Sigma)[low], lambda s: _square(s, low, K)
    elif rank == "spherical":
        own, made = np.log(Sigma[:1, 0]), lambda s: np.exp(s[0]) * np.eye(K)
    elif rank == "exchangeable":
        own = np.array([Sigma[0, 1], Sigma[0, 0] - Sigma[0, 1]])

        def made(s):
            return s[0] * np.ones((K, K)) + s[1] * np.eye(K)

    else:
        low_rank = res.sigma.low_rank
        F = low_rank.loadings.ravel()
        own = np.r_[F, np.log(low_rank.uniquenesses)]

        def made(s):
            F = s[: rank * K].reshape(K, rank)
            return F @ F.T + np.diag(np.exp(s[rank * K :]))

    def total(theta):
        values = dict(zip(values_of(res).index, theta[:m], strict=True))
        return found.llf(values, theta[m : m + 2], made(theta[m + 2 :])) / found.N

    theta = np.r_[values_of(res), b_of(res), own]
    slope = by_differences.differences(total, theta, 1e-4)
    np.testing.assert_allclose(slope, 0.0, atol=2e-6)


def _square(s, low, K):
    L = np.zeros((K, K))
    L[low] = s
    return L @ L.T


def test_too_many_missing_cells_are_refused_by_their_number():
    frame = panel(40, 100, share=0.8)
    with pytest.raises(OptionError, match=r"\d+ cells are missing, and these laws tie all"):
        LowRankPanel.from_formula(
            "y ~ x", frame, 1, entity="i", time="t", effects=None, missing="fiml",
            spatial_error=ring(40), ar="common",
        )  # fmt: skip


def test_scales_of_missing_cells_are_needed_where_rows_know_of_them():
    frame = panel(4, 24)
    frame.loc[frame["y"].isna(), "z"] = np.nan
    assert fitted(frame, ("spatial_error", "cell_scale"), True, 0).converged
    with pytest.raises(NonFiniteError, match=r"cell_scale: equation '\d'.*give theirs"):
        fitted(frame, ("spatial_error", "ar", "cell_scale"), True, 0)


@pytest.mark.parametrize("share", [0.0, 0.12])
def test_spatial_errors_of_any_sigma_are_not_identified(share):
    with pytest.raises(OptionError, match="not identified"):
        fitted(panel(4, 24, share=share), ("spatial_error",), True, "full")


def test_a_lag_among_rows_needs_regressors_of_its_neighbours_alone():
    frame = panel(16, 3).assign(x=lambda f: f["x"].where(f["y"].notna()))
    with pytest.raises(NonFiniteError, match="spatial_lag=: regressors of equation"):
        fitted(frame, ("spatial_lag",), False, 0)
    assert fitted(frame, ("spatial_error",), False, 0).converged


@pytest.mark.parametrize("case", SHOWN, ids=label)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow
def test_results_of_them(case):
    names, (frame, res) = case[0], of_case(*case)
    mask = frame["y"].notna().to_numpy().reshape(24, 4)
    np.testing.assert_array_equal(res.resid.notna(), mask)
    both = (res.resid + res.fittedvalues).to_numpy()[mask]
    np.testing.assert_allclose(both, frame["y"].to_numpy().reshape(24, 4)[mask])
    assert len(res.law_tests()) >= 2
    # Of each method without laws of time, and of laws of time without neighbours, others draw.
    method = "parametric" if "spatial_lag" in names else "wild"
    assert np.isfinite(res.bootstrap(2, method, rng=0).params.to_numpy()).all()
    assert not res.impute().values.isna().any(axis=None)
    assert np.isfinite(res.get_robustcov_results("HC0").bse).all()


@pytest.mark.parametrize("case", SHOWN, ids=label)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_forecasts_are_means_given_all_that_is_observed(case):
    names, (frame, res) = case[0], of_case(*case)
    assert frame.loc[frame["t"] == 23, "y"].isna().any()
    new = frame[frame["t"] == 0].assign(t=24, x=0.5, y=np.nan)
    found = res.forecast(new.assign(y=0.0)).summary_frame()["mean"]
    longer = Dense(pd.concat([frame, new]), names, True)
    A, T = longer.filters(values_of(res))
    half = np.linalg.solve(A, np.linalg.inv(T))
    Omega = half @ np.kron(np.eye(longer.N), res.sigma.to_dense()) @ half.T
    X = np.column_stack([np.ones_like(longer.x), longer.x])
    mean, o, last = np.linalg.solve(A, X @ b_of(res)), longer.seen, slice(96, 100)
    w = np.linalg.solve(Omega[np.ix_(o, o)], Omega[o, last])
    np.testing.assert_allclose(found, mean[last] + w.T @ (longer.y - mean)[o], atol=1e-8)
