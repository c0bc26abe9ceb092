"""What is done with options that were read: data in, a fit, a summary and files out."""

from __future__ import annotations

import argparse
import os
import warnings

from sm_alsgls.command_line.commands import COMMANDS, chosen
from sm_alsgls.command_line.reading import read
from sm_alsgls.command_line.showing import Progress, say, trace_text
from sm_alsgls.command_line.writing import check_new, files, reachable, write
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    AlsglsError,
    AlsglsWarning,
    NumberTextError,
    SystemInputError,
    UnbalancedPanelError,
)
from sm_alsgls.progress import asking

_DEMO = {"formula": ["invest ~ value + capital"], "groups": "firm", "time": "year", "rank": 2}

# What the remedies of an error are, where there is no Python.
_HERE: dict[type[AlsglsError], str] = {
    UnbalancedPanelError: " On the command line, DATA must hold only the rows to use.",
    NumberTextError: " On the command line, mend DATA: an empty field is missing.",
}


def fit(args: argparse.Namespace) -> None:
    """Fit, print and write what the options ask for; warnings are lines on stderr.

    Raises
    ------
    AlsglsError
        Where an input cannot be used.
    """
    with warnings.catch_warnings(), asking(False if args.quiet else None):
        warnings.simplefilter("always", AlsglsWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        _fit(args)


def told(problem: AlsglsError) -> str:
    """An error in one line, with what to do about it here."""
    return f"error: {problem}{_HERE.get(type(problem), '')}"


def _fit(args: argparse.Namespace) -> None:
    demo, command = args.data is None, COMMANDS[args.command]
    told = (lambda text: None) if args.quiet else say
    if len(args.decimal) != 1:
        raise SystemInputError(f"--decimal must be one character, got {args.decimal!r}")
    data = load_grunfeld() if demo else read(args.data, args.sheet, args.decimal, told)
    if demo:
        vars(args).update(_DEMO, rank=2 if args.rank is None else args.rank)
    model = command.model(args, data)
    shown = chosen(getattr(args, "equations", None), model)
    if args.out is not None:
        reachable(args.out)
        check_new(
            args.out, ("params.csv", *command.files, "summary.txt", "summary.html"), args.force
        )
    res = command.fit(args, model, None if demo or args.quiet else Progress())
    summary = res.summary(**shown)
    if args.out is not None:
        made = files(res, summary, command.tables(res))
        write(args.out, made)
        told(f"wrote {', '.join(made)} to {args.out}{os.sep}")
    print(summary)
    if demo:
        print(trace_text(res))
        print("\nFor your own data: python -m sm_alsgls --help")
    print(end="", flush=True)
