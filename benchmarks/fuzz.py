"""The border of the package under generated input, for as long as one likes.

    python benchmarks/fuzz.py --calls 20000 --systems 2000

draws (1) values of any kind for any argument of any public callable, and (2) systems in odd
units, types and with holes, which are fitted and asked for everything that follows. Raw is an
exception that is not of the package (or of the file system), or a warning that is not. Prints
what was drawn and the smallest example of each, and exits with 1 if there is one. The tests run
the same with a small budget (tests/border/test_border.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import one_thread

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.border import calls as border

__all__ = ["calls", "fitted", "main", "one_thread"]


def _settings(budget: int) -> settings:
    return settings(
        max_examples=budget,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


def calls(budget: int, number: int) -> int:
    """Draw values for arguments; the number that was drawn."""
    from matplotlib import pyplot

    drawn = 0

    @seed(number)
    @_settings(budget)
    @given(data=st.data())
    def each(data: st.DataObject) -> None:
        nonlocal drawn
        drawn += 1
        one, value = data.draw(border.calls())
        error = border.outcome(one, value)
        pyplot.close("all")  # which warns of the 21st
        assert border.typed(error), f"{one.label}: {type(error).__name__}: {error}"

    each()
    return drawn


def fitted(budget: int, number: int) -> int:
    """Draw systems, fit them and ask for what follows; the number that was drawn."""
    drawn = 0

    @seed(number)
    @_settings(budget)
    @given(arguments=border.systems())
    def each(arguments: tuple) -> None:
        nonlocal drawn
        drawn += 1
        error = border.everything(*arguments)
        assert error is None, f"{type(error).__name__}: {error}"

    each()
    return drawn


def main(argv: list[str] | None = None) -> int:
    """Run both; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--systems", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    import matplotlib

    matplotlib.use("Agg")
    status = 0
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)  # `save` writes files
        for what, run, budget in (
            ("calls", calls, args.calls),
            ("systems", fitted, args.systems),
        ):
            began = time.perf_counter()
            if budget < 1:
                continue
            try:
                drawn = run(budget, args.seed)
                print(f"PASS {drawn} {what}, none raw, {time.perf_counter() - began:.0f} s")
            except Exception as error:  # what the draws found, and how Hypothesis groups it
                status = 1
                print(f"FAIL {what}, after {time.perf_counter() - began:.0f} s:\n{error}")
                print("\n".join(getattr(error, "__notes__", [])))
        os.chdir("/")
    return status


if __name__ == "__main__":
    sys.exit(main())
