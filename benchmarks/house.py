"""A checkout read as text, nothing imported: modules, imports, classes, who looks into whom.

`House(root)` parses every module of the package once. A module is named by its dotted path, a room
is a folder. What is counted by structure.py and forbidden by tests/test_house.py is found here.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TypeGuard

Graph = dict[str, set[str]]
# Private by spelling, documented and public: of namedtuple, and of sys.
_DOCUMENTED = {"_replace", "_asdict", "_fields", "_make", "_getframe"}


class House:
    """The modules of a package and what can be read off their text."""

    def __init__(self, root: Path, package: str = "sm_alsgls") -> None:
        self.root, self.package = Path(root), package
        self.text: dict[str, str] = {}
        self.path: dict[str, Path] = {}
        for path in sorted((self.root / package).rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.path[name] = path
            self.text[name] = path.read_text(encoding="utf-8")
        self.nodes = {name: _nodes(ast.parse(text)) for name, text in self.text.items()}

    def room(self, module: str) -> str:
        """The folder of a module; a package's `__init__` stands in its own folder."""
        if self.path[module].name == "__init__.py":
            return module
        return module.rpartition(".")[0]

    @cached_property
    def imports(self) -> Graph:
        """What each module imports when it runs, at its top or inside functions."""
        return {name: set(self._imported(name, typing=False)) for name in self.nodes}

    @cached_property
    def typed_imports(self) -> Graph:
        """The same with what it imports for the type checker only."""
        return {name: set(self._imported(name, typing=True)) for name in self.nodes}

    def _imported(self, module: str, typing: bool) -> Iterator[str]:
        hidden = set()
        if not typing:
            for node in filter(_for_the_type_checker, self.nodes[module]):
                hidden.update(id(one) for top in node.body for one in ast.walk(top))
        for node in self._links[module]:
            if id(node) not in hidden:
                yield from (t for t in self._targets(module, node) if t != module)

    @cached_property
    def _links(self) -> dict[str, list[ast.Import | ast.ImportFrom]]:
        """Per module: its few import statements, of some thousand nodes."""
        return {
            module: [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
            for module, nodes in self.nodes.items()
        }

    @cached_property
    def _defined(self) -> dict[str, set[str]]:
        return {module: _defined(nodes) for module, nodes in self.nodes.items()}

    def _targets(self, module: str, node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [a.name for a in node.names if a.name in self.nodes]
        source = self._source(module, node)
        inner = [f"{source}.{alias.name}" for alias in node.names]
        return [n if n in self.nodes else source for n in inner if {n, source} & self.nodes.keys()]

    def _source(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.path[module].name == "__init__.py"
        up = module.split(".")
        up = up[: len(up) - node.level + is_package]
        return ".".join([*up, node.module] if node.module else up)

    @cached_property
    def names(self) -> dict[str, dict[str, tuple[str, str]]]:
        """Per module: what a name stands for, as (module, name there); re-exports are followed."""
        direct: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for module, nodes in self.nodes.items():
            for node in nodes:
                if isinstance(node, ast.ClassDef):
                    direct[module][node.name] = (module, node.name)
                elif isinstance(node, ast.ImportFrom):
                    source = self._source(module, node)
                    for a in node.names:
                        whole = f"{source}.{a.name}"
                        at = (whole, "") if whole in self.nodes else (source, a.name)
                        direct[module][a.asname or a.name] = at
        return direct

    def _at_home(self, module: str, name: str) -> tuple[str, str]:
        seen: set[tuple[str, str]] = set()
        at = (module, name)
        while at not in seen:
            seen.add(at)
            at = self.names.get(at[0], {}).get(at[1], at)
        return at

    @cached_property
    def classes(self) -> dict[tuple[str, str], ast.ClassDef]:
        """Every class by (module, name)."""
        return {
            (module, node.name): node
            for module, nodes in self.nodes.items()
            for node in nodes
            if isinstance(node, ast.ClassDef)
        }

    def class_of(self, module: str, node: ast.expr) -> tuple[str, str] | None:
        """The class of the package that an expression names in a module, or None."""
        at = None
        if isinstance(node, ast.Name):
            at = self._at_home(module, node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            at = self._at_home(module, node.value.id)
            at = self._at_home(at[0], node.attr)
        return at if at in self.classes else None

    def bases(self, at: tuple[str, str]) -> list[tuple[str, str]]:
        """All classes of the package that a class inherits from, nearest first."""
        found: list[tuple[str, str]] = []
        for base in self.classes[at].bases:
            inner = base.value if isinstance(base, ast.Subscript) else base
            parent = self.class_of(at[0], inner)
            if parent and parent not in found:
                found += [parent, *(g for g in self.bases(parent) if g not in found)]
        return found

    def is_promise(self, at: tuple[str, str]) -> bool:
        """Whether a class is a protocol, abstract or an exception, which all may ask for."""
        words = {"Protocol", "ABC", "Exception", "Warning", "ValueError", "TypeError"}
        for node in (self.classes[one] for one in [at, *self.bases(at)]):
            for base in node.bases:
                inner = base.value if isinstance(base, ast.Subscript) else base
                word = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
                if word in words or word.endswith(("Error", "Warning")):
                    return True
        return False

    @cached_property
    def type_tests(self) -> Counter[str]:
        """`module asks Class`, for concrete classes of the package outside the class's own room."""
        found: Counter[str] = Counter()
        for module, nodes in self.nodes.items():
            for node in nodes:
                for named in _asked(node):
                    at = self.class_of(module, named)
                    if at is None or self.is_promise(at) or self.room(at[0]) == self.room(module):
                        continue
                    found[f"{module} asks {at[1]}"] += 1
        return found

    @cached_property
    def private_reads(self) -> Counter[str]:
        """`module reads _name`: of an object that is not self, and not defined in the module.

        `getattr(obj, "_name")`, `obj.__dict__` and `from module import _name` are counted too.
        """
        found: Counter[str] = Counter()
        for module, nodes in self.nodes.items():
            own = self._defined[module]
            for node in nodes:
                for name in _private(node):
                    if name not in own:
                        found[f"{module} reads {name}"] += 1
        return found

    @cached_property
    def borrowed(self) -> Counter[str]:
        """`module borrows _name`: of self, not defined in the module (mixins, bases)."""
        found: Counter[str] = Counter()
        for module, nodes in self.nodes.items():
            own = self._defined[module] | {n for c in nodes for n in _fields(c)}
            for node in nodes:
                if _is_of_self(node) and _is_private(node.attr) and node.attr not in own:
                    found[f"{module} borrows {node.attr}"] += 1
        return found

    @cached_property
    def room_imports(self) -> Graph:
        """Room to room, imports for types included.

        A module beside rooms (core/problem beside core/sigma) stands for itself, as in
        import-linter's layers; the front door (the package's `__init__`) is no room.
        """
        with_rooms = {self.room(m).rpartition(".")[0] for m in self.nodes}

        def place(module: str) -> str:
            return module if self.room(module) in with_rooms else self.room(module)

        found: Graph = {place(m): set() for m in self.nodes if m != self.package}
        for module, targets in self.typed_imports.items():
            if module != self.package:
                found[place(module)] |= {place(t) for t in targets if t != self.package}
        return {room: out - {room} for room, out in found.items()}

    @cached_property
    def any_parameters(self) -> Counter[str]:
        """Parameters annotated `Any` (or `Any | None`), by room."""
        found: Counter[str] = Counter()
        for module, nodes in self.nodes.items():
            for node in nodes:
                if isinstance(node, ast.arg) and node.annotation is not None:
                    found[self.room(module)] += _is_any(node.annotation)
        return +found

    @cached_property
    def flags(self) -> Counter[str]:
        """Reads of `.complete`, and comparisons of a rank with a number or a word."""
        found: Counter[str] = Counter({".complete": 0, "rank ==": 0})
        for nodes in self.nodes.values():
            for node in nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found[".complete"] += node.attr == "complete"
                elif isinstance(node, ast.Compare):
                    word = getattr(node.left, "id", getattr(node.left, "attr", ""))
                    exact = isinstance(node.ops[0], ast.Eq | ast.NotEq)
                    fixed = isinstance(node.comparators[0], ast.Constant)
                    found["rank =="] += word == "rank" and exact and fixed
        return found


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """As of `ast.walk`, in its order, without what says that a name is read or written."""
    out: list[ast.AST] = [tree]
    for node in out:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                out += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                out.append(value)
    return out


def _for_the_type_checker(node: ast.AST) -> TypeGuard[ast.If]:
    if not isinstance(node, ast.If):
        return False
    word = getattr(node.test, "id", getattr(node.test, "attr", ""))
    return word == "TYPE_CHECKING"


def _asked(node: ast.AST) -> Iterator[ast.expr]:
    """The classes that `isinstance`, `issubclass`, `type(x) is`, `type(x) in` or `case` names."""
    if isinstance(node, ast.Call) and len(node.args) == 2:
        if getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            yield from _alternatives(node.args[1])
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(isinstance(s, ast.Call) and getattr(s.func, "id", "") == "type" for s in sides):
            for side in sides:
                yield from _alternatives(side)
    elif isinstance(node, ast.MatchClass):
        yield node.cls


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        for one in node.elts:
            yield from _alternatives(one)
    elif isinstance(node, ast.BinOp):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _DOCUMENTED


def _private(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        owner = node.value
        selfish = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
        parent = isinstance(owner, ast.Call) and getattr(owner.func, "id", "") == "super"
        if node.attr == "__dict__" and not selfish:
            yield "__dict__"
        elif _is_private(node.attr) and len(node.attr) > 1 and not selfish and not parent:
            yield node.attr
    elif isinstance(node, ast.ImportFrom):
        yield from (a.name for a in node.names if _is_private(a.name))
    elif isinstance(node, ast.Call) and len(node.args) >= 2:
        word = getattr(node.func, "id", getattr(node.func, "attr", ""))
        target, name = node.args[0], node.args[1]
        if word in ("getattr", "hasattr", "setattr", "__setattr__", "attrgetter"):
            selfish = isinstance(target, ast.Name) and target.id in ("self", "cls")
            text = name.value if isinstance(name, ast.Constant) else None
            if isinstance(text, str) and _is_private(text) and not selfish:
                yield text


def _is_of_self(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self"


def _defined(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that a module defines: functions, classes, variables, attributes of self and those."""
    found = set()
    classes = {"self", "cls"} | {n.name for n in nodes if isinstance(n, ast.ClassDef)}
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if getattr(node.value, "id", "") in classes:
                found.add(node.attr)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "__setattr__":
            # A frozen dataclass sets its own: object.__setattr__(self, "_name", value).
            found |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    return found


def _fields(node: ast.AST) -> set[str]:
    return attributes(node) if isinstance(node, ast.ClassDef) else set()


def _is_any(node: ast.expr) -> bool:
    return any(getattr(one, "id", getattr(one, "attr", "")) == "Any" for one in _alternatives(node))


@cache
def attributes(node: ast.ClassDef) -> set[str]:
    """Names of a class: its body's functions and variables, and what its methods set on self."""
    found = set()
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(one.name)
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            found.add(one.target.id)
        elif isinstance(one, ast.Assign):
            found |= {t.id for t in one.targets if isinstance(t, ast.Name)}
    for inner in ast.walk(node):
        if _is_of_self(inner) and isinstance(inner.ctx, ast.Store):
            found.add(inner.attr)
    return {name for name in found if not name.startswith("__")}


def inside(graph: Mapping[str, Iterable[str]], prefix: str) -> Graph:
    """The part of a graph whose modules are `prefix` or lie in it."""

    def within(name: str) -> bool:
        return name == prefix or name.startswith(f"{prefix}.")

    return {n: {t for t in out if within(t)} for n, out in graph.items() if within(n)}


def circles(graph: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Strongly connected components of more than one module, each sorted."""
    return sorted(tuple(sorted(c)) for c in components(graph) if len(c) > 1)


def components(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Strongly connected components (Tarjan 1972), a component after those that it reaches."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        on_stack.add(name)
        for target in sorted(graph[name]):
            if target not in number:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in on_stack:
                low[name] = min(low[name], number[target])
        if low[name] == number[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            on_stack.difference_update(part)
            found.append(part)

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return found


def floors(graph: Mapping[str, Iterable[str]]) -> int:
    """Modules on the longest chain of imports, a circle counted as one."""
    height: dict[str, int] = {}
    for part in components(graph):
        below = {t for n in part for t in graph[n]} - set(part)
        height.update(dict.fromkeys(part, 1 + max((height[t] for t in below), default=0)))
    return max(height.values(), default=0)
