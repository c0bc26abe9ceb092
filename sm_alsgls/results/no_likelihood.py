"""What statsmodels' results have of a likelihood, where least squares has none."""

from __future__ import annotations

from typing import Any, NoReturn

from sm_alsgls.exceptions import NoLikelihoodError, NotApplicableError


class NoLikelihood:
    """Mixin of results of least squares whose parameters grow with units and periods."""

    _unlisted = frozenset(("llf", "scale", "t_test_pairwise"))

    @property
    def llf(self) -> NoReturn:
        """None. NoLikelihoodError (an AttributeError) says why."""
        raise NoLikelihoodError(
            "llf: this is least squares, and its parameters grow with units and periods, so that a "
            "likelihood would compare nothing; rank= has criteria for the number of factors"
        )

    def t_test_pairwise(self, *args: Any, **kwargs: Any) -> NoReturn:
        """None. NotApplicableError says what there is."""
        raise NotApplicableError("t_test_pairwise: name the contrasts, t_test('a - b = 0')")
