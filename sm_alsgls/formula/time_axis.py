"""A time column as whole numbers of steps, so that a lag goes by time and a gap is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import FormulaError

# A month's first or last trading day is at most this many days from its end.
_NEAR = 4


@dataclass(frozen=True)
class Axis:
    """How the times of a panel count in steps.

    ================== ======================================================================
    times              a step
    ================== ======================================================================
    whole numbers      the greatest common divisor of their distances: 1 for years, 5 for
                       1950, 1955, 1965
    other numbers      the smallest distance, of which all must be multiples
    periods            their frequency
    dates              months, where all lie in months of their own and on the same day, or
                       near the same end, of them (3 for quarters, 12 for years); business
                       days, where all are days and none is on a weekend; else the greatest
                       common divisor of the distances, which two neighbours must have
    ordered categories the next category
    ================== ======================================================================

    Anything else, text above all, has an order but no distances: it is refused.
    """

    name: str  #: column
    kind: str  #: "number", "period", "month", "business day", "day", "instant" or "category"
    origin: Any  #: position 0, in the units of `kind`
    step: Any  #: units of `kind` in a step
    place: Any = None  #: where in a month; time zone; frequency; categories

    @classmethod
    def of(cls, values: pd.Series, name: str) -> Axis:
        """The axis of some times, none of them missing.

        Raises
        ------
        FormulaError
            They are text or have no regular step.

        Examples
        --------
        >>> import pandas as pd
        >>> from sm_alsgls.formula.time_axis import Axis
        >>> times = pd.Series(pd.to_datetime(["2001-03-31", "2000-09-30", "2001-06-30"]))
        >>> axis = Axis.of(times, "quarter")
        >>> axis.positions(times), axis.shown_step
        (array([2, 0, 3]), '3 months')
        """
        distinct = pd.Series(values.unique())
        distinct = _plain(distinct, name)
        if isinstance(distinct.dtype, pd.CategoricalDtype):
            return cls(name, "category", 0, 1, tuple(distinct.cat.categories))
        if isinstance(distinct.dtype, pd.PeriodDtype):
            periods = pd.PeriodIndex(distinct)
            origin = int(_ordinals(distinct, "period", None).min())
            return cls(name, "period", origin, periods.freq.n, periods.freqstr)
        if pd.api.types.is_numeric_dtype(distinct.dtype):
            return _of_numbers(distinct, name)
        return _of_dates(distinct, name)

    @property
    def shown_step(self) -> str:
        """A step in words."""
        if self.kind in ("number", "category", "period"):
            what = {"number": f"{self.step:g}", "category": "one category", "period": self.place}
            return str(what[self.kind])
        if self.kind == "instant":
            return str(pd.Timedelta(self.step, "ns"))
        return f"{self.step} {self.kind}s" if self.step != 1 else f"one {self.kind}"

    def positions(self, values: pd.Series) -> np.ndarray:
        """Steps (n,) from the origin, possibly negative.

        Raises
        ------
        FormulaError
            A time is of another kind than those of the axis, or between two steps.
        """
        codes, distinct = pd.factorize(values)
        times = _plain(pd.Series(distinct), self.name)
        try:
            units = _ordinals(times, self.kind, self.place)
        except (TypeError, ValueError, AttributeError) as error:
            raise FormulaError(
                f"time={self.name!r}: {values.dtype} is another kind of time than that of the "
                f"model's own data, whose step is {self.shown_step} ({error})"
            ) from error
        steps = (units - self.origin) / self.step
        whole = np.rint(steps)
        off = ~(np.abs(steps - whole) < (0.05 if isinstance(self.step, float) else 1e-9))
        off |= ~self._in_place(times)
        if off.any():
            raise FormulaError(
                f"time={self.name!r}: {shown(distinct[np.flatnonzero(off)[0]])} lies between the "
                f"times of the model's own data, whose step is {self.shown_step}"
            )
        return whole.astype(np.int64)[codes]

    def _in_place(self, times: pd.Series) -> np.ndarray:
        if self.kind == "month":
            return _at(_wall(times), self.place)
        if self.kind == "business day":
            return (_wall(times).dt.day_of_week < 5).to_numpy()
        return np.ones(len(times), dtype=bool)


def _plain(values: pd.Series, name: str) -> pd.Series:
    """Times as numbers, periods, dates or ordered categories, whatever holds them."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        if dtype.ordered:
            return values
        values = values.astype(dtype.categories.dtype)
        dtype = values.dtype
    if pd.api.types.is_object_dtype(dtype):
        kind = pd.api.types.infer_dtype(values, skipna=False)
        if kind in ("integer", "floating", "mixed-integer-float", "boolean"):
            values = pd.to_numeric(values)
        elif kind in ("date", "datetime", "datetime64"):
            values = pd.to_datetime(values)
        elif kind == "period":
            values = pd.Series(pd.PeriodIndex(values))
        dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return values.astype(int)
    regular = (pd.PeriodDtype, pd.DatetimeTZDtype)
    if (
        pd.api.types.is_numeric_dtype(dtype)
        or isinstance(dtype, regular)
        or pd.api.types.is_datetime64_dtype(dtype)
        or pd.api.types.is_timedelta64_dtype(dtype)
    ):
        return values
    raise FormulaError(
        f"time={name!r} holds text ({shown(values.iloc[0])}), which has an order but no steps: "
        "lag(), lead() and diff() could not see a gap. Make it whole numbers, dates or periods, "
        f"for example data[{name!r}] = pd.PeriodIndex(data[{name!r}], freq='Q'), or an ordered "
        "category"
    )


