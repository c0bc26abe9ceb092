"""Links to the source for members that a class inherits, or has as a function from elsewhere.

viewcode looks for the text of ``Class.member`` in the module of the class. Here many members are
defined in a base, or are functions of an estimate; before viewcode looks, each object is given the
module and the name that its code has. The way back from the source needs that name as an anchor.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from sphinx import addnodes


def written(module: str, name: str) -> tuple[str, str] | None:
    """Module and qualified name of what code defines; None of what is no function or class.

    Examples
    --------
    >>> written("sm_alsgls", "LowRankSURResults.conf_int")
    ('sm_alsgls.results.coefficients', 'conf_int')
    """
    held: Any = importlib.import_module(module)
    for part in name.split("."):
        held = inspect.getattr_static(held, part, None)
    held = getattr(held, "fget", None) or getattr(held, "func", None) or held
    held = getattr(held, "__func__", held)
    try:
        held = inspect.unwrap(held)
        return held.__module__, held.__qualname__
    except AttributeError:
        return None


def follow(app: Any, doctree: Any) -> None:
    """Of `doctree-read`, before viewcode."""
    for described in doctree.findall(addnodes.desc):
        if described.get("domain") != "py":
            continue
        for signature in described.findall(addnodes.desc_signature):
            module, name = signature.get("module"), signature.get("fullname")
            found = written(module, name) if module and name else None
            if found is None or not found[0].startswith("sm_alsgls"):
                continue
            signature["module"], signature["fullname"] = found
            alias = ".".join(found)
            if alias not in doctree.ids:
                signature["ids"].append(alias)
                doctree.ids[alias] = signature


def setup(app: Any) -> dict[str, Any]:
    """Go before viewcode, whose priority is 500."""
    app.connect("doctree-read", follow, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
