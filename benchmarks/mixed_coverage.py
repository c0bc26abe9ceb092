"""Coverage of fixed effects of mixed models whose rank is right, one too few and one too many.

    python benchmarks/mixed_coverage.py --groups 10 [--effects weak] [--draws 500] [--json FILE]

Groups of 10 to 20 rows, y = a + b'x + c g + Z b_i + u with five regressors x that move within
groups, g that does not, Z = [1 x], G = Lambda Lambda' + Psi of rank 2; all normal. "strong": slopes
vary as much as residuals do, and G is what a coefficient's variance is of. "weak": a
tenth of that, about what the rows of a group tell of its slopes, so that many variances are
estimated to be zero. Models are of rank 1, 2 and 3, diagonal and full, by REML.

With --laws residuals of odd rows of a group have twice the standard deviation ("levels"), follow on
one another with .6 ("ar"), or both, in 24 rows a group, and models are told so.

Coverage is of nominal 95 %, of the constant, of g and of the mean of five slopes; Monte Carlo
standard errors in brackets are of draws. "length" is the mean length of intervals in those with
everything known, "df" the median. "z" is Satterthwaite's with the normal law, as MixedLM has it.
"""

import argparse
import json
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls import LowRankMixedLM
from sm_alsgls.exceptions import NotApplicableError

Q = 6
LOADINGS = np.array(
    [[0.8, 0.0], [0.7, 0.4], [0.6, -0.5], [0.7, 0.3], [-0.5, 0.6], [0.4, 0.6]]
)  # fmt: skip
UNIQUENESSES = np.array([0.3, 0.2, 0.3, 0.2, 0.3, 0.4])
RHO = 0.6
SIZES = {"strong": 1.0, "weak": 0.1}
RANKS = {"rank 1": 1, "rank 2": 2, "rank 3": 3, "diagonal": 0, "full": "full"}
KINDS = {"constant": [0], "g": [Q], "slopes": list(range(1, Q))}
# What models are told of residuals, see `residuals`.
LAWS = {"none": (), "levels": ("residual",), "ar": ("ar",), "both": ("residual", "ar")}
COVS = {"Satterthwaite": "nonrobust", "Kenward-Roger": "kenward-roger", "CR2": "CR2"}


def truth(effects):
    """G."""
    return SIZES[effects] * (LOADINGS @ LOADINGS.T + np.diag(UNIQUENESSES))


def residuals(n, law="none"):
    """R, the covariance of the residuals of a group's n rows."""
    t = np.arange(n)
    R = RHO ** np.abs(t[:, None] - t) if "ar" in LAWS[law] else np.eye(n)
    scale = 1.0 + t % 2 if "residual" in LAWS[law] else np.ones(n)
    return R * scale[:, None] * scale


def draw(rng, m, effects, law="none"):
    """y, X, Z and groups; all coefficients are zero."""
    rows = rng.integers(10, 21, m) if law == "none" else np.full(m, 24)
    groups = np.repeat(np.arange(m), rows)
    n = len(groups)
    Z = np.column_stack([np.ones(n), rng.standard_normal((n, Q - 1))])
    X = np.column_stack([Z, rng.standard_normal(m)[groups]])
    b = rng.multivariate_normal(np.zeros(Q), truth(effects), m)
    u = rng.standard_normal(n)
    if law != "none":
        u = (u.reshape(m, -1) @ np.linalg.cholesky(residuals(24, law)).T).ravel()
    return (Z * b[groups]).sum(axis=1) + u, X, Z, groups


def known(y, X, Z, groups, effects, law="none"):
    """GLS with G and the residuals' covariance known: estimates and standard errors."""
    H, h, G = 0.0, 0.0, truth(effects)
    for i in np.unique(groups):
        at = groups == i
        WX = np.linalg.solve(residuals(at.sum(), law) + Z[at] @ G @ Z[at].T, X[at])
        H, h = H + WX.T @ X[at], h + WX.T @ y[at]
    V = np.linalg.inv(H)
    return V @ h, np.sqrt(np.diagonal(V))


