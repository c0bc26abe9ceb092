"""Coverage of a mixed model's fixed effects by the parametric bootstrap, few groups.

    python benchmarks/mixed_bootstrap.py [--groups 10] [--effects strong] [--ranks 2 3]
        [--draws 300] [--reps 99] [--json FILE]

Data as in mixed_coverage.py, the same draws. Each fit, by REML, is drawn from and fitted again
--reps times. Intervals of nominal 95 %:

    Kenward-Roger    t with its degrees of freedom, no bootstrap
    percentile       quantiles of b*
    basic            2 b less these
    t                |b* - b| / se*, se of s2 H^-1: what `conf_int()` of `bootstrap()` inverts
    t, Kenward-Roger the same with Kenward and Roger's standard errors, of replicates as well
    likelihood ratio of g, by maximum likelihood, with chi2(1): a profile interval has 0 inside

Quantiles are of reps + 1 in the denominator, so that few replicates do not make intervals short.
Monte Carlo standard errors in brackets are of draws; "length" is in intervals with everything
known.
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
import mixed_coverage
import numpy as np
from scipy import stats

from sm_alsgls import LowRankMixedLM
from sm_alsgls.core.mixed.kenward_roger import KenwardRogerCovariance
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.simulation import Draws

KINDS = mixed_coverage.KINDS


def replicates(fit, reps, rng):
    """Of refits: b - the parent's, plain standard errors, Kenward and Roger's; (reps, p) each."""
    draws, found = Draws(fit), []
    for source in rng.spawn(reps):
        again = mixed_fit(
            draws.one(source), fit.structure, fit.law, reml=True, n_starts=1, first=fit
        )
        corrected = KenwardRogerCovariance(again).combinations(np.eye(len(fit.b)))
        plain, adjusted = (np.sqrt(np.diagonal(C)) for C in (again.cov_b, corrected))
        found.append((again.b - fit.b, plain, adjusted))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def quantile(draws, share):
    """Of every column, (p,)."""
    return np.quantile(draws, share, axis=0, method="weibull")


def intervals(fit, reps, rng):
    """Lower and upper ends, (p,) each, by name."""
    b, plain = fit.b, np.sqrt(np.diagonal(fit.cov_b))
    corrected = KenwardRogerCovariance(fit)
    adjusted = np.sqrt(np.diagonal(corrected.combinations(np.eye(len(b)))))
    moves, plains, adjusteds = replicates(fit, reps, rng)
    half = stats.t.ppf(0.975, corrected.coefficient_df()) * adjusted
    low, high = quantile(moves, 0.025), quantile(moves, 0.975)
    t = quantile(np.abs(moves / plains), 0.95) * plain
    t_adjusted = quantile(np.abs(moves / adjusteds), 0.95) * adjusted
    return {
        "Kenward-Roger": (b - half, b + half),
        "percentile": (b + low, b + high),
        "basic": (b - high, b - low),
        "t": (b - t, b + t),
        "t, Kenward-Roger": (b - t_adjusted, b + t_adjusted),
    }


def inside_profile(y, X, Z, groups, rank):
    """Whether a likelihood ratio accepts that the last coefficient is zero."""
    free, without = (
        LowRankMixedLM(y, columns, groups, exog_re=Z, rank=rank).fit(reml=False).llf
        for columns in (X, X[:, :-1])
    )
    return 2.0 * (free - without) <= stats.chi2.ppf(0.95, 1)


def one(i, seed, m, effects, ranks, reps):
    """Of a draw: "rank r, name" to coverage and length of kinds of coefficients."""
    warnings.simplefilter("ignore")
    y, X, Z, groups = mixed_coverage.draw(np.random.default_rng([seed, m, i]), m, effects)
    base = 2.0 * stats.norm.ppf(0.975) * mixed_coverage.known(y, X, Z, groups, effects)[1]
    rows = {}
    for rank in ranks:
        res = LowRankMixedLM(y, X, groups, exog_re=Z, rank=rank).fit(cov_type="nonrobust")
        made = intervals(res.estimate.fit, reps, np.random.default_rng([seed, m, i, rank]))
        for name, (low, high) in made.items():
            cells = np.array([(low <= 0.0) & (high >= 0.0), (high - low) / base], dtype=float)
            rows[f"rank {rank}, {name}"] = {
                kind: cells[:, at].mean(axis=1).tolist() for kind, at in KINDS.items()
            }
        accepted = float(inside_profile(y, X, Z, groups, rank))
        rows[f"rank {rank}, likelihood ratio"] = {"g": [accepted, np.nan]}
    return rows


def show(draws):
    """Print the table; coverage, its standard error and length of every row are returned."""
    print("| | " + " | ".join(f"{kind} | length" for kind in KINDS) + " |")
    print("|---|" + "---|" * (2 * len(KINDS)))
    found = {}
    for key in draws[0]:
        cells, found[key] = [], {}
        for kind in KINDS:
            if kind not in draws[0][key]:
                cells.append(" | ")
                continue
            covered, length = np.array([rows[key][kind] for rows in draws]).T
            se = covered.std() / np.sqrt(len(covered))
            found[key][kind] = float(covered.mean()), float(se), float(length.mean())
            said = "" if np.isnan(length).all() else f"{length.mean():.2f}"
            cells.append(f"{covered.mean():.3f} ({se:.3f}) | {said}")
        print(f"| {key} | " + " | ".join(cells) + " |", flush=True)
    return found


def main(words=None):
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", type=int, default=10)
    parser.add_argument("--effects", choices=mixed_coverage.SIZES, default="strong")
    parser.add_argument("--ranks", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--reps", type=int, default=99)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="keep what every draw said, a line each")
    args = parser.parse_args(words)
    work = partial(
        one,
        seed=args.seed,
        m=args.groups,
        effects=args.effects,
        ranks=tuple(args.ranks),
        reps=args.reps,
    )
    draws = []
    with ProcessPoolExecutor(args.processes) as pool:
        for rows in pool.map(work, range(args.draws)):
            draws.append(rows)
            if args.json:
                with args.json.open("a") as file:
                    file.write(json.dumps(rows) + "\n")
    print(f"\n{args.effects}, {args.groups} groups, {args.draws} draws of {args.reps} refits\n")
    return show(draws)


if __name__ == "__main__":
    main()
