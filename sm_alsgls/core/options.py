"""The knobs of the loop, validated once."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sm_alsgls.exceptions import OptionError


@dataclass(frozen=True)
class ALSOptions:
    """Knobs of the loop; validated here, once.

    Attributes
    ----------
    lam_F, lam_B : float
        Ridges per observation on D^-1/2 F, and on slopes in units of (residual standard
        deviation of OLS) / (root mean square of the regressor); constants are not penalised.
        Without units, so that rescaling data never changes a fit. Default 0.
    d_floor : float
        Lower bound of d_j as a share of equation j's OLS residual variance, above 1e-16.
    rel_tol : float
        Largest relative fall of the NLL per row in the last sweep.
    gtol : float
        Largest gradient in log d per row, and largest GLS score in its standard errors.
    max_sweeps : int
    cg_tol : float
        Largest relative residual of a beta-step's linear system. The absolute tolerance follows
        gtol, so this sets the cost of early sweeps, not the accuracy of the last.
    cg_maxit : int
        Most CG iterations in one beta-step.
    """

    lam_F: float = 0.0
    lam_B: float = 0.0
    d_floor: float = 1e-8
    rel_tol: float = 1e-6
    gtol: float = 1e-6
    max_sweeps: int = 500
    cg_tol: float = 0.05
    cg_maxit: int = 500

    def __post_init__(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            whole = knob.name in ("max_sweeps", "cg_maxit")
            if isinstance(value, bool) or not isinstance(
                value, (int, np.integer) if whole else (int, float, np.integer, np.floating)
            ):
                kind = "a whole number" if whole else "a number"
                raise OptionError(f"{knob.name} must be {kind}, got {value!r}")
        for name in ("lam_F", "lam_B", "rel_tol"):
            # Without units: a ridge of 1e12 leaves nothing of a slope or of a loading.
            if not 0.0 <= getattr(self, name) <= 1e12:
                raise OptionError(
                    f"{name} must be at least 0 and at most 1e12, got {getattr(self, name)!r}"
                )
        # A share below 1e-16 is rounding of the variance; 1 / d of one below 1e-200 is no double.
        for name, least in (("d_floor", 1e-16), ("cg_tol", 0.0)):
            if not least < getattr(self, name) < 1.0:
                raise OptionError(
                    f"{name} must lie between {least:g} and 1, got {getattr(self, name)!r}"
                )
        if not 0.0 < self.gtol <= 1.0:
            raise OptionError(
                f"gtol must be positive and at most 1, one standard error of a score; got "
                f"{self.gtol!r}"
            )
        for name in ("max_sweeps", "cg_maxit"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)!r}")