def intervals(model):
    """Estimates, half lengths and df of all coefficients by all standard errors."""
    res = model.fit(cov_type="nonrobust")
    out, failed = {}, [] if res.converged else ["did not converge"]
    b = np.asarray(res.params)
    se = np.asarray(res.bse)
    out["z"] = (b, stats.norm.ppf(0.975) * se, np.full(len(b), np.inf))
    for name, cov_type in COVS.items():
        try:
            other = res.get_robustcov_results(cov_type)
            df = other.normalized_cov_params.coefficient_df()
        except NotApplicableError as error:
            failed.append(f"{name}: {error}")
            continue
        out[name] = (b, stats.t.ppf(0.975, df) * np.asarray(other.bse), df)
    return out, failed


def one(i, seed, m, effects, ranks, law="none"):
    """Of a draw: (model, errors) to (covered, half length, df) of kinds of coefficients."""
    warnings.simplefilter("ignore")
    y, X, Z, groups = draw(np.random.default_rng([seed, m, i]), m, effects, law)
    b, se = known(y, X, Z, groups, effects, law)
    told = {
        name: "groups" if name == "ar" else np.where(np.arange(len(y)) % 2, "odd", "even")
        for name in LAWS[law]
    }
    base = stats.norm.ppf(0.975) * se
    found, failed = {("G known", "z"): (b, base, np.full(len(b), np.inf))}, {}
    for name in ranks:
        made, said = intervals(LowRankMixedLM(y, X, groups, exog_re=Z, rank=RANKS[name], **told))
        found |= {(name, errors): three for errors, three in made.items()}
        if said:
            failed[name] = said
    rows = {}
    for key, (b, half, df) in found.items():
        cells = np.array([np.abs(b) <= half, half / base, df], dtype=float)
        rows["/".join(key)] = {kind: cells[:, at].mean(axis=1) for kind, at in KINDS.items()}
    return rows, failed


def table(draws):
    """Coverage with its standard error, length and df of each model and errors, kind by kind."""
    cells = defaultdict(lambda: defaultdict(list))
    for rows, _ in draws:
        for key, kinds in rows.items():
            for kind, three in kinds.items():
                cells[key][kind].append(three)
    out = {}
    for key, kinds in cells.items():
        out[key] = {}
        for kind, found in kinds.items():
            covered, length, df = np.array(found).T
            out[key][kind] = {
                "coverage": float(covered.mean()),
                "se": float(covered.std() / np.sqrt(len(covered))),
                "length": float(length.mean()),
                "df": float(np.median(df)),
                "draws": len(covered),
            }
    return out


def show(title, rows, draws):
    """Print a table."""
    print(f"\n{title}, {len(draws)} draws")
    print("| | " + " | ".join(f"{kind} | length | df" for kind in KINDS) + " |")
    print("|---|" + "---|" * (3 * len(KINDS)))
    for key, kinds in rows.items():
        cells = (
            f"{c['coverage']:.3f} ({c['se']:.3f}) | {c['length']:.2f} | {c['df']:.1f}"
            for c in kinds.values()
        )
        print(f"| {key.replace('/', ', ')} | " + " | ".join(cells) + " |")
    failed = defaultdict(list)
    for i, (_, said) in enumerate(draws):
        for name, texts in said.items():
            failed[name] += [f"{i}: {text}" for text in texts]
    for name, texts in failed.items():
        print(f"{name}: {len(texts)} without, {texts[:2]}")


def run(m, effects, draws, seed=0, ranks=tuple(RANKS), processes=2, law="none"):
    """All draws."""
    job = partial(one, seed=seed, m=m, effects=effects, ranks=ranks, law=law)
    if processes == 1:
        return [job(i) for i in range(draws)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(job, range(draws), chunksize=5))


def main(argv=None):
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--groups", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--effects", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--ranks", nargs="+", choices=RANKS, default=list(RANKS))
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=["none"])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    made = {}
    for law, effects, m in product(given.laws, given.effects, given.groups):
        draws = run(m, effects, given.draws, given.seed, given.ranks, given.processes, law)
        title = f"{effects}, {m} groups" + (f", residuals: {law}" if law != "none" else "")
        made[title] = rows = table(draws)
        show(title, rows, draws)
        if given.json is not None:
            given.json.write_text(json.dumps(made, indent=1))
    return made


if __name__ == "__main__":
    main()
