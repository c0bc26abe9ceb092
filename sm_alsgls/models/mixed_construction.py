"""The ways to a `LowRankMixedLM` beside its constructor: formulas, chunks of rows."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, is_label, iterator
from sm_alsgls.border.frames import level_names, table, to_pandas
from sm_alsgls.border.provenance import Provenance, snapshot
from sm_alsgls.data.grouped import Names
from sm_alsgls.data.grouped_rows import (
    CROSSED,
    MISSING,
    Read,
    grouped,
    per_row,
    read_arrays,
    weights_of,
)
from sm_alsgls.data.grouped_stream import read_stream
from sm_alsgls.data.removed import READ_AS_STREAM, Removed
from sm_alsgls.exceptions import FormulaError, OptionError, ShapeError
from sm_alsgls.formula.mixed import build_mixed, indicated
from sm_alsgls.formula.mixed_stream import MixedStream
from sm_alsgls.formula.panel import key
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.models.mixed_data import MixedData
from sm_alsgls.models.mixed_keywords import refuse
from sm_alsgls.models.of_formula import scope_of

#: What a chunk of rows may hold.
PARTS = ("endog", "exog", "groups", "exog_re", "residual", "weights")


class MixedConstruction:
    """Mixin of `LowRankMixedLM`."""

    if TYPE_CHECKING:
        formula: Any
        data: MixedData

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        re_formula: str | None = None,
        rank: int | str = "auto",
        *,
        groups: Any = None,
        time: Any = None,
        residual: Any = None,
        ar: str | None = None,
        weights: Any = None,
        uniquenesses: bool = True,
        subset: Any = None,
        missing: str = "drop",
        eval_env: int | Mapping[str, Any] = 0,
        **unknown: Any,
    ) -> Self:
        """Model from formulas and a DataFrame.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + x2"``, the fixed effects. With ``groups`` and ``time`` columns,
            ``lag(x, k)``, ``lead(x, k)`` and ``diff(x, k)`` go by group and time.
        data : DataFrame, mapping of columns, or iterator of DataFrames
            Long, rows in any order; of any library that `LowRankSUR.from_formula` reads. An
            iterator yields chunks of rows, of which cross-products a group are kept, see
            `from_chunks`.
        re_formula : str, optional
            ``"~ x1 + x2"``, the random effects, with that of the constant (``Group``) unless
            ``"~ 0 + x1"``. Default: a random intercept.
        rank : int, "diagonal", "full", "auto" or the name of a criterion
            See the constructor.
        groups : str, array_like or Series
            A column, or a level of the index, or one label for each row. Default: the first of
            two levels of the index.
        time : str, array_like or Series, optional
            Times of the rows; default the second of two levels of the index.
        residual : str, array_like or Series, optional
            Levels of the residual variance: ``"~ 0 + taxon"``, a column, or labels.
        ar : {"groups"}, optional
        weights : str, array_like or Series, optional
        uniquenesses : bool
        subset : array_like, optional
            Rows of ``data`` to use, as ``data.loc[subset]``.
        missing : {"drop", "raise", "none"}
            "drop" leaves out rows that miss anything, and `n_dropped` counts them.
        eval_env : int or mapping
            Where names that are not columns are looked up, as of `LowRankSUR.from_formula`.

        Raises
        ------
        FormulaError, NonFiniteError
            And what the constructor raises.

        Examples
        --------
        >>> from sm_alsgls import LowRankMixedLM
        >>> from sm_alsgls.datasets import load_sleepstudy
        >>> model = LowRankMixedLM.from_formula(
        ...     "Reaction ~ Days", load_sleepstudy(), "~ Days", "full", groups="Subject"
        ... )
        >>> model.n_groups, model.k_re, model.nobs
        (18, 2, 180)
        """
        if unknown:
            known = inspect.signature(cls.from_formula).parameters
            refuse(unknown, [name for name in known if name != "unknown"], "from_formula()")
        texts = [text for text in (formula, re_formula, residual) if isinstance(text, str)]
        scope = scope_of(eval_env, texts)
        missing = choice(missing, "missing", MISSING)
        levels = residual if isinstance(residual, str) and "~" in residual else None
        law = {"ar": ar, "uniquenesses": uniquenesses}
        if isinstance(data, Iterator):
            for name, value in (("subset", subset), ("time", time), ("ar", ar)):
                if value is not None:
                    raise FormulaError(
                        f"{name}= does not go with an iterator of chunks: " + _NO[name]
                    )
            stream = MixedStream(
                lambda frame: build_mixed(
                    formula, frame, re_formula, levels, groups=_column(groups), missing=missing,
                    scope=scope,
                ),
                scope,
            )  # fmt: skip

            def read(chunk: Any) -> Read | None:
                chunk = table(chunk)
                if not len(chunk):
                    return None
                built, frame = stream.matrices(chunk)
                label = _groups(groups, frame)[0]
                return _read(built, frame, label, None, None if levels else residual, weights)

            rows: Any = read_stream(data, read, missing)
            model = cls._of_rows(rows, rank, formula=stream.recipe(), **law)
            frame: Any = Removed("data", READ_AS_STREAM)
        else:
            data = table(data)
            label, times = _groups(groups, data, time)
            built = build_mixed(
                formula, data, re_formula, levels, groups=_column(label), time=_column(times),
                subset=subset, missing=missing, scope=scope,
            )  # fmt: skip
            frame = snapshot(data)
            made = _read(built, frame, label, times, None if levels else residual, weights)
            rows = grouped(made, ordered=ar is not None, missing=missing)
            model = cls._of_rows(rows, rank, formula=built, **law)
        model.formula, model.data.frame = formula, frame
        return model

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[Any],
        rank: int | str = "auto",
        *,
        missing: str = "none",
        **kwargs: Any,
    ) -> Self:
        """Model from chunks of rows, read once and not kept.

        Of each group the products of its response and regressors are kept, m (p + q + 1)^2
        numbers, whatever the number of rows. The rows of a group may be in any chunks.

        Parameters
        ----------
        chunks : iterable
            Each a tuple (endog, exog, groups[, exog_re]) or a mapping with these and, where
            wanted, ``residual`` and ``weights``: rows in the constructor's forms, with the same
            columns in the same order in every chunk.
        rank : int, "diagonal", "full", "auto" or the name of a criterion
        missing : {"none", "drop", "raise"}
            With "drop" each chunk drops its own rows.
        **kwargs
            ``uniquenesses``.

        Returns
        -------
        LowRankMixedLM
            What needs rows raises `DataRemovedError`: ``endog``, ``exog``, residuals and fitted
            values. Random effects of the groups are there.

        See Also
        --------
        from_formula : takes an iterator of DataFrames.

        Examples
        --------
        >>> import numpy as np
        >>> from sm_alsgls import LowRankMixedLM
        >>> def chunks():
        ...     rng = np.random.default_rng(0)
        ...     for _ in range(10):
        ...         groups, x = rng.integers(0, 20, 50), rng.standard_normal((50, 1))
        ...         y = x[:, 0] + 0.3 * groups + rng.standard_normal(50)
        ...         yield y, np.hstack([x**0, x]), groups
        >>> model = LowRankMixedLM.from_chunks(chunks())
        >>> model.nobs, model.n_groups
        (500, 20)
        """
        missing = choice(missing, "missing", MISSING)
        rows = read_stream(
            iterator(chunks, "chunks", "tuples (endog, exog, groups)"), _read_chunk, missing
        )
        known = ("uniquenesses",)
        strange = [name for name in kwargs if name not in known]
        if strange:
            for name in strange:
                if name in _NO:
                    raise OptionError(f"{name}= does not go with chunks of rows: {_NO[name]}")
            refuse(strange, ["chunks", "rank", "missing", *known], "from_chunks()")
        return cls._of_rows(rows, rank, **kwargs)

    @classmethod
    def _of_rows(cls, rows: Any, rank: Any, **how: Any) -> Self:
        """The model of checked rows."""
        raise NotImplementedError


_NO = {
    "subset": "select the rows of each chunk before",
    "time": "products of rows that follow each other in time cannot be made where they are in "
    "several chunks; pass one DataFrame",
    "ar": "products of rows that follow each other in time cannot be made where they are in "
    "several chunks; pass one DataFrame",
    "weights": "they are a part of each chunk, a mapping with 'weights'",
    "residual": "it is a part of each chunk, a mapping with 'residual'",
    "exog_re": "it is a part of each chunk, the fourth of a tuple",
    "groups": "they are a part of each chunk, the third of a tuple",
}


def _column(value: Any) -> Any:
    """What names a column; None for values."""
    return value if value is not None and is_label(value) else None


def _groups(groups: Any, data: pd.DataFrame, time: Any = None) -> tuple[Any, Any]:
    """What tells groups, and times, of data: given, else two levels of their index.

    Raises
    ------
    FormulaError
    """
    levels = level_names(data.index) if data.index.nlevels == 2 else [None, None]
    if groups is None:
        if levels[0] is None:
            raise FormulaError(
                "groups= is missing: name the column that tells whose each row is, or give data "
                "whose index has two levels, groups and times"
            )
        groups = levels[0]
        time = levels[1] if time is None else time
    if isinstance(groups, (list, tuple)) and 1 < len(groups) < max(len(data), 2):
        raise OptionError(f"groups={list(groups)!r}{CROSSED}")
    for argument, value in (("groups", groups), ("time", time)):
        if isinstance(value, str) and value not in data.columns and value not in levels:
            crossed = argument == "groups" and any(mark in value for mark in ":/*+")
            if crossed:
                raise OptionError(f"groups={value!r}{CROSSED}")
            key(data, data.index, value, argument)
    return groups, time


def _read(
    built: FormulaSystem, frame: pd.DataFrame, groups: Any, time: Any, residual: Any, weights: Any
) -> Read:
    """What formulas made, with whatever else belongs to its rows."""
    whole = Provenance(frame.index, frame=frame)
    at = np.asarray(built.rows)
    label = _taken(groups, "groups", whole, at)
    times = None if time is None else _taken(time, "time", whole, at)
    levels, names = None, None
    if len(built.exog) > 2:
        levels, names = _indicated(built)
    elif residual is not None:
        levels = _taken(residual, "residual", whole, at)
    w = None if weights is None else weights_of(weights, whole)[at]
    source = Provenance(built.endog.index, at, frame=frame)
    called = Names(
        str(built.endog.columns[0]),
        [str(column) for column in built.exog[0]],
        [str(column) for column in built.exog[1]],
        "groups" if label.name is None else str(label.name),
        "time" if times is None or times.name is None else str(times.name),
    )
    return Read(
        called,
        built.endog.iloc[:, 0].to_numpy(dtype=float),
        built.exog[0].to_numpy(dtype=float),
        built.exog[1].to_numpy(dtype=float),
        label,
        source,
        times,
        levels,
        w,
        names,
        built.n_dropped,
    )


def _indicated(built: FormulaSystem) -> tuple[pd.Series, list[str]]:
    """Codes of levels, -1 where a row misses one, and their names."""
    columns, text = built.exog[2], built.specs[2].formula
    there = columns.notna().all(axis=1).to_numpy()
    codes = np.full(len(columns), -1)
    codes[there], names = indicated(columns.loc[there], text)
    return pd.Series(codes), names


def _taken(value: Any, argument: str, whole: Provenance, at: np.ndarray) -> pd.Series:
    """Labels of the rows that formulas kept, of those of all."""
    found = per_row(value, argument, whole)
    return found.iloc[at].reset_index(drop=True)


def _read_chunk(chunk: Any) -> Read:
    """A chunk of rows, a tuple or a mapping.

    Raises
    ------
    ShapeError
    """
    if isinstance(chunk, Mapping):
        strange = [name for name in chunk if name not in PARTS]
        if strange or not {"endog", "exog", "groups"} <= set(chunk):
            raise ShapeError(
                f"a chunk is a mapping with endog, exog, groups and, where wanted, exog_re, "
                f"residual and weights; got {', '.join(map(repr, chunk))}"
            )
        parts = dict(chunk)
    elif isinstance(chunk, (tuple, list)) and len(chunk) in (3, 4):
        parts = dict(zip(PARTS, chunk, strict=False))
    else:
        raise ShapeError(
            f"expected (endog, exog, groups) or (endog, exog, groups, exog_re), got "
            f"{type(chunk).__name__}" + (f" of {len(chunk)}" if hasattr(chunk, "__len__") else "")
        )
    made = {name: to_pandas(value, name) for name, value in parts.items()}
    return read_arrays(
        made["endog"],
        made["exog"],
        made["groups"],
        made.get("exog_re"),
        levels=made.get("residual"),
        weights=made.get("weights"),
    )
