"""What a fit of a panel says of itself in a summary."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sm_alsgls.data.panel_layout import PanelLayout
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.header import Header, Line
from sm_alsgls.results.low_rank_header import LowRankHeader

_ROWS = {"time": "periods", "entity": "units"}
_EQUATIONS = {"time": "units", "entity": "periods"}


@dataclass(frozen=True)
class PanelHeader:
    """Makes the `Header` of a panel's estimate.

    Attributes
    ----------
    rank_method, reason : str or None
        As of `LowRankHeader`.
    layout : PanelLayout
    """

    rank_method: str | None
    reason: str | None
    layout: PanelLayout

    def __call__(self, estimate: Estimate) -> Header:
        """That of the system, in a panel's words."""
        of_system = LowRankHeader(self.rank_method, self.reason)(estimate)
        layout = self.layout
        rows, equations = _ROWS[layout.independent], _EQUATIONS[layout.independent]
        renamed = {
            "No. Observations N:": f"No. {rows.capitalize()} (rows) N:",
            "No. Equations K:": f"No. {equations.capitalize()} K:",
        }
        right: list[Line] = [(renamed.get(label, label), text) for label, text in of_system.right]
        left: list[Line] = [
            ("Model:", ["LowRankPanel"]) if label == "Model:" else (label, text)
            for label, text in of_system.left
        ]
        left += [("Effects:", [layout.effects or "none"])]
        return replace(
            of_system,
            model="LowRankPanel",
            title="Low-Rank Panel" if estimate.has_factors else "Panel, Unrestricted Sigma",
            left=left,
            right=right,
            about=[*self._about(estimate.laws is None), *of_system.about],
            aside=frozenset(() if layout.equation_effects is None else (str(layout.constant),)),
        )

    def _about(self, independent: bool) -> list[str]:
        layout = self.layout
        rows = f"{_ROWS[layout.independent]} are independent, " if independent else ""
        said = [
            f"{layout.entities} units ({layout.entity}), {layout.periods} periods "
            f"({layout.time}); {rows}Sigma is across "
            f"{_EQUATIONS[layout.independent]}."
        ]
        mine = layout.equation_effects
        if mine is not None:
            said.append(
                f"Effects of {mine!r} are the constants of the equations, counted in their "
                "degrees of freedom; see effects."
            )
        if layout.level:
            said.append(
                f"Effects of {layout.independent!r} are swept out of the cells that are there; "
                "see effects."
            )
        elif layout.swept:
            said.append(
                f"Effects of {layout.independent!r} are swept out by forward orthogonal "
                "deviations: equations are periods less the mean of later ones, the last is "
                "none; see effects."
            )
        if layout.heterogeneous:
            said.append(
                f"Slopes of {', '.join(layout.heterogeneous)} are each equation's own; "
                "mean_group() sums them up."
            )
        if layout.mundlak:
            said.append(
                f"{len(layout.mundlak)} means over a unit's periods are added (Mundlak); "
                "mundlak_test() tests them."
            )
        return said