def _ordinals(times: pd.Series, kind: str, place: Any) -> np.ndarray:
    """Times in the units of ``kind``."""
    if kind == "category":
        codes = pd.Index(place).get_indexer(pd.Index(times.astype(object)))
        return np.where(codes < 0, np.nan, codes)
    if kind == "period":
        periods = pd.PeriodIndex(times)
        if place is not None and periods.freqstr != place:
            raise ValueError(f"frequency {periods.freqstr}, not {place}")
        return np.asarray(periods.astype("int64"))
    if kind == "number":
        if not pd.api.types.is_numeric_dtype(times.dtype):
            raise TypeError("not numbers")
        # Not unsigned: differences may be negative.
        whole = pd.api.types.is_integer_dtype(times.dtype)
        return times.to_numpy(np.int64 if whole else float)
    if kind == "instant":
        return _nanoseconds(times, place)
    wall = _wall(times)
    if kind == "month":
        return (12 * wall.dt.year + wall.dt.month).to_numpy()
    days = wall.to_numpy().astype("datetime64[D]")
    if kind == "business day":
        return np.busday_count(np.datetime64("1970-01-01"), days)
    return days.astype(np.int64)


def _wall(times: pd.Series) -> pd.Series:
    """Dates as clocks on the wall show them: days and months begin there."""
    zone = getattr(times.dt, "tz", None)
    return times if zone is None else times.dt.tz_localize(None)


def _nanoseconds(times: pd.Series, zoned: Any = None) -> np.ndarray:
    zone = getattr(times.dt, "tz", None)
    if zoned is not None and zoned != (zone is not None):
        raise TypeError("with a time zone here and without there")
    times = times if zone is None else times.dt.tz_convert("UTC").dt.tz_localize(None)
    unit = "timedelta64[ns]" if pd.api.types.is_timedelta64_dtype(times.dtype) else "datetime64[ns]"
    return times.to_numpy().astype(unit).astype(np.int64)


def _of_numbers(distinct: pd.Series, name: str) -> Axis:
    numbers = distinct.to_numpy()
    if not np.isfinite(numbers).all():
        raise FormulaError(f"time={name!r} holds an infinite time")
    if (numbers == np.rint(numbers)).all() and np.abs(numbers).max() < 2**53:
        whole = np.sort(numbers.astype(np.int64))
        step = int(np.gcd.reduce(np.diff(whole))) if whole.size > 1 else 1
        return Axis(name, "number", int(whole[0]), step)
    numbers = np.sort(numbers.astype(float))
    distances = np.diff(numbers)
    # Decimals are rounded: 2000.083, 2000.167. The mean of the short distances is not.
    step = float(distances[distances < 1.5 * distances.min()].mean()) if distances.size else 1.0
    steps = (numbers - numbers[0]) / step
    if (np.abs(steps - np.rint(steps)) > 0.05).any():
        raise _irregular(name)
    return Axis(name, "number", float(numbers[0]), step)


def _of_dates(distinct: pd.Series, name: str) -> Axis:
    if pd.api.types.is_timedelta64_dtype(distinct.dtype):
        return _of_ordinals("instant", distinct, name)
    wall = _wall(distinct)
    if (wall - wall.dt.normalize()).nunique() > 1:
        zoned = getattr(distinct.dt, "tz", None) is not None
        return _of_ordinals("instant", distinct, name, zoned)
    months = _ordinals(distinct, "month", None)
    if len(set(months)) == months.size:
        places = (int(wall.dt.day.max()), "end", "start")
        place = next((place for place in places if _at(wall, place).all()), None)
        if place is not None:
            step = int(np.gcd.reduce(np.diff(np.sort(months)))) if months.size > 1 else 1
            return Axis(name, "month", int(months.min()), step, place)
    axis = _of_ordinals("day", distinct, name, regular=False)
    if axis.step == 1 and (wall.dt.day_of_week < 5).all():
        return _of_ordinals("business day", distinct, name)
    return _of_ordinals("day", distinct, name)


def _of_ordinals(
    kind: str, distinct: pd.Series, name: str, place: Any = None, regular: bool = True
) -> Axis:
    units = np.sort(_ordinals(distinct, kind, place))
    distances = np.diff(units)
    step = int(np.gcd.reduce(distances)) if distances.size else 1
    if regular and distances.size and distances.min() != step:
        raise _irregular(name)
    return Axis(name, kind, int(units[0]), step, place)


def _at(wall: pd.Series, place: Any) -> np.ndarray:
    """Whether each date has this place in its month."""
    day, last = wall.dt.day.to_numpy(), wall.dt.days_in_month.to_numpy()
    if place == "end":
        return last - day <= _NEAR
    return day <= _NEAR if place == "start" else day == np.minimum(place, last)


def _irregular(name: str) -> FormulaError:
    return FormulaError(
        f"time={name!r} has no regular step, so that nothing is one step before: make it periods, "
        f"whose frequency is the step, data[{name!r}] = pd.PeriodIndex(data[{name!r}], freq='D'), "
        "or number the times"
    )
