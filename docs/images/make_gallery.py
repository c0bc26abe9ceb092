"""Every plot of the results on small, real and large systems, as PNGs.

    PYTHONPATH=. python docs/images/make_gallery.py [directory] [system ...]

Systems: k5 and k500 (simulated), grunfeld, french. Default: all, into docs/images/gallery.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

from sm_alsgls import LowRankSUR, select_rank, simulate_sur
from sm_alsgls.datasets import load_french, load_grunfeld

DPI = 70


def model_of(system: str) -> LowRankSUR:
    """The model of one of the systems."""
    if system == "k5":
        s = simulate_sur(80, 5, 3, 1, rng=1)
        return LowRankSUR(s.endog, s.exog, rank=1)
    if system == "k500":
        s = simulate_sur(200, 500, 3, 3, rng=1)
        return LowRankSUR(s.endog, s.exog, rank=3)
    if system == "grunfeld":
        return LowRankSUR.from_formula(
            "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        )
    data = load_french()
    X = data[["MktRF", "SMB", "HML"]].copy()
    X.insert(0, "const", 1.0)
    return LowRankSUR(data.iloc[:, 5:], X, rank=3)


def draw(system: str, directory: Path) -> None:
    """All plots of one system."""
    model = model_of(system)
    res = model.fit()
    variable = model.labels.regressors[0][1]
    pictures = {
        "trace": lambda: res.plot_trace(),
        "stationarity": lambda: res.plot_trace("stationarity"),
        "scree": lambda: res.plot_scree(),
        "loadings": lambda: res.plot_loadings(),
        "loadings_varimax": lambda: res.plot_loadings("varimax"),
        "loadings_promax": lambda: res.plot_loadings("promax"),
        "residual_correlation": lambda: res.plot_residual_correlation(),
        "coefficients": lambda: res.plot_coefficients(variable),
        "factor_scores": lambda: res.plot_factor_scores(),
        "communalities": lambda: res.plot_communalities(),
        "fit": lambda: res.plot_fit(model.equations[0]),
    }
    if system != "k500":
        pictures["rank"] = lambda: select_rank(model, n_starts=1).plot()
    for name, picture in pictures.items():
        figure = picture().figure
        path = directory / f"{system}_{name}.png"
        figure.savefig(path, dpi=DPI)
        plt.close(figure)
        with Image.open(path) as image:
            # A palette is half of the bytes.
            small = image.convert("RGB").quantize(256)
        small.save(path, optimize=True)


if __name__ == "__main__":
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "gallery")
    directory.mkdir(parents=True, exist_ok=True)
    for system in sys.argv[2:] or ["k5", "grunfeld", "french", "k500"]:
        draw(system, directory)
