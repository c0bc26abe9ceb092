"""What one sees of a fit, as screenshots: python docs/images/make_seen.py, from the top.

The notebook's representation (HTML in a browser, wide and at 400 pixels), the summary at 3, 48 and
500 equations, and those of the other models, as text, HTML and LaTeX. Needs Pillow and chromium.
All go into docs/images/seen.
"""

from __future__ import annotations

import html
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, ImageChops

from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR, simulate_sur
from sm_alsgls.datasets import load_grunfeld, load_klein, load_sleepstudy

HERE = Path(__file__).parent / "seen"
SIZES = {3: (60, 1), 48: (120, 2), 500: (200, 3)}
STYLE = (
    "<!doctype html><meta charset='utf-8'><style>body{font:13px sans-serif;margin:10px}"
    "pre{font:12px monospace}"
    "td,th{padding:2px 8px}</style>"
)


def system(K: int) -> LowRankSUR:
    """Simulated equations of three regressors."""
    N, rank = SIZES[K]
    drawn = simulate_sur(N, K, 3, rank, rng=1)
    names = [f"sector {j + 1}" for j in range(K)]
    designs = [pd.DataFrame(X, columns=["const", "price", "income"]) for X in drawn.exog]
    endog = dict(zip(names, drawn.endog.T, strict=True))
    return LowRankSUR(endog, dict(zip(names, designs, strict=True)), rank=rank)


def shoot(name: str, page: str, width: int, height: int = 2600) -> None:
    """A page in a browser of that width, cut where it ends, in few colours."""
    with tempfile.TemporaryDirectory() as directory:
        source, shot = Path(directory) / "page.html", Path(directory) / "page.png"
        source.write_text(STYLE + page, encoding="utf-8")
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars"]
        command += [f"--window-size={width},{height}", f"--screenshot={shot}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image:
            whole = image.convert("RGB")
    blank = Image.new("RGB", whole.size, "white")
    box = ImageChops.difference(whole, blank).getbbox()
    bottom = min(whole.height, (box[3] if box else 0) + 10)
    small = whole.crop((0, 0, whole.width, bottom)).quantize(16)
    small.save(HERE / f"{name}.png", optimize=True)


def mixed_model() -> LowRankMixedLM:
    """Reaction times of eighteen drivers."""
    return LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~Days"
    )


def others() -> dict[str, Any]:
    """A panel, a system with instruments and a mixed model, by the names of their pictures."""
    klein = {
        "consump": "consump ~ corpProf + corpProfLag + wages",
        "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    }
    listed = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag"
    return {
        "panel": LowRankPanel.from_formula(
            "invest ~ value + capital",
            load_grunfeld(),
            1,
            entity="firm",
            time="year",
            effects="entity",
        ),
        "3sls": LowRank3SLS.from_formula(klein, load_klein(), instruments=listed, rank="full"),
        "mixed": mixed_model(),
    }


def three_ways(name: str, summary: Any) -> None:
    """A summary as text, HTML and LaTeX."""
    text, latex = html.escape(str(summary)), html.escape(summary.as_latex())
    shoot(f"summary_{name}_text", f"<pre>{text}</pre>", 640)
    shoot(f"summary_{name}_html", summary.as_html(), 640)
    shoot(f"summary_{name}_latex", f"<pre>{latex}</pre>", 1100)


def main() -> None:
    """All of them."""
    HERE.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    for K in SIZES:
        three_ways(str(K), system(K).fit().summary())
    for name, other in others().items():
        three_ways(name, other.fit().summary())
    model = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    )
    res = model.fit()
    mixed = mixed_model()
    shown = {
        "model": model,
        "res.equations": res.equations,
        "res.equations['IBM']": res.equations["IBM"],
        "res.sigma": res.sigma,
        "mixed": mixed,
        "mixed.fit()": mixed.fit(),
    }
    parts = [f"<p><code>{html.escape(k)}</code></p>{v._repr_html_()}" for k, v in shown.items()]
    for width in (400, 800):
        shoot(f"notebook_{width}", "<hr>".join(parts), width)
    lines = [f"&gt;&gt;&gt; {html.escape(k)}\n{html.escape(repr(v))}" for k, v in shown.items()]
    shoot("prompt", "<pre>" + "\n".join(lines) + "</pre>", 900)


if __name__ == "__main__":
    main()
