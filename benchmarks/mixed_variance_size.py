"""Size of `variance_test`: no random intercept, no random slope, one factor against two.

    python benchmarks/mixed_variance_size.py [--groups 20 50] [--draws 500] [--only rank]

Groups of 10 to 20 rows; residuals have variance 1, a random intercept .5, five effects one factor
with loadings near .6 and uniquenesses of .2. Rejections of true hypotheses at 5 %, Monte Carlo
standard errors in brackets, beside those of chi2 with as many degrees of freedom as parameters.
The bootstrap of one factor against two has one draw a replication, and a replication is compared
with the draws of all (Giacomini, Politis and White 2013, Econometric Theory 29): it is the size of
many draws.
"""

import argparse
import json
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from scipy import stats

from sm_alsgls import LowRankMixedLM

LOADINGS = np.array([[0.7], [0.6], [0.5], [-0.6], [0.6]])
# Random effects that the model has, their true covariance, the model's rank and the test.
TESTS = {
    "no random intercept": (np.zeros((1, 1)), "full", {}),
    "no random slope": (np.diag([0.5, 0.0]), "full", {"drop": "last"}),
    "one factor against two": (
        LOADINGS @ LOADINGS.T + 0.2 * np.eye(5), 2, {"null": 1, "reps": 1, "method": "bootstrap"}
    ),
}  # fmt: skip
WORDS = {"intercept": "no random intercept", "slope": "no random slope"}
WORDS["rank"] = "one factor against two"


def one(i, seed, m, name):
    """Statistic, p-value, parameters, and the bootstrap's statistic of a replication."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng([seed, m, i])
    G, rank, test = TESTS[name]
    groups = np.repeat(np.arange(m), rng.integers(10, 21, m))
    x = rng.standard_normal((len(groups), max(len(G) - 1, 1)))
    X = np.column_stack([np.ones(len(groups)), x])
    Z = X[:, : len(G)]
    effects = rng.multivariate_normal(np.zeros(len(G)), G, m)
    y = (Z * effects[groups]).sum(axis=1) + rng.standard_normal(len(groups))
    made = LowRankMixedLM(y, X, groups, exog_re=Z, rank=rank)
    if "drop" in test:
        test = {"drop": made.exog_re_names[-1]}
    if "reps" in test:
        test = test | {"rng": rng}
    found = made.fit().variance_test(**test)
    drawn = np.nan if found.draws is None else float(found.draws[0])
    return found.statistic, found.pvalue, found.df_diff, drawn


def rejections(rows, level=0.05):
    """Share that is rejected by the test and by chi2, with standard errors."""
    statistic, p, df, drawn = np.array(rows).T
    if np.isfinite(drawn).all():
        p = (1.0 + (drawn >= statistic[:, None]).sum(axis=1)) / (1.0 + len(drawn))
    out = {}
    for name, values in (("test", p), ("chi2", stats.chi2.sf(statistic, df))):
        share = float((values <= level).mean())
        out[name] = [share, float(np.sqrt(share * (1.0 - share) / len(rows)))]
    return out


def main(argv=None):
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--groups", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--only", nargs="+", choices=WORDS, default=list(WORDS))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    print("| true hypothesis | groups | draws | rejects at 5 % | by chi2 |\n|---|---|---|---|---|")
    made = {}
    for word in given.only:
        for m in given.groups:
            job = partial(one, seed=given.seed, m=m, name=WORDS[word])
            if given.processes == 1:
                rows = [job(i) for i in range(given.draws)]
            else:
                with ProcessPoolExecutor(given.processes) as pool:
                    rows = list(pool.map(job, range(given.draws), chunksize=5))
            made[f"{WORDS[word]}, {m}"] = found = rejections(rows)
            cells = " | ".join(f"{share:.3f} ({se:.3f})" for share, se in found.values())
            print(f"| {WORDS[word]} | {m} | {len(rows)} | {cells} |", flush=True)
            if given.json is not None:
                given.json.write_text(json.dumps(made, indent=1))
    return made


if __name__ == "__main__":
    main()
