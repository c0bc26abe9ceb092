"""Options of each command, read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sm_alsgls import __version__
from sm_alsgls.command_line.kinds import KINDS
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.rank_choice.rules import METHODS

_EPILOG = """\
examples:
  python -m sm_alsgls
      the Grunfeld panel of statsmodels: 11 firms, 20 years, 2 factors
  python -m sm_alsgls panel.csv --formula "invest ~ value + capital" \\
      --groups firm --time year --rank 2 --out results/
      a long panel: one equation per firm
  python -m sm_alsgls wide.parquet --formula "inv_gm ~ val_gm" --formula "inv_us ~ val_us"
      equations named by their responses; "{GM: inv_gm ~ val_gm} {US: inv_us ~ val_us}" names
      them, "inv_gm + inv_us ~ gdp" gives both the same regressors
  python -m sm_alsgls panel panel.csv --formula "invest ~ value" --entity firm --time year
  python -m sm_alsgls 3sls klein.csv --formula "c ~ [w ~ tax + g]" --formula "i ~ [p ~ tax + k]"
  python -m sm_alsgls mixed scores.xlsx --formula "score ~ age" --groups school
      panel, 3sls and mixed have options of their own: python -m sm_alsgls mixed --help

Formulas know the columns of DATA, np, and lag(x, 1) of a panel: "np.log(gsp) ~ lag(emp) + region".
A formula is Python code and is run: it can read, write and delete whatever you can. Run none, and
take none from a form or a file, that you do not trust.
--out receives params.csv, loadings.csv (sigma.csv with --rank full), trace.csv, summary.txt and
summary.html: all or none.
Exit status: 0 fitted (a fit that has not converged warns), 2 unusable input."""


# Of each command; what each fits is in commands.py.
_TITLES = {
    "sur": "Seemingly unrelated regressions with Sigma = F F' + D by maximum likelihood.",
    "panel": "A panel of pooled slopes",
    "3sls": "A system with instruments",
    "mixed": "A mixed model",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # It loads statsmodels, which --help and --version do without.
        from sm_alsgls.exceptions import SystemInputError

        raise SystemInputError(f"{message} (python -m sm_alsgls --help lists the options)")


def read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command (``command``) and its options.

    Raises
    ------
    SystemInputError
    SystemExit
        After --help and --version.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    named = bool(given) and given[0] in _TITLES
    command = given.pop(0) if named else "sur"
    parser = _Parser(
        prog=f"python -m sm_alsgls{f' {command}' if named else ''}",
        description=_TITLES[command],
        epilog=_EPILOG if command == "sur" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add(parser, command)
    args = parser.parse_args(given)
    args.command = command
    if args.data is None and command == "sur":
        for name in ("formula", "groups", "time", "missing", "weights", "common", "sheet", "ar"):
            if getattr(args, name) is not None:
                parser.error(f"--{name} needs a data file: python -m sm_alsgls DATA --{name} ...")
    elif args.data is None:
        parser.error(f"{command} needs a data file: python -m sm_alsgls {command} DATA ...")
    elif args.formula is None:
        parser.error('DATA needs a formula, for example --formula "y ~ x1 + x2"')
    return args


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    add = parser.add_argument
    kinds = f"{', '.join(KINDS)}, or - for stdin"
    add("data", metavar="DATA", nargs="?", help=f"{kinds}; default: a demo")
    add(
        "--formula",
        action="append",
        help="a formula, which is Python code and is run; repeat it for a list of equations",
    )
    if command == "panel":
        add("--entity", metavar="COLUMN", help="the column that names the unit")
        add("--time", metavar="COLUMN", help="the column of times")
        add("--independent", choices=["time", "entity"], help="which dimension is independent")
        add("--effects", choices=["entity", "time", "both", "random", "spherical"])
    else:
        add("--groups", metavar="COLUMN", help="long data: the column that names the equation")
    if command in ("sur", "3sls"):
        add("--time", metavar="COLUMN", help="long panel: the column that names the row")
        add("--common", metavar="NAME", nargs="+", help="regressors of one coefficient, or all")
    if command in ("sur", "panel"):
        add("--ar", choices=["common", "equation"], help="autoregressive errors")
        add("--max-sweeps", metavar="N", type=int, default=500, help="sweeps of one start (500)")
        add("--gtol", type=float, default=1e-6, help="largest gradient at convergence (1e-6)")
    if command == "3sls":
        add("--instruments", metavar="FORMULA", help='of all equations: "~ z1 + z2"')
        add("--method", choices=["iv", "gmm", "2sls"], default="iv", help="3SLS (iv) by default")
        add("--iterate", action="store_true", help="until Sigma and coefficients agree")
    if command == "mixed":
        add("--re-formula", metavar="FORMULA", help='random effects: "~ x"; default: a constant')
        add("--ml", action="store_true", help="maximum likelihood in place of REML")
    else:
        add("--plain-ml", action="store_true", help="plug-in standard errors, normal quantiles")
        add(
            "--equations",
            metavar="NAME",
            nargs="+",
            action="extend",
            help="equations whose coefficients to print, or all; default: all of up to 20",
        )
    add(
        "--rank",
        metavar="R",
        type=_rank,
        help=f"number of factors, {FULL} (unrestricted Sigma), auto (default), or how it is "
        f"chosen: {', '.join(METHODS[1:])}",
    )
    if command != "3sls":
        add("--n-starts", metavar="N", type=_whole_or_auto, default="auto", help="starts, or auto")
        add("--seed", metavar="S", type=_seed, help="seed of the random starts")
    add(
        "--missing",
        choices=["drop", "fiml", "raise", "none"],
        help="what misses a value: drop the rows (default), or the cells (default of long panels)",
    )
    add("--weights", metavar="COLUMN", help="analytic weights")
    add(
        "--cov-type", metavar="TYPE", help="standard errors: KH, sandwich, HC0 to HC3, cluster, HAC"
    )
    add("--cluster", metavar="COLUMN", help="groups of --cov-type cluster")
    add("--maxlags", metavar="N", type=int, help="lags of --cov-type HAC")
    add("--sheet", metavar="NAME", help="of an Excel file, its name or number; default: the first")
    add("--decimal", metavar="C", default=".", help='decimal separator of text, as "," (.)')
    add("--out", metavar="DIR", type=Path, help="directory to write the results to")
    add("--force", action="store_true", help="replace files that --out has already")
    add("--quiet", action="store_true", help="nothing of how far it is on stderr")
    add("--version", action="version", version=f"sm_alsgls {__version__}")


def _whole_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto, got {text!r}") from None


def _rank(text: str) -> int | str:
    if text in METHODS or text in (FULL, "diagonal"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a whole number, {FULL} or auto, got {text!r}; criteria are "
            f"{', '.join(METHODS[1:])}"
        ) from None


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")
    return int(text)
