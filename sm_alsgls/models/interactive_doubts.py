"""What is doubtful about a fit of interactive effects, as warnings."""

from __future__ import annotations

import warnings

from sm_alsgls.border.blame import caller
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.exceptions import ConvergenceWarning


def warn(fit: InteractiveFit) -> None:
    """Say what did not converge."""
    if not fit.converged:
        warnings.warn(f"interactive effects: {fit.status}", ConvergenceWarning, stacklevel=caller())
