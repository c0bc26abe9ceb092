"""What systems in memory have and equations in tiles have not: who asks is told what to do."""

from __future__ import annotations

from typing import Any, ClassVar

from sm_alsgls.exceptions import UnknownAttributeError
from sm_alsgls.results.equation import EquationResults
from sm_alsgls.results.familiar import FamiliarEquation, FamiliarSystem
from sm_alsgls.results.sur import LowRankSURResults

_ELSEWHERE = (
    "{name} is not there for equations that are read in tiles; of some hundreds of them in memory, "
    "LowRankSUR(endog, list(exog), rank), it is (docs, guide/many_equations)"
)
# Advice for systems in memory that names what is not here.
_NOT_HERE = (
    "breusch_pagan", "compare_f_test", "compare_lm_test", "condition_number", "durbin_watson",
    "eigenvals", "f_statistic", "f_test_result", "fstat", "get_influence", "likelihood_ratio",
    "outlier_test", "r2", "rsquared_uncentered", "rsquared_adj_uncentered", "ess", "ssr",
)  # fmt: skip


def absent(name: str) -> str:
    """Why a member of a system in memory is not there."""
    return _ELSEWHERE.format(name=name)


class FamiliarMany(FamiliarSystem):
    """`FamiliarSystem`, of results that are fewer than those of a system in memory."""

    _beside: ClassVar[type] = LowRankSURResults
    _familiar: ClassVar[dict[str, str]] = {
        name: said for name, said in FamiliarSystem._familiar.items() if name not in _NOT_HERE
    } | {"r2": "rsquared", **dict.fromkeys(("cov", "vcov"), "cov_params(equation)")}

    def __getattr__(self, name: str) -> Any:
        if hasattr(self._beside, name) and not hasattr(type(self), name) and name[0] != "_":
            raise UnknownAttributeError(absent(name), name=name, obj=self)
        return super().__getattr__(name)


class FamiliarOneOfMany(FamiliarEquation):
    """The same of one equation."""

    def __getattr__(self, name: str) -> Any:
        if hasattr(EquationResults, name) and not hasattr(type(self), name) and name[0] != "_":
            raise UnknownAttributeError(absent(name), name=name, obj=self)
        return super().__getattr__(name)
