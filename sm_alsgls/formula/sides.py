"""Right-hand sides beside those of the equations: which instruments each equation has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sm_alsgls.border.alignment import by_name
from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula.engine import columns_of
from sm_alsgls.formula.system import FormulaSystem


@dataclass(frozen=True)
class Sides:
    """Instruments of equations, as formulas "~ x1 + z1".

    One of the first two is given.

    Attributes
    ----------
    of_formula : tuple of str
        The instruments of each formula.
    of_equation : Mapping {equation: str}
        Those of each equation, by its name.
    endogenous : tuple of list of str
        Terms of each formula that stand in brackets.
    owners : Mapping {str: str}
        What to call the equation of each text in messages.
    """

    of_formula: tuple[str, ...] = ()
    of_equation: Mapping[str, str] = field(default_factory=dict)
    endogenous: tuple[list[str], ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each of the formulas once."""
        return tuple(dict.fromkeys((*self.of_formula, *self.of_equation.values())))

    def owner(self, text: str) -> str:
        """What to call the equation that has these instruments."""
        return self.owners[text]

    def of(self, names: list[str], formulas: Sequence[int]) -> list[str]:
        """The instruments of the equations ``names``, which the formulas of these numbers made.

        Raises
        ------
        FormulaError
            Equations and the keys of a mapping are not the same.
        """
        if not self.of_equation:
            return [self.of_formula[i] for i in formulas]
        at = by_name(self.of_equation, names, "instruments", FormulaError, noun="equation")
        texts = list(self.of_equation.values())
        return [texts[i] for i in at]

    def told(self, system: FormulaSystem, formulas: Sequence[int]) -> FormulaSystem:
        """The system with the columns that stand in brackets of its equations' formulas."""
        if not self.endogenous:
            return system
        pairs = zip(system.specs, formulas, strict=True)
        return replace(
            system, endogenous=tuple(columns_of(spec, self.endogenous[i]) for spec, i in pairs)
        )
