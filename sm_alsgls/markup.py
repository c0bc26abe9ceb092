"""Text and small tables for a notebook, which shows HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Lines of a table at most; of more the first and the last.
_MOST, _ENDS = 24, 10


def html(text: str) -> str:
    """Text that a browser shows as it is."""
    return text.translate(_HTML)


def scrolled(inner: str) -> str:
    """HTML that scrolls sideways by itself where a page is too narrow for it."""
    return f'<div style="overflow-x:auto;max-width:100%;white-space:nowrap">\n{inner}\n</div>'


def cut(text: str, width: int) -> str:
    """Text of at most so many letters; an ellipsis stands for what is cut.

    Examples
    --------
    >>> from sm_alsgls.markup import cut
    >>> cut("consumption", 8), cut("income", 8)
    ('consump…', 'income')
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first of some names, and how many more there are.

    Examples
    --------
    >>> from sm_alsgls.markup import listed
    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shown_of(many: int) -> list[int]:
    """Which of so many lines a table shows: all, or the first and the last."""
    if many <= _MOST:
        return list(range(many))
    return [*range(_ENDS), *range(many - _ENDS, many)]


def table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()
) -> str:
    """A table in HTML, its title above it and notes under it; any text is shown as it is.

    Examples
    --------
    >>> from sm_alsgls.markup import table
    >>> "a &lt; b" in table("", ["a < b"], [["1"]])
    True
    """
    body = [list(row) for row in rows]
    # Numbers end where the names of their columns end.
    numbers = [all(map(_is_number, column)) for column in zip(*body, strict=True)]

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f'<{tag} style="text-align:{"right" if number else "left"}">{html(cell)}</{tag}>'
            for cell, number in zip(cells, numbers or [False] * len(cells), strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    above = f"<p><b>{html(title)}</b></p>\n" if title else ""
    lines = "\n".join([line(header, "th"), *(line(row, "td") for row in body)])
    below = "".join(f"<p>{html(note)}</p>" for note in notes)
    return above + scrolled(f'<table class="simpletable">\n{lines}\n</table>') + below


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
