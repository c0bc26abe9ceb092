"""The ways to a `LowRankSUR` beside its constructor: pairs, chunks of rows, formulas."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, iterator
from sm_alsgls.border.dask_inputs import is_dask_frame
from sm_alsgls.border.frames import table
from sm_alsgls.border.provenance import snapshot
from sm_alsgls.data.keywords import refuse
from sm_alsgls.data.removed import READ_AS_STREAM, READ_BY_DASK, Removed
from sm_alsgls.data.validity import MISSING
from sm_alsgls.data.weights import weights_of_data
from sm_alsgls.exceptions import FormulaError, OptionError, ShapeError
from sm_alsgls.formula.build import FormulaSystem
from sm_alsgls.formula.build import build_system as build_formula
from sm_alsgls.formula.partitions import formula_partitions
from sm_alsgls.formula.stream import FormulaStream
from sm_alsgls.models.in_tiles import of_dask_panel
from sm_alsgls.models.laws import AskedLaws
from sm_alsgls.models.of_formula import (
    OfFormula,
    check_columns,
    provenance_of,
    scope_of,
    warn_of_one,
)
from sm_alsgls.models.parts import parts_of


class Construction(OfFormula):
    """Mixin of `LowRankSUR`."""

    if TYPE_CHECKING:
        equations: list[str]
        nobs: int

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @classmethod
    def from_system(
        cls, equations: Mapping[str, Any], rank: int | str = "auto", **kwargs: Any
    ) -> Self:
        """Model from pairs, ``{"equation": (y, X), ...}``, or linearmodels' mappings.

        Parameters
        ----------
        equations : mapping of str to (array_like, array_like) or mapping
            Response (N,) and design (N, p_j) of each equation, and its weights (N,) where it has
            some: ``(y, X)``, ``(y, X, w)`` or, as linearmodels has it,
            ``{"dependent": y, "exog": X, "weights": w}``. Where some equations have weights those
            of the others are 1.
        rank : int, "auto" or the name of a criterion
        **kwargs
            Passed to the constructor.

        Raises
        ------
        ShapeError, OptionError

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankSUR
        >>> rng = np.random.default_rng(0)
        >>> y, X = rng.standard_normal((3, 50)), np.ones((50, 1))
        >>> LowRankSUR.from_system({"a": (y[0], X), "b": (y[1], X), "c": (y[2], X)}).neqs
        3
        """
        if not isinstance(equations, Mapping) or not equations:
            raise ShapeError('from_system takes a mapping {"equation": (y, X), ...}')
        forms = {2: _PARTS[:2], 3: _PARTS}
        parts = {
            name: parts_of(name, one, _PARTS, forms, _PARTS[:2], _EXAMPLE)
            for name, one in equations.items()
        }
        endog = {name: part["dependent"] for name, part in parts.items()}
        exog = {name: part["exog"] for name, part in parts.items()}
        if any("weights" in part for part in parts.values()):
            if kwargs.get("weights") is not None:
                raise OptionError("weights= is given twice: beside the equations, and in them")
            kwargs["weights"] = {
                name: part["weights"] if "weights" in part else np.ones(len(part["dependent"]))
                for name, part in parts.items()
            }
        return cls(endog, exog, rank, **kwargs)

    @classmethod
    def from_chunks(
        cls, chunks: Iterable[tuple[Any, Any]], rank: int | str = "auto", **kwargs: Any
    ) -> Self:
        """Model from chunks of rows, read once and not kept.

        The likelihood sees rows only through cross-products: of N rows with q distinct columns
        of regressors and K responses a triangular factor of q + K + 1 columns is kept (QR, which
        an offset of 1e8 does not hurt). Memory is that, one chunk and two blocks of 2,000 rows (of
        4,000 or more where there are fewer than 30 columns), whatever N;
        fits do not depend on N, and are those of all rows in memory to rounding.

        Parameters
        ----------
        chunks : iterable of pairs (endog, exog)
            Rows in any of the constructor's forms, with the same equations and columns in the
            same order in every chunk. Chunks may have any numbers of rows.
        rank : int, "auto" or the name of a criterion
            Any but "cv", which refits without some rows.
        **kwargs
            ``missing``, ``common``. With ``missing="drop"`` each chunk drops its own rows.

        Returns
        -------
        LowRankSUR
            What needs rows raises `DataRemovedError`: ``endog``, ``exog``, residuals, fitted
            values, factor scores, predictions in the sample, covariance types that are robust to
            heteroscedasticity or dependence, the bootstrap. All else is there, R-squared and
            predictions for new regressors included.

        See Also
        --------
        from_formula : takes an iterator of DataFrames.

        Notes
        -----
        A memory-mapped array of float64 needs no chunks: the constructor reads it in blocks as
        well, and keeps the map, so that nothing raises. Columns that equations share are found by
        value, also across chunks.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankSUR
        >>> def chunks():
        ...     rng = np.random.default_rng(0)
        ...     for _ in range(10):
        ...         x, factor = rng.standard_normal((2, 500, 1))
        ...         yield x + factor + rng.standard_normal((500, 4)), np.hstack([x**0, x])
        >>> model = LowRankSUR.from_chunks(chunks(), rank=1)
        >>> model.nobs
        5000
        >>> model.fit().params["y4_x1"].round(1)
        np.float64(1.0)
        """
        return cls(iterator(chunks, "chunks", "pairs (endog, exog)"), None, rank, **kwargs)

    @classmethod
    def from_formula(
        cls,
        formula: str | list[str] | Mapping[str, str],
        data: pd.DataFrame | Iterator[pd.DataFrame],
        rank: int | str = "auto",
        *,
        groups: str | None = None,
        time: str | None = None,
        subset: Any = None,
        missing: str | None = None,
        weights: Any = None,
        common: Iterable[str] | bool = False,
        ar: str | None = None,
        row_scale: Any = None,
        cell_scale: Any = None,
        spatial_error: Any = None,
        spatial_lag: Any = None,
        standardize: bool = True,
        eval_env: int | Mapping[str, Any] = 0,
        **unknown: Any,
    ) -> Self:
        """Model from formulas and a DataFrame.

        Parameters
        ----------
        formula : str, list of str or mapping {equation: formula}
            * a mapping ``{"GM": "inv_gm ~ val_gm", "US": "inv_us ~ val_us"}``;
            * a list of formulas, named by their left sides;
            * braces, ``"{GM: inv_gm ~ val_gm} {US: inv_us ~ val_us}"``;
            * several responses of the same regressors, ``"y1 + y2 + y3 ~ x1 + x2"``;
            * one formula over a long panel, with ``groups`` (and ``time``): an equation a group.
              With both, ``lag(x, k)``, ``lead(x, k)`` and ``diff(x, k)`` go by group and time
              (`sm_alsgls.formula.lags`); other terms that depend on the order of rows are refused.

            Formulas are Python code, as in all of statsmodels: evaluate none that you do not trust.
        data : DataFrame, mapping of columns, or iterator of DataFrames
            Of pandas, polars (lazy too), pyarrow, duckdb, xarray or any library that narwhals
            reads, see `sm_alsgls.border.frames.to_pandas`.
            An iterator yields chunks of rows, for example ``pd.read_csv(..., chunksize=100_000)``.
            They are read once and not kept, see `from_chunks`; levels of categorical variables
            are those of the first chunk, or those that its dtype declares. Not for long panels,
            nor for transforms that learn from the data (``center``, splines). A dask DataFrame
            without ``groups`` is read in partitions likewise, its levels those of all of them;
            with ``groups`` its partitions hold whole groups, and are chunks of equations, which
            stay on the workers: the model is a `DaskSUR`, with ``rank`` a number, equations in the
            order of the partitions, and all periods in every group.
        rank : int, "auto" or the name of a criterion
            See the constructor; the criterion sees the rows that are left after ``subset`` and
            ``missing``.
        groups, time : str, optional
            Columns of a long panel, or levels of its index, that hold the equation and the row.
            Data of one formula with one response whose index has two levels are such a panel,
            equations first, when neither is given.
            Equations are in the order of their labels where these are numbers or dates, else
            in that in which the data have them.
        subset : array_like, optional
            Rows of ``data`` to use, as ``data.loc[subset]``.
        missing : {"drop", "fiml", "raise", "none"}, optional
            "drop" removes every row in which any equation misses a value; a long panel must then
            be balanced. "fiml" uses every cell that is there, as the constructor says; of a long
            panel also cells (group, time) that are absent are missing. Default: "drop" for wide
            data, "fiml" for a long panel with ``time``, which matters where it is unbalanced.
        weights : str, array_like, Series, DataFrame or mapping, optional
            A column of the data, or what the constructor takes, for the rows of the data; of a
            long panel one for each of its rows, which are cells.
        common : list of str or True, optional
            Regressors whose coefficients are equal in all equations.
        ar, row_scale, cell_scale, spatial_error, spatial_lag, standardize : optional
            Laws of the errors, see the constructor. Scales are formulas, ``"~ z"``, columns, or
            values of the rows of the data; those of cells are of a long panel.
        eval_env : int or mapping
            Where names that are not columns are looked up: frames above the caller (0 is the
            caller, -1 nowhere), or a mapping.

        Raises
        ------
        FormulaError, UnbalancedPanelError, NonFiniteError
            And what the constructor raises.

        Warns
        -----
        OneEquationWarning
            The system has one equation. Where two columns look like the groups and times of a
            long panel it names them.
        """
        if unknown:
            known = inspect.signature(cls.from_formula).parameters
            refuse(unknown, [name for name in known if name != "unknown"], "from_formula()")
        asked = AskedLaws(ar, row_scale, cell_scale, spatial_error, spatial_lag, standardize)
        said = [text for text in (row_scale, cell_scale) if isinstance(text, str)]
        scope = scope_of(eval_env, [formula, *said] if said else formula)
        missing = None if missing is None else choice(missing, "missing", MISSING)
        check_columns(groups=groups, time=time)
        source = scale = None
        if is_dask_frame(data) and groups is not None:
            _refuse_with_parts(True, subset=subset)
            rest = {**asked._asdict(), "weights": weights, "common": common}
            rest.pop("standardize")
            tiled: Any = of_dask_panel(
                formula, data, rank, groups=groups, time=time, scope=scope, missing=missing, **rest
            )
            return tiled
        by_dask = is_dask_frame(data) and groups is None and time is None
        if by_dask or isinstance(data, Iterator):
            _refuse_with_parts(by_dask, groups=groups, time=time, subset=subset)
            how = "drop" if missing is None else missing
            rows: Any
            stream: FormulaStream | FormulaSystem
            if by_dask:
                made = formula_partitions(formula, data, missing=how, scope=scope)
                rows, stream = made.partitions, made.recipe
            else:
                stream = FormulaStream(formula, data, missing=how, scope=scope)
                rows = iter(stream)
            model = cls(
                rows,
                None,
                rank,
                missing="fiml" if how == "fiml" else "none",
                weights=weights,
                common=common,
                _formula=stream,
                **asked._asdict(),
            )
            frame: Any = Removed("data", READ_BY_DASK if by_dask else READ_AS_STREAM)
        else:
            data = table(data)
            built = build_formula(
                formula,
                data,
                groups=groups,
                time=time,
                subset=subset,
                missing=missing,
                scope=scope,
            )
            frame = snapshot(data)
            source = provenance_of(built, frame)
            asked, scale = asked.evaluated(frame, scope)
            model = cls(
                built.endog,
                list(built.exog),
                rank,
                missing="fiml" if built.holes else "none",
                weights=weights_of_data(weights, source, list(built.endog)),
                common=common,
                _formula=built,
                **asked.of_rows(source, list(built.endog))._asdict(),
            )
        if len(model.equations) == 1:
            warn_of_one(model.equations[0], data, groups, rows=model.nobs)
        return cls._of(model, formula, frame, source, scale, weights)


def _refuse_with_parts(by_dask: bool, **given: Any) -> None:
    """What needs all rows at once, or goes before.

    Raises
    ------
    FormulaError
    """
    whole, part = ("a frame of dask", "frame") if by_dask else ("an iterator of chunks", "chunk")
    for name, value in given.items():
        if value is not None:
            raise FormulaError(
                f"{name}= does not go with {whole}: "
                + (
                    f"select the rows of {'the' if by_dask else 'each'} {part} before"
                    if name == "subset"
                    else "the rows of a long panel belong together across chunks; pass "
                    "wide chunks, one column a response, or one DataFrame"
                )
            )


_PARTS = ("dependent", "exog", "weights")
_EXAMPLE = (
    'a pair (y, X), a triple (y, X, weights) or a mapping {"dependent": y, "exog": X, "weights": w}'
)
