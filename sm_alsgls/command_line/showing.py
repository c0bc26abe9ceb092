"""Lines on stderr, and the trace of a fit as a table."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

_LEGEND = """\
fall          of the NLL; a rejected step keeps the old point, the next one is a plain GLS step
CG, Sigma     iterations of the beta-step and of the Sigma-step
grad log d    gradient in the log uniquenesses; it and score beta must come below gtol
score beta    gradient in the coefficients, in units of its standard error
ms            since the start began"""


def say(text: str) -> None:
    """One line on stderr, whatever the text; where it cannot be written the status must do."""
    try:
        print("sm_alsgls: " + re.sub(r"\s*\n\s*", " ", text.strip()), file=sys.stderr)
    except OSError:
        mute(sys.stderr)


def mute(*streams: Any) -> None:
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


class Progress:
    """A line per sweep on stderr, with the number of the start; where it cannot be, none."""

    def __init__(self) -> None:
        self._start, self._nll = 0, math.nan

    def __call__(self, sweep: Any) -> None:
        """Print what a sweep came to."""
        opening = self._start == 0
        self._start += sweep.sweep == 0
        line = f"{self._start:5d} {_line(sweep, self._nll)}"
        try:
            print(f"start {_HEADING}\n{line}" if opening else line, file=sys.stderr)
        except OSError:
            mute(sys.stderr)
        self._nll = sweep.nll


def trace_text(res: Any) -> str:
    """The trace of the winning start as a table with its legend."""

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
