"""Names that mean something to HTML, LaTeX or matplotlib are shown as they are."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text

from sm_alsgls import LowRankSUR
from tests.systems import simulate

ODD = [r"a<b>", "x^2~{k}", "US$ & C$", r"50%_\n #1", "<script>|"]


@pytest.fixture(scope="module")
def res():
    X, Y, _ = simulate(200, 5, 2, 1, seed=4)
    endog = pd.DataFrame(Y, columns=ODD, index=pd.Index(range(200), name="in $ and $"))
    exog = {
        name: pd.DataFrame(x, index=endog.index, columns=["const", f"{name}$$"])
        for name, x in zip(ODD, X, strict=True)
    }
    return LowRankSUR(endog, exog, 1).fit(n_starts=2)


class Cells(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data.strip())


def summaries(res):
    return [res.summary(), res.equations[ODD[0]].summary(), res.summary(title="<i> & $")]


def test_html(res):
    for summary in summaries(res):
        page = Cells()
        page.feed(summary.as_html())
        assert page.tags <= {"div", "p", "table", "caption", "tr", "td", "th", "br"}
        assert any(ODD[0] in text for text in page.texts)
    page = Cells()
    page.feed(res.summary().as_html())
    for name in ODD:
        assert f"Equation: {name}" in page.texts
        assert name in page.texts
        assert f"{name}$$" in page.texts
    assert "<b>" not in res.summary().as_html()


def untex(text):
    """What LaTeX prints of escaped text."""
    words = {
        "textbackslash": "\\",
        "textasciicircum": "^",
        "textasciitilde": "~",
        "textbar": "|",
        "textless": "<",
        "textgreater": ">",
    }
    return re.sub(r"\\(?:([a-z]+)\{\}|([&%$#_{}]))", lambda m: words[m[1]] if m[1] else m[2], text)


def test_latex(res):
    for summary in summaries(res):
        tex = summary.as_latex()
        plain = re.sub(r"\\(?:text[a-z]+\{\}|[&%$#_{}])", "", tex)  # without what is escaped
        for symbol in "$#^~<>|_":
            assert symbol not in plain, symbol
        assert plain.count("{") == plain.count("}")
        comments = [line for line in plain.splitlines() if "%" in line]
        assert all(line.startswith(r"%\caption{") for line in comments)
    shown = untex(res.summary().as_latex())
    for name in ODD:
        assert f"Equation: {name}" in shown
        assert f"{name}$$" in shown


def test_plots(res):
    drawn = [
        (res.plot_coefficients, {"variable": "US$ & C$$$"}),
        (res.plot_fit, {"equation": "US$ & C$"}),
        (res.plot_communalities, {}),
        (res.plot_loadings, {}),
        (res.plot_residual_correlation, {}),
        (res.plot_factor_scores, {}),
    ]
    for plot, kwds in drawn:
        ax = plot(**kwds, ax=Figure().subplots())
        ax.figure.canvas.draw()
        said = [text.get_text() for text in ax.findobj(Text)]
        wanted = [text for text in said if "$" in text]
        assert wanted, plot
        for text in wanted:
            assert not is_math_text(text), text
            assert "$" in text.replace(r"\$", "$")


@pytest.mark.slow
def test_the_same_in_a_summary_of_ranks_and_of_diagnostics(res):
    for summary in (res.diagnostics().summary(),):
        page = Cells()
        page.feed(summary.as_html())
        assert page.tags <= {"div", "p", "table", "caption", "tr", "td", "th", "br"}


@pytest.mark.slow
def test_names_of_many_equations():
    """Sorted dots and strips name the extremes by themselves."""
    X, Y, _ = simulate(200, 70, 2, 1, seed=3)
    endog = pd.DataFrame(Y, columns=[f"{j}$ and {j}$" for j in range(70)])
    res = LowRankSUR(endog, X, 1).fit(n_starts=1)
    for plot in (res.plot_loadings, res.plot_communalities):
        texts = [text.get_text() for text in plot(ax=Figure().subplots()).findobj(Text)]
        named = [text for text in texts if "and" in text and "$" in text]
        assert named
        assert not any(map(is_math_text, named))
