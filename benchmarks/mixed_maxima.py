"""Does the default fit of a mixed model find the maximum? 40 other starts look for a better one.

    python benchmarks/mixed_maxima.py [--each 17] [--restarts 40] [--json FILE]

Data sets: 20 or 40 groups of 6 to 18 rows; 4, 6 or 8 random effects, a constant among them, of a
true rank of 1 to 3; uniquenesses 0, .1 or 1; variances of effects times .1, 1 or 4, the residuals'
is 1; ML and REML in turns. Models are of rank 1, 2 and 3, right or not, where that is identified:
--each data sets of each of the twelve kinds.

Half of the restarts are the search's own random ones of another seed, half share nothing with it:
loadings are normal and roots of uniquenesses half normal, of a size of .1 to 2 residuals. Each is
climbed to convergence. A maximum counts as missed where a restart ends with a log-likelihood that
is higher by more than 1e-4. Data whose residual variance goes to zero in any of them have none,
and are counted apart.
"""

import argparse
import json
import warnings
from pathlib import Path
from time import process_time

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls.core.mixed.climb import climb
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.residual_laws import Common
from sm_alsgls.core.mixed.structures import LowRank

MISSED = 1e-4
SHAPES = [(4, 1), (6, 2), (6, 3), (8, 1), (8, 2), (8, 3)]
KINDS = [(m, q, rank) for m in (20, 40) for q, rank in SHAPES]


def draw(rng, m, q):
    """Products of a data set."""
    groups = np.repeat(np.arange(m), rng.integers(6, 19, m))
    n = len(groups)
    Z = np.column_stack([np.ones(n), rng.standard_normal((n, q - 1))])
    true = rng.integers(1, 4)
    size = np.sqrt(rng.choice([0.1, 1.0, 4.0]))
    b = rng.standard_normal((m, true)) @ rng.standard_normal((true, q))
    b += rng.standard_normal((m, q)) * np.sqrt(rng.choice([0.0, 0.1, 1.0], q))
    y = size * (Z * b[groups]).sum(axis=1) + rng.standard_normal(n)
    return CrossProducts.of_rows(Z, Z[:, :2], y, groups, m)


def elsewhere(structure, rng):
    """A start of another kind, inside the bounds."""
    x = rng.standard_normal(structure.size) * rng.choice([0.1, 0.5, 1.0, 2.0])
    low = structure.low
    return np.where(np.isfinite(low), np.maximum(np.abs(x), low), x)


def one(seed, m, q, rank, restarts):
    """Of a data set: what was found, what is missed."""
    rng = np.random.default_rng([seed, m, q, rank])
    products, structure, law, reml = draw(rng, m, q), LowRank(q, rank), Common(), bool(seed % 2)
    start = process_time()
    fit = mixed_fit(products, structure, law, reml=reml)
    seconds = process_time() - start
    half = restarts // 2
    others = mixed_fit(
        products, structure, law, reml=reml, n_starts=3 + half, rng=np.random.default_rng(seed + 1)
    )
    climbs = [
        climb(fit.profile, elsewhere(structure, rng), f"elsewhere {k}")
        for k in range(restarts - half)
    ]
    unbounded = any(run.unbounded for run in climbs)
    ends = [run.nll for run in others.runs if run.start == "random"]
    ends = np.array(ends + [run.point.nll for run in climbs])
    best = min(fit.nll, ends.min())
    return {
        "m": m, "q": q, "rank": rank, "seed": seed, "reml": reml, "unbounded": bool(unbounded),
        "gap": float(fit.nll - best), "one start": float(fit.runs[0].nll - best),
        "share": float(np.mean(ends <= best + MISSED)), "converged": bool(fit.converged),
        "seconds": seconds, "starts": len(fit.runs),
    }  # fmt: skip


def line(name, rows):
    """Markdown of some data sets."""
    bounded = [row for row in rows if not row["unbounded"]]
    gaps, ones, shares, seconds = (
        np.array([row[key] for row in bounded]) for key in ("gap", "one start", "share", "seconds")
    )
    return (
        f"| {name} | {len(bounded)} | {len(rows) - len(bounded)} | {shares.min():.2f}, "
        f"{np.median(shares):.2f} | {(ones > MISSED).sum()} | {(gaps > MISSED).sum()} "
        f"| {gaps.max():.2g} | {1e3 * np.median(seconds):.0f} |"
    )


def main(words=None):
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=17)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--restarts", type=int, default=40)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(words)
    warnings.simplefilter("ignore")
    rows = []
    for m, q, rank in KINDS:
        for seed in range(args.first, args.first + args.each):
            rows.append(one(seed, m, q, rank, args.restarts))
            if args.json:
                args.json.write_text(json.dumps(rows, indent=1))
    print(
        "| groups, effects, rank | data sets | without a maximum | restarts at best: least, median "
        "| one start misses | default misses | by at most | default, ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        found = [row for row in rows if (row["m"], row["q"], row["rank"]) == kind]
        print(line(", ".join(map(str, kind)), found))
    print(line("all", rows))
    return rows


if __name__ == "__main__":
    main()
