"""Saving what the formula engines memorised: knots, means, levels, and names of the caller's.

patsy refuses to pickle its objects, though they are plain ones: `pack` writes their attributes, and
the bytes are an ordinary pickle. The caller's values that formulas use (functions, mostly) are
packed one by one, so that one that cannot be saved costs nothing until a formula needs it.
"""

from __future__ import annotations

import importlib
import io
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from sm_alsgls import exceptions as exc
from sm_alsgls.formula.errors import first_line

# A name, but neither an attribute nor the name of a keyword argument.
_USED = re.compile(r"(?<![\w.])[^\W\d]\w*(?!\w)(?!\s*=(?!=))")


@dataclass(frozen=True)
class Packed:
    """A saved object, or why it could not be saved."""

    content: bytes | None
    failure: str = ""

    def open(self) -> Any:
        """The object again.

        Raises
        ------
        FormulaError
        """
        why = self.failure
        if self.content is not None:
            try:
                return pickle.loads(self.content)
            except Exception as error:
                why = f"{type(error).__name__}: {first_line(error)}"
        raise exc.FormulaError(
            "What the formulas memorised (levels, means, knots) could not be "
            f"{'saved' if self.content is None else 'read'} ({why}), so they cannot be evaluated "
            "on new data; make the model again, or predict from designs with transform=False."
        )


def pack(value: Any) -> Packed:
    """Save anything made of patsy's, formulaic's and picklable objects; never fails."""
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=4).dump(value)
    except Exception as error:
        return Packed(None, f"{type(error).__name__}: {first_line(error)}")
    return Packed(stream.getvalue())


class Names(dict[str, Any]):
    """The caller's values by name; pickled one by one, through `pack`."""


def used_names(scope: Mapping[str, Any], texts: Iterable[str], columns: Iterable[Any]) -> Names:
    """The part of a scope that formulas need besides the columns of their data.

    >>> used_names({"log": 1, "df": 2, "x": 3, "np": 4}, ["y ~ bs(x, df=4) + np.log(z)"], ["x"])
    {'np': 4}
    """
    found = {name for text in set(texts) for name in _USED.findall(text)} - set(columns)
    return Names({name: value for name, value in scope.items() if name in found})


class Unavailable:
    """Stands for a caller's value that could not be saved; every use says so."""

    def __init__(self, name: str, kind: str, why: str) -> None:
        self.__dict__.update(name=name, kind=kind, why=why)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise exc.FormulaError(
            f"the formula uses {self.name!r}, a {self.kind} that was not saved with the model "
            f"({self.why}); define it in a module that can be imported, or install cloudpickle, "
            "then make the model and save it again"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    __call__ = __array__ = __getitem__ = __len__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __lt__ = __gt__ = _refuse
    __array_ufunc__ = _refuse


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is Names:
            return _names, ({name: _save(name, value) for name, value in obj.items()},)
        if not kind.__module__.startswith("patsy."):
            return NotImplemented
        if kind.__name__ == "Origin":  # a place in a formula's text, for error messages
            return _nothing, ()
        state = dict(vars(obj))
        if kind.__name__ == "EvalEnvironment":
            state["_namespaces"] = [Names(names) for names in state["_namespaces"]]
        return _blank, (kind,), state


def _nothing() -> None:
    return None


def _blank(kind: type) -> Any:
    return object.__new__(kind)


def _names(saved: dict[str, tuple[str, Any]]) -> Names:
    return Names({name: _load(name, *value) for name, value in saved.items()})


def _save(name: str, value: Any) -> tuple[str, Any]:
    """How the value was saved, and what is needed to load it."""
    if isinstance(value, Unavailable):
        return "lost", (value.kind, value.why)
    if isinstance(value, ModuleType):
        return "module", value.__name__
    if getattr(_patsy_builtins(), name, None) is value and value is not None:
        return "patsy", name
    here = getattr(value, "__module__", None) == "__main__"
    error: Exception | None = None
    if not here:
        # By reference, where a module holds it.
        try:
            return "pickle", (_kind(value), pickle.dumps(value, protocol=4))
        except Exception as reason:
            error = reason
    try:
        import cloudpickle

        return "pickle", (_kind(value), cloudpickle.dumps(value, protocol=4))
    except Exception as reason:
        error = error or reason
    if here:
        try:
            return "pickle", (_kind(value), pickle.dumps(value, protocol=4))
        except Exception as reason:
            error = reason
    return "lost", (_kind(value), first_line(error) if error else "")


def _load(name: str, how: str, what: Any) -> Any:
    if how == "lost":
        return Unavailable(name, *what)
    kind = "module" if how == "module" else "function"
    try:
        if how == "module":
            return importlib.import_module(what)
        if how == "patsy":
            return getattr(_patsy_builtins(), what)
        kind, content = what
        return pickle.loads(content)
    except Exception as error:
        return Unavailable(name, kind, f"{type(error).__name__}: {first_line(error)}")


def _kind(value: Any) -> str:
    return "function" if callable(value) else type(value).__name__


def _patsy_builtins() -> ModuleType:
    return importlib.import_module("patsy.builtins")
