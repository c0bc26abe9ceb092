"""Command line: formulas and a data file in; a summary on stdout and, with --out, files.

Exit status: 0 when there is a fit (one that has not converged says so in a warning and in its
summary), 2 when the input cannot be used, 130 after Ctrl-C, 141 when the reader of the output
went away.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import math
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls import LowRankSUR, __version__
from sm_alsgls.core.errors.law import FULL
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    AlsglsError,
    AlsglsWarning,
    NumberTextError,
    SystemInputError,
    UnbalancedPanelError,
)
from sm_alsgls.rank import METHODS

_DEMO = {"formula": ["invest ~ value + capital"], "groups": "firm", "time": "year", "rank": 2}

# What the remedies of an error are, where there is no Python.
_HERE = {
    UnbalancedPanelError: " On the command line, DATA must hold only the rows to use.",
    NumberTextError: " On the command line, mend DATA: an empty field is missing.",
}

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

Formulas know the columns of DATA, np, and lag(x, 1) of a panel: "np.log(gsp) ~ lag(emp) + region".
They are Python code: run none that you do not trust.
--out receives params.csv, loadings.csv (sigma.csv with --rank full), trace.csv, summary.txt and
summary.html: all or none.
Exit status: 0 fitted (a fit that has not converged warns), 2 unusable input."""

