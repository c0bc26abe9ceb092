"""What a prompt, a notebook and ``dir()`` show of models and results."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import pandas as pd

from sm_alsgls.markup import html, scrolled


class Listed:
    """Mixin of models and results: names in ``dir()`` are for users, and work.

    A class says in ``_unlisted`` which names that it has are for the machinery (statsmodels'
    tables look some up), or always refuse; `_absent` says what this one fit has nothing for.
    All of them remain attributes: who asks is told why there is nothing.
    """

    _unlisted: ClassVar[frozenset[str]] = frozenset()

    def _absent(self) -> Collection[str]:
        """Names that raise an error for this fit."""
        return ()

    def __dir__(self) -> list[str]:
        left_out = set(self._absent())
        for kind in type(self).__mro__:
            left_out |= vars(kind).get("_unlisted", frozenset())
        return sorted(
            name
            for name in object.__dir__(self)
            if not name.startswith("_") and name not in left_out
        )


class Shown(Listed):
    """Mixin of results: their summary in a notebook."""

    def summary(self) -> Any:
        """Tables as text, HTML and LaTeX."""
        raise NotImplementedError(f"{type(self).__name__} has no summary")

    def _repr_html_(self) -> str:
        page: str = self.summary().as_html()
        return page


class ShownText:
    """Mixin of what prints as a small table: a notebook shows the same text."""

    def _repr_html_(self) -> str:
        return scrolled(f"<pre>{html(str(self))}</pre>")


class ShownFrame:
    """Mixin of what has a ``summary_frame()``, which a notebook shows; long ones their ends."""

    def summary_frame(self) -> pd.DataFrame:
        """One row a number."""
        raise NotImplementedError(f"{type(self).__name__} has no frame")

    def _repr_html_(self) -> str:
        return scrolled(self.summary_frame().to_html(max_rows=24, float_format="{:.4g}".format))


def one_line(kind: str, facts: list[str]) -> str:
    """What stands for an object at a prompt.

    Examples
    --------
    >>> from sm_alsgls.results.shown import one_line
    >>> one_line("Results", ["N=20", "K=3"])
    '<Results: N=20, K=3>'
    """
    return f"<{kind}: {', '.join(facts)}>"
