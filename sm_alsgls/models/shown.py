"""What a prompt and a notebook show of a model that is not fitted yet."""

from __future__ import annotations

from sm_alsgls.data.labels import Labels
from sm_alsgls.markup import cut, listed, shown_of, table


def facts(kind: str, said: list[str]) -> str:
    """One line: what it is, and how large.

    Examples
    --------
    >>> from sm_alsgls.models.shown import facts
    >>> facts("LowRankSUR", ["N=20", "K=3"])
    '<LowRankSUR: N=20, K=3>'
    """
    return f"<{kind}: {', '.join(said)}>"


def system_table(title: str, labels: Labels, counts: list[int], notes: list[str]) -> str:
    """The equations of a system in HTML: their rows and regressors."""
    rows = [
        [cut(labels.equations[j], 48), f"{counts[j]}", listed(labels.regressors[j])]
        for j in shown_of(labels.K)
    ]
    if len(rows) < labels.K:
        notes = [f"{len(rows)} of {labels.K} equations are shown.", *notes]
    return table(title, ["equation", "rows", "regressors"], rows, notes)