_LEGEND = """\
fall          of the NLL; a rejected step keeps the old point, the next one is a plain GLS step
CG, Sigma     iterations of the beta-step and of the Sigma-step
grad log d    gradient in the log uniquenesses; it and score beta must come below gtol
score beta    gradient in the coefficients, in units of its standard error
ms            since the start began"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SystemInputError(f"{message} (python -m sm_alsgls --help lists the options)")


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
            warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
            try:
                args = _arguments(argv)
            except SystemExit as done:  # --help and --version
                return int(done.code or 0)
            _run(args)
        return 0
    except SystemExit:
        # Formulas are code: one that ends the process is no success.
        _say("error: something asked to end the process; nothing was fitted or written")
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        _mute()
        return 141
    except AlsglsError as problem:
        _say(f"error: {problem}{_HERE.get(type(problem), '')}")
    except MemoryError:
        _say("error: not enough memory for this system; use fewer rows or equations")
    except OSError as problem:  # only printing is left: reading and writing have their own words
        _say(f"error: cannot print the results: {problem.strerror or problem}")
        _mute()
    return 2


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m sm_alsgls",
        description="Seemingly unrelated regressions with Sigma = F F' + D by maximum likelihood.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("data", metavar="DATA", nargs="?", help=".csv, .csv.gz, .parquet or .dta; default: a demo")
    add("--formula", action="append", help="a formula; repeat it for a list of equations")
    add("--groups", metavar="COLUMN", help="long panel: the column that names the equation")
    add("--time", metavar="COLUMN", help="long panel: the column that names the row")
    add(
        "--rank",
        metavar="R",
        type=_rank,
        help=f"number of factors, {FULL} (unrestricted Sigma), auto (default), or how it is "
        f"chosen: {', '.join(METHODS[1:])}",
    )
    add(
        "--missing",
        choices=["drop", "fiml", "raise", "none"],
        help="what misses a value: drop the rows (default), or the cells (default of long panels)",
    )
    add("--n-starts", metavar="N", type=_whole_or_auto, default="auto", help="starts, or auto")
    add("--seed", metavar="S", type=_seed, help="seed of the random starts")
    add("--max-sweeps", metavar="N", type=int, default=500, help="sweeps of one start (500)")
    add("--gtol", type=float, default=1e-6, help="largest gradient at convergence (1e-6)")
    add("--plain-ml", action="store_true", help="plug-in standard errors and normal quantiles")
    add(
        "--equations",
        metavar="NAME",
        nargs="+",
        action="extend",
        help="equations whose coefficients to print, or all; default: all of up to 20",
    )
    add("--out", metavar="DIR", type=Path, help="directory to write the results to")
    add("--quiet", action="store_true", help="no line per sweep on stderr")
    add("--version", action="version", version=f"sm_alsgls {__version__}")
    args = parser.parse_args(argv)
    if args.data is None:
        for name in ("formula", "groups", "time", "missing"):
            if getattr(args, name) is not None:
                parser.error(f"--{name} needs a data file: python -m sm_alsgls DATA --{name} ...")
    elif args.formula is None:
        parser.error('DATA needs a formula, for example --formula "y ~ x1 + x2"')
    return args


def _whole_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto, got {text!r}") from None


def _rank(text: str) -> int | str:
    if text in METHODS or text == FULL:
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


def _run(args: argparse.Namespace) -> None:
    demo = args.data is None
    data = load_grunfeld() if demo else _read(Path(args.data))
    if demo:
        vars(args).update(_DEMO, rank=2 if args.rank is None else args.rank)
    model = LowRankSUR.from_formula(
        args.formula[0] if len(args.formula) == 1 else args.formula,
        data,
        rank="auto" if args.rank is None else args.rank,
        groups=args.groups,
        time=args.time,
        missing=args.missing,
        eval_env={"np": np},
    )
    shown = _chosen(args.equations, model.equations)
    if args.out is not None:
        _reachable(args.out)
    res = model.fit(
        n_starts=args.n_starts,
        rng=args.seed,
        max_sweeps=args.max_sweeps,
        gtol=args.gtol,
        debiased=not args.plain_ml,
        callback=None if demo or args.quiet else _Progress(),
    )
    summary = res.summary(equations=shown)
    if args.out is not None:
        files = _files(res, summary)
        _write(args.out, files)
        if not args.quiet:
            _say(f"wrote {', '.join(files)} to {args.out}{os.sep}")
    print(summary)
    if demo:
        print(_trace(res))
        print("\nData: 11 US firms, 1935-1954 (Grunfeld 1958); invest ~ value + capital")
        print("For your own data: python -m sm_alsgls --help")
    print(end="", flush=True)


def _chosen(asked: list[str] | None, names: list[str]) -> list[str] | str | None:
    if asked is None or asked == ["all"]:
        return asked and "all"
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            listed = ", ".join(map(repr, near or names[:8]))
            more = ", ..." if not near and len(names) > 8 else ""
            raise SystemInputError(
                f"--equations: no equation is called {name!r} "
                f"({'did you mean' if near else 'there are'} {listed}{more}{'?' * bool(near)})"
            )
    return asked


# ---- reading ---------------------------------------------------------------------------------


def _read(path: Path) -> pd.DataFrame:
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": lambda file: pd.read_csv(file, low_memory=False),
        ".csv.gz": lambda file: pd.read_csv(file, low_memory=False),
        ".parquet": pd.read_parquet,
        ".dta": pd.read_stata,
    }
    suffix = next((s for s in readers if path.name.lower().endswith(s)), None)
    if not path.is_file():
        what = "does not exist" if not path.exists() else "is no file on a disk"
        what = "is a directory" if path.is_dir() else what
        raise SystemInputError(f"{path}: {what}; DATA must be a file ({', '.join(readers)})")
    if suffix is None:
        raise SystemInputError(
            f"{path}: unknown kind of file {path.suffix!r}; DATA must end in {', '.join(readers)}"
        )
    try:
        data = readers[suffix](path)
        # Parquet keeps an index; formulas, groups and time ask for columns.
        named = [name for name in data.index.names if name is not None]
        data = data.reset_index(level=named) if named else data
    except ImportError:
        raise SystemInputError(
            f"{path}: reading Parquet needs pyarrow; install it with: pip install pyarrow"
        ) from None
    except Exception as error:  # pandas, pyarrow, zlib and codecs each raise their own
        raise SystemInputError(
            f"{path}: cannot be read as {suffix}: "
            f"{getattr(error, 'strerror', None) or error}; is it complete, and (CSV) in UTF-8?"
        ) from error
    if data.empty:
        raise SystemInputError(f"{path}: holds no rows of data")
    return data


# ---- showing ---------------------------------------------------------------------------------


def _say(text: str) -> None:
    """One line on stderr, whatever the text; where it cannot be written the status must do."""
    try:
        print("sm_alsgls: " + re.sub(r"\s*\n\s*", " ", text.strip()), file=sys.stderr)
    except OSError:
        _mute(sys.stderr)


def _mute(*streams: Any) -> None:
    """Nobody reads: what Python flushes on its way out must not fail again."""
    for stream in streams or (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_HEADING = (
    "sweep      NLL per row      fall  step       CG  Sigma  grad log d  score beta        ms"
)


def _line(sweep: Any, previous: float) -> str:
    opening = sweep.sweep == 0
    fall = "" if opening or not sweep.accept_t else f"{previous - sweep.nll:.1e}"
    step = "" if opening else "accepted" if sweep.accept_t else "rejected"
    return (
        f"{sweep.sweep:5d} {sweep.nll:16.8f} {fall:>9}  {step:8} {sweep.cg_iterations:4d} "
        f"{sweep.sigma_iterations:6d} {sweep.gradient_d:11.1e} {sweep.score_beta:11.1e} "
        f"{1e3 * sweep.seconds:9.1f}"
    )


class _Progress:
    """A line per sweep on stderr, with the number of the start; where it cannot be, none."""

    def __init__(self) -> None:
        self._start, self._nll = 0, math.nan

    def __call__(self, sweep: Any) -> None:
        opening = self._start == 0
        self._start += sweep.sweep == 0
        line = f"{self._start:5d} {_line(sweep, self._nll)}"
        try:
            print(f"start {_HEADING}\n{line}" if opening else line, file=sys.stderr)
        except OSError:
            _mute(sys.stderr)
        self._nll = sweep.nll


def _trace(res: Any) -> str:
    def lines() -> Iterator[str]:
        previous = math.nan
        for sweep in res.trace.reset_index().itertuples(index=False):
            yield _line(sweep, previous)
            previous = sweep.nll

    fit = res.mle_retvals
    title = f"Trace of the winning start: {fit['iterations']} sweeps, {fit['message']}"
    rule = "-" * len(_HEADING)
    table = [title.center(len(_HEADING)).rstrip(), "=" * len(_HEADING), _HEADING, rule]
    return "\n".join(["", *table, *lines(), "=" * len(_HEADING), _LEGEND])


# ---- writing ---------------------------------------------------------------------------------


def _files(res: Any, summary: Any) -> dict[str, str]:
    """Contents of the files by name; floats are written so that they read back exactly."""
    interval = np.asarray(res.conf_int())
    labels = [(name, v) for name, eq in res.equations.items() for v in eq.params.index]
    params = pd.DataFrame(labels, columns=["equation", "variable"]).assign(
        coef=np.asarray(res.params),
        std_err=np.asarray(res.bse),
        t=np.asarray(res.tvalues),
        p=np.asarray(res.pvalues),
        ci_low=interval[:, 0],
        ci_high=interval[:, 1],
    )
    if res.rank == FULL:
        names = pd.Index(res.model.equations, name="equation")
        errors = {"sigma.csv": pd.DataFrame(res.sigma.to_dense(), names, list(names)).to_csv()}
    else:
        table = res.loadings.assign(uniqueness=res.uniquenesses, communality=res.communalities)
        errors = {"loadings.csv": table.to_csv()}
    return {
        "params.csv": params.to_csv(index=False),
        **errors,
        "trace.csv": res.trace.to_csv(),
        "summary.txt": summary.as_text() + "\n",
        "summary.html": summary.as_html() + "\n",
    }


def _reachable(out: Path) -> Path:
    """The existing directory in which ``out`` is, or is to be made; proved to be writable."""
    base = next((p for p in (out, *out.absolute().parents) if os.path.lexists(p)), out)
    if not base.is_dir():
        raise SystemInputError(f"--out {out}: {base} is not a directory; give another one")
    try:
        with tempfile.TemporaryDirectory(prefix=".sm_alsgls-", dir=base):
            return base
    except OSError as error:
        raise SystemInputError(f"--out {out}: cannot write to {base}: {error.strerror}") from error


def _write(out: Path, files: dict[str, str]) -> None:
    """All files or none: they are staged on the same file system, then renamed into place."""
    base = _reachable(out)
    try:
        with tempfile.TemporaryDirectory(prefix=".sm_alsgls-", dir=base) as staging:
            new, old = Path(staging, "new"), Path(staging, "old")
            below = Path() if base == out else out.absolute().relative_to(base)
            target = new / below
            target.mkdir(parents=True)
            old.mkdir()
            for name, text in files.items():
                (target / name).write_text(text, encoding="utf-8", newline="")
            moves = list(files) if base == out else [below.parts[0]]
            try:
                for name in moves:
                    if (base / name).is_dir():
                        raise IsADirectoryError(0, f"{base / name} is a directory")
                    if os.path.lexists(base / name):
                        os.replace(base / name, old / name)
                    os.replace(new / name, base / name)
            except BaseException:
                for name in moves:  # what is still in new never left; the rest is put back
                    if os.path.lexists(old / name):
                        os.replace(old / name, base / name)
                    elif not os.path.lexists(new / name):
                        (base / name).unlink()
                raise
    except OSError as error:
        raise SystemInputError(
            f"--out {out}: {error.strerror or error}; nothing written"
        ) from error


if __name__ == "__main__":
    for _stream in (sys.stdout, sys.stderr):
        if hasattr(_stream, "reconfigure"):  # a terminal without UTF-8 still gets its table
            _stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
