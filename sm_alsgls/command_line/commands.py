"""What each command fits: a model of the options, its fit, and its tables beside parameters."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR
from sm_alsgls.command_line.writing import of_errors
from sm_alsgls.exceptions import SystemInputError
from sm_alsgls.progress import asking

Tables = dict[str, pd.DataFrame]


class Command(NamedTuple):
    """A model on the command line."""

    model: Callable[[argparse.Namespace, pd.DataFrame], Any]
    fit: Callable[[argparse.Namespace, Any, Any], Any]
    tables: Callable[[Any], Tables]
    #: Files it may write beside params.csv, summary.txt and summary.html.
    files: tuple[str, ...]


def _formula(args: argparse.Namespace) -> Any:
    return args.formula[0] if len(args.formula) == 1 else args.formula


def _one_formula(args: argparse.Namespace) -> str:
    if len(args.formula) > 1:
        raise SystemInputError(
            f"{args.command} takes one --formula, got {len(args.formula)}; systems of several "
            "equations are the command without a word before DATA"
        )
    return str(args.formula[0])


def _common(args: argparse.Namespace) -> Any:
    return True if args.common == ["all"] else args.common or False


def covariance(args: argparse.Namespace) -> dict[str, Any]:
    """``cov_type`` and its options, for `fit`."""
    options = {"groups": args.cluster, "maxlags": args.maxlags}
    given = {name: value for name, value in options.items() if value is not None}
    if args.cov_type is None:
        if given:
            raise SystemInputError(
                "--cluster and --maxlags are of a --cov-type: --cov-type cluster --cluster COLUMN, "
                "--cov-type HAC --maxlags N"
            )
        return {}
    return {"cov_type": args.cov_type, "cov_kwds": given or None}


def _sur(args: argparse.Namespace, data: pd.DataFrame) -> Any:
    return LowRankSUR.from_formula(
        _formula(args),
        data,
        rank="auto" if args.rank is None else args.rank,
        groups=args.groups,
        time=args.time,
        missing=args.missing,
        weights=args.weights,
        common=_common(args),
        ar=args.ar,
        eval_env={"np": np},
    )


def _maximum(args: argparse.Namespace, model: Any, callback: Any) -> Any:
    # A line a sweep says more than a bar, and both are one too many.
    with asking(False):
        return model.fit(
            n_starts=args.n_starts,
            rng=args.seed,
            max_sweeps=args.max_sweeps,
            gtol=args.gtol,
            debiased=not args.plain_ml,
            callback=callback,
            **covariance(args),
        )


def _system_tables(res: Any) -> Tables:
    return {**of_errors(res), "trace.csv": res.trace}


def _panel(args: argparse.Namespace, data: pd.DataFrame) -> Any:
    return LowRankPanel.from_formula(
        _one_formula(args),
        data,
        "auto" if args.rank is None else args.rank,
        entity=args.entity,
        time=args.time,
        independent=args.independent,
        effects=args.effects,
        missing=args.missing or "fiml",
        weights=args.weights,
        ar=args.ar,
        eval_env={"np": np},
    )


def _three(args: argparse.Namespace, data: pd.DataFrame) -> Any:
    return LowRank3SLS.from_formula(
        _formula(args),
        data,
        rank="auto" if args.rank is None else args.rank,
        instruments=args.instruments,
        groups=args.groups,
        time=args.time,
        missing=args.missing,
        weights=args.weights,
        common=_common(args),
        eval_env={"np": np},
    )


def _solve(args: argparse.Namespace, model: Any, callback: Any) -> Any:
    return model.fit(
        args.method, iterate=args.iterate, debiased=not args.plain_ml, **covariance(args)
    )


def _three_tables(res: Any) -> Tables:
    return {
        **of_errors(res),
        "iterations.csv": res.iterations,
        "first_stage.csv": res.first_stage.table,
    }


def _mixed(args: argparse.Namespace, data: pd.DataFrame) -> Any:
    return LowRankMixedLM.from_formula(
        _one_formula(args),
        data,
        args.re_formula,
        rank="auto" if args.rank is None else args.rank,
        groups=args.groups,
        missing=args.missing or "drop",
        weights=args.weights,
        eval_env={"np": np},
    )


def _restricted(args: argparse.Namespace, model: Any, callback: Any) -> Any:
    return model.fit(reml=not args.ml, n_starts=args.n_starts, rng=args.seed, **covariance(args))


def _mixed_tables(res: Any) -> Tables:
    return {
        "cov_re.csv": res.cov_re,
        "random_effects.csv": res.random_effects_frame(),
        "trace.csv": res.trace,
    }


_OF_SYSTEMS = ("loadings.csv", "sigma.csv", "trace.csv")
COMMANDS = {
    "sur": Command(_sur, _maximum, _system_tables, _OF_SYSTEMS),
    "panel": Command(_panel, _maximum, _system_tables, _OF_SYSTEMS),
    "3sls": Command(
        _three,
        _solve,
        _three_tables,
        ("loadings.csv", "sigma.csv", "iterations.csv", "first_stage.csv"),
    ),
    "mixed": Command(
        _mixed,
        _restricted,
        _mixed_tables,
        ("cov_re.csv", "random_effects.csv", "trace.csv"),
    ),
}


def chosen(asked: list[str] | None, model: Any) -> dict[str, Any]:
    """What ``--equations`` asks of a summary, checked before the fit."""
    if asked is None:
        return {}
    names = list(getattr(model, "equations", ()))
    if not names:
        raise SystemInputError("--equations is of systems, and this model has one equation")
    if asked == ["all"]:
        return {"equations": "all"}
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            listed = ", ".join(map(repr, near or names[:8]))
            more = ", ..." if not near and len(names) > 8 else ""
            raise SystemInputError(
                f"--equations: no equation is called {name!r} "
                f"({'did you mean' if near else 'there are'} {listed}{more}{'?' * bool(near)})"
            )
    return {"equations": asked}
