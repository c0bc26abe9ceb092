"""Names of a package that are imported when somebody first asks for them (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any


def on_demand(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose names are at home in its modules.

    A name is imported once and is then an ordinary one of the package. Modules of the package are
    attributes too, as they are where all of it is imported at once.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : dict of str to str
        The module of each name.

    Returns
    -------
    callable, callable
        The type checker must not see the first, which has any name: it stands in the ``else`` of
        an ``if TYPE_CHECKING:`` that imports the same names.

    Examples
    --------
    >>> from sm_alsgls.lazy import on_demand
    >>> attribute, names = on_demand("sm_alsgls.lazy", {"sqrt": "math"})
    >>> attribute("sqrt")(4.0)
    2.0
    >>> attribute("square")
    Traceback (most recent call last):
        ...
    AttributeError: module 'sm_alsgls.lazy' has no attribute 'square'
    """

    def __getattr__(name: str) -> Any:  # noqa: N807
        module = sys.modules[package]
        if name in homes:
            found = getattr(import_module(homes[name]), name)
            setattr(module, name, found)
            return found
        whole = f"{package}.{name}"
        if name.startswith("_") or not hasattr(module, "__path__") or find_spec(whole) is None:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=module
            )
        return import_module(whole)

    def __dir__() -> list[str]:  # noqa: N807
        module = sys.modules[package]
        inside = (found.name for found in iter_modules(getattr(module, "__path__", ())))
        public = (name for name in inside if not name.startswith("_"))
        return sorted({*vars(module), *homes, *public})

    return __getattr__, __dir__
