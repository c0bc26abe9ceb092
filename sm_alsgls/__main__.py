"""Command line: formulas and a data file in; a summary on stdout and, with --out, files.

Exit status: 0 when there is a fit (one that has not converged says so in a warning and in its
summary), 2 when the input cannot be used, 130 after Ctrl-C, 141 when the reader of the output
went away.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from sm_alsgls.command_line.commands import COMMANDS, chosen
from sm_alsgls.command_line.options import read_options
from sm_alsgls.command_line.reading import read
from sm_alsgls.command_line.showing import Progress, mute, say, trace_text
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
_HERE = {
    UnbalancedPanelError: " On the command line, DATA must hold only the rows to use.",
    NumberTextError: " On the command line, mend DATA: an empty field is missing.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default those of the process.

    Returns
    -------
    int
        Exit status.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", AlsglsWarning)
            warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
            try:
                args = read_options(argv)
            except SystemExit as done:  # --help and --version
                return int(done.code or 0)
            with asking(False if args.quiet else None):
                _run(args)
        return 0
    except SystemExit:
        # Formulas are code: one that ends the process is no success.
        say("error: something asked to end the process; nothing was fitted or written")
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except BrokenPipeError:
        mute()
        return 141
    except AlsglsError as problem:
        say(f"error: {problem}{_HERE.get(type(problem), '')}")
    except MemoryError:
        say("error: not enough memory for this system; use fewer rows or equations")
    except OSError as problem:  # only printing is left: reading and writing have their own words
        say(f"error: cannot print the results: {problem.strerror or problem}")
        mute()
    return 2


def _run(args: argparse.Namespace) -> None:
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
        print("\nData: 11 US firms, 1935-1954 (Grunfeld 1958); invest ~ value + capital")
        print("For your own data: python -m sm_alsgls --help")
    print(end="", flush=True)


def program() -> None:
    """The console script ``sm-alsgls``, and ``python -m sm_alsgls``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without UTF-8 still gets its table
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


if __name__ == "__main__":
    program()
