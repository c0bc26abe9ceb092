"""The ways to a `LowRank3SLS` beside its constructor: parts of equations, and formulas."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.border.frames import table
from sm_alsgls.border.provenance import snapshot
from sm_alsgls.data.instrumented import InstrumentedSystem
from sm_alsgls.data.keywords import refuse
from sm_alsgls.data.side_by_side import side_by_side
from sm_alsgls.data.validity import missing_by_rows
from sm_alsgls.data.weights import row_weights_of_data
from sm_alsgls.exceptions import FormulaError, InstrumentError, OptionError, ShapeError
from sm_alsgls.formula.instruments import build_instrumented
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.models.of_formula import (
    OfFormula,
    check_columns,
    provenance_of,
    scope_of,
    warn_of_one,
)
from sm_alsgls.models.parts import parts_of

_PARTS = ("dependent", "exog", "endog", "instruments", "weights")
# Tuples of three are (y, X, Z); longer ones are linearmodels'.
_FORMS = {3: ("dependent", "X", "Z"), 4: _PARTS[:4], 5: _PARTS}
_EXAMPLE = (
    'a triple (y, X, Z) or a mapping {"dependent": y, "exog": X, "endog": Y, "instruments": Z}'
)


class InstrumentedConstruction(OfFormula):
    """Mixin of `LowRank3SLS`."""

    if TYPE_CHECKING:
        equations: list[str]
        nobs: int

        @property
        def system(self) -> InstrumentedSystem: ...  # noqa: D102

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @classmethod
    def from_system(
        cls, equations: Mapping[str, Any], rank: int | str = "auto", **kwargs: Any
    ) -> Self:
        """Model from the parts of each equation, linearmodels' mappings or tuples.

        Parameters
        ----------
        equations : mapping of str to mapping or tuple
            Of each equation ``{"dependent": y, "exog": X, "endog": Y, "instruments": Z}`` as
            linearmodels has it: response (N,), exogenous regressors, endogenous regressors,
            instruments that are excluded from the equation; what an equation does not have is
            None or left out. Regressors are the exogenous ones, then the endogenous; instruments
            the exogenous ones, then the excluded. Or a triple ``(y, X, Z)`` of every regressor and
            every instrument, as the constructor takes them; tuples of four are linearmodels'.
        rank : int, "full", "auto" or the name of a criterion
        **kwargs
            Passed to the constructor; ``weights`` of rows among them.

        Raises
        ------
        ShapeError, InstrumentError, OptionError

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sm_alsgls import LowRank3SLS
        >>> data = pd.DataFrame(np.random.default_rng(0).standard_normal((50, 4)))
        >>> data.columns = ["y", "x", "p", "z"]
        >>> equation = {"exog": data[["x"]], "endog": data[["p"]], "instruments": data[["z"]]}
        >>> model = LowRank3SLS.from_system({"a": {"dependent": data["y"], **equation}}, rank=0)
        >>> model.instruments, model.endogenous
        ({'a': ['x', 'z']}, {'a': ['p']})
        """
        if not isinstance(equations, Mapping) or not equations:
            raise ShapeError('from_system takes a mapping {"equation": {"dependent": y, ...}, ...}')
        endog, exog, instruments = {}, {}, {}
        made: dict[tuple[int, ...], Any] = {}  # equations with the same parts share designs

        def joined(name: str, letter: str, *parts: tuple[str, Any]) -> Any:
            key = tuple(id(value) for _, value in parts)
            if key not in made:
                made[key] = side_by_side(name, letter, *parts)
            return made[key]

        for name, one in equations.items():
            part = parts_of(name, one, _PARTS, _FORMS, _PARTS[:1], _EXAMPLE)
            if "weights" in part:
                raise OptionError(
                    f"equation {name!r} has weights of its own, but a system with instruments has "
                    "one weight a row: pass weights= beside the equations"
                )
            endog[name] = part["dependent"]
            if "X" in part or "Z" in part:
                exog[name], instruments[name] = part.get("X"), part.get("Z")
            else:
                x, p, z = (part.get(key) for key in _PARTS[1:4])
                exog[name] = joined(name, "x", ("exog", x), ("endog", p))
                instruments[name] = joined(name, "z", ("exog", x), ("instruments", z))
            for values, what in ((exog, "regressors"), (instruments, "instruments")):
                if values[name] is None:
                    error = ShapeError if what == "regressors" else InstrumentError
                    raise error(f"equation {name!r} has no {what}; give {_EXAMPLE}")
        return cls(endog, exog, instruments, rank, **kwargs)

    @classmethod
    def from_formula(
        cls,
        formula: str | list[str] | Mapping[str, str],
        data: pd.DataFrame,
        rank: int | str = "auto",
        *,
        instruments: str | Mapping[str, str] | None = None,
        common_instruments: bool = False,
        groups: str | None = None,
        time: str | None = None,
        subset: Any = None,
        missing: str | None = None,
        weights: Any = None,
        common: Iterable[str] | bool = False,
        eval_env: int | Mapping[str, Any] = 0,
        **unknown: Any,
    ) -> Self:
        """Model from formulas and a DataFrame.

        Parameters
        ----------
        formula : str, list of str or mapping {equation: formula}
            Formulas in any of the forms of `LowRankSUR.from_formula`. Brackets hold endogenous
            regressors and the instruments that are excluded from the equation, as in
            linearmodels: ``"q ~ x1 + [p ~ z1 + z2]"``, whose instruments are 1, x1, z1, z2. Several
            endogenous regressors stand in the same brackets, ``[p1 + p2 ~ z1 + z2 + z3]``. The
            constant is there unless the formula says ``0 +`` or ``- 1`` outside of the brackets;
            linearmodels' ``1 +`` may stay. Regressors are those of ``"q ~ x1 + p"``, in the order
            in which the formula engine has them: exogenous ones, then endogenous ones, but
            categories before numbers.
        data : DataFrame, mapping of columns, or any frame that `LowRankSUR.from_formula` takes
        rank : int, "full", "auto" or the name of a criterion
            See the constructor; the criterion sees the rows that are left after ``subset`` and
            ``missing``.
        instruments : str or mapping {equation: str}, optional
            In place of brackets every instrument, ``"~ x1 + z1 + z2"``, of all equations or of
            each. The constant is there as this formula says. Regressors that are combinations
            of instruments are exogenous, others endogenous.
        common_instruments : bool
            Every equation gets the instruments of all equations, their exogenous regressors
            among them, as in Stata's reg3.
        groups, time, subset, weights, eval_env : optional
            As in `LowRankSUR.from_formula`; ``lag(x, k)`` and the like may stand in brackets.
            Weights are of rows: of a long panel those of its periods.
        common : list of str or True, optional
            Regressors whose coefficients are equal in all equations.
        missing : {"drop", "raise", "none"}, optional
            "drop" (default) removes every row in which a response, a regressor or an instrument
            of any equation is missing: of a long panel every period. Cells (group, time) that are
            absent are an error.

        Raises
        ------
        FormulaError, InstrumentError, UnbalancedPanelError, NonFiniteError
            And what the constructor raises.

        Warns
        -----
        OneEquationWarning
            The system has one equation, which is two-stage least squares.
        """
        if unknown:
            own = inspect.signature(cls.from_formula).parameters
            known = [name for name in own if name != "unknown"]
            refuse(unknown, known, "from_formula()", "LowRank3SLS")
        scope = scope_of(eval_env, (formula, instruments))
        one_list = flag(common_instruments, "common_instruments")
        how = "drop" if missing is None else missing_by_rows(missing)
        check_columns(groups=groups, time=time)
        if isinstance(data, Iterator):
            raise FormulaError(
                "data is an iterator of chunks, which only LowRankSUR.from_formula reads; pass "
                "one DataFrame"
            )
        data = table(data)
        built = build_instrumented(
            formula,
            data,
            instruments=instruments,
            groups=groups,
            time=time,
            subset=subset,
            missing=how,
            scope=scope,
        )
        frame = snapshot(data)
        source = provenance_of(built, frame)
        model = cls(
            built.endog,
            list(built.exog),
            list(built.instruments),
            rank,
            missing="none",
            weights=row_weights_of_data(weights, source),
            common_instruments=one_list,
            common=common,
            _formula=built,
        )
        _check_brackets(model.system, built)
        if len(model.equations) == 1:
            warn_of_one(model.equations[0], data, groups, model.nobs, "2SLS")
        return cls._of(model, formula, frame, source, weights=weights)


def _check_brackets(system: InstrumentedSystem, built: FormulaSystem) -> None:
    """What formulas call endogenous is so, by its values, and nothing else is.

    Raises
    ------
    InstrumentError
    """
    pairs = zip(system.names, system.columns, system.endogenous, built.endogenous, strict=False)
    for name, columns, found, said in pairs:
        stands = np.array([column in said for column in columns])
        for i in np.flatnonzero(stands != found)[:1]:
            if stands[i]:
                raise InstrumentError(
                    f"equation {name!r}: {columns[i]!r} is endogenous in brackets, but it is one "
                    "of the instruments, or a combination of them; take it out of these"
                )
            raise InstrumentError(
                f"equation {name!r}: {columns[i]!r} stands outside of the brackets, but it is no "
                "combination of the instruments, which must hold every exogenous regressor: do "
                "not subtract it in brackets, or put it among the endogenous ones"
            )
