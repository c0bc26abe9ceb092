"""Command line: formulas and a data file in; a summary on stdout and, with --out, files.

Exit status: 0 when there is a fit (one that has not converged says so in a warning and in its
summary), 2 when the input cannot be used, 130 after Ctrl-C, 141 when the reader of the output
went away.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import sm_alsgls
from sm_alsgls.command_line.options import read_options
from sm_alsgls.command_line.showing import mute, say

_DEMO = "A demo, of 11 US firms, 1935-1954 (Grunfeld 1958): invest ~ value + capital\n"


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
        try:
            args = read_options(argv)
        except SystemExit as done:  # --help and --version, which need neither models nor pandas
            return int(done.code or 0)
        if args.data is None:  # at once: statsmodels takes a second to load
            print(_DEMO, flush=True)
        from sm_alsgls.command_line.fitting import fit

        fit(args)
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
    except MemoryError:
        say("error: not enough memory for this system; use fewer rows or equations")
    except OSError as problem:  # only printing is left: reading and writing have their own words
        say(f"error: cannot print the results: {problem.strerror or problem}")
        mute()
    except sm_alsgls.exceptions.AlsglsError as problem:  # loaded when something was raised
        from sm_alsgls.command_line.fitting import told

        say(told(problem))
    return 2


def program() -> None:
    """The console script ``sm-alsgls``, and ``python -m sm_alsgls``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without UTF-8 still gets its table
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


if __name__ == "__main__":
    program()
