"""What words of a summary mean, told under it where they occur, with the page that says more."""

from __future__ import annotations

# A word as it stands in a summary; what it means; the page.
_WORDS = (
    (
        "Sweeps",
        "a sweep is one round of coefficients given Sigma and of Sigma given coefficients",
        "theory/algorithm",
    ),
    (
        "std(unique)",
        "std(unique) is the deviation that the factors leave, the root of the uniqueness",
        "theory/model",
    ),
    (
        "Heywood",
        "a Heywood case is a uniqueness of zero, or at its bound",
        "guide/diagnostics",
    ),
)


def words_note(text: str) -> list[str]:
    """A note on the words that occur in a summary, and not where a note explains them already.

    Examples
    --------
    >>> from sm_alsgls.results.words import words_note
    >>> words_note("Sweeps: 4")
    ['Words: a sweep is one round of coefficients given Sigma and of Sigma given coefficients \
(docs, theory/algorithm).']
    >>> words_note("Method: OLS")
    []
    """
    told: dict[str, list[str]] = {}
    for word, meaning, page in _WORDS:
        if word in text or word.capitalize() in text:
            told.setdefault(page, []).append(meaning)
    if not told:
        return []
    parts = [f"{'; '.join(meanings)} (docs, {page})" for page, meanings in told.items()]
    return [f"Words: {'; '.join(parts)}."]
