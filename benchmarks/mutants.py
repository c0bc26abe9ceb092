"""What can be broken in a module: the places, the ways, and the broken text.

The ways are cosmic-ray's operators, but for those whose mutants say nothing: `+` for `>>` dies of
a TypeError whatever is tested, and `==` for `is` is no change on small integers. Added in the same
interface is what matters in linear algebra: a transpose dropped, the two sides of `@` exchanged,
and an argument check (`raise`), an in-place update or a call taken out.

A site is one place with one kind of change; its variants are the changes of that kind (`+` by `-`,
`*`, ...). Sampling draws sites, then a variant, so that arithmetic does not outweigh the rest.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import CodeType

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import OPERATOR_PROVIDERS

_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
_BITS = {"BitOr", "BitAnd", "BitXor"}
_LEFT_OUT = {"VariableReplacer", "VariableInserter"}
# Arguments that only say how fast: SciPy promises the same numbers.
_NO_CHANGE = {"check_finite", "overwrite_a", "overwrite_b", "overwrite_c", "overwrite_x"}


@dataclass(frozen=True)
class Site:
    """One place in a file where one kind of change can be made, in several ways."""

    path: str
    line: int
    column: int
    kind: str
    variants: tuple[tuple[str, int], ...]  # (operator, its occurrence in the file)


@dataclass(frozen=True)
class Mutant:
    """A file with one change, and the text of the lines it changes."""

    path: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str


class DropTranspose(Operator):
    """`A.T` becomes `A`."""

    def mutation_positions(self, node):
        if node.type == "trailer" and node.get_code().strip() == ".T":
            yield (node.start_pos, node.end_pos)

    def mutate(self, node, index):
        return None

    @classmethod
    def examples(cls):
        return ()


class ExchangeMatmul(Operator):
    """`A @ B` becomes `B @ A`."""

    def mutation_positions(self, node):
        if node.type == "term":
            for sign in node.children[1::2]:
                if sign.value == "@":
                    yield (sign.start_pos, sign.end_pos)

    def mutate(self, node, index):
        signs = [i for i in range(1, len(node.children), 2) if node.children[i].value == "@"]
        i = signs[index]
        left, right = node.children[i - 1], node.children[i + 1]
        text = f" {right.get_code().strip()} @ {left.get_code().strip()}"
        node.children[i - 1 : i + 2] = [parso.parse(text)]
        return node

    @classmethod
    def examples(cls):
        return ()


class DropStatement(Operator):
    """A `raise`, a call for its effect, an in-place update or a store in a place becomes `pass`."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and self._has_effect(node.children[0]):
            yield (node.start_pos, node.end_pos)

    @staticmethod
    def _has_effect(statement):
        if statement.type in ("raise_stmt", "del_stmt"):
            return True
        if statement.type == "atom_expr":
            return True
        if statement.type != "expr_stmt":
            return False
        target, sign = statement.children[0], statement.children[1]
        return target.type == "atom_expr" or (
            sign.type == "operator" and sign.value not in ("=", ":")
        )

    def mutate(self, node, index):
        return parso.parse(f"{node.get_first_leaf().prefix}pass\n")

    @classmethod
    def examples(cls):
        return ()


@cache
def operators() -> dict[str, Operator]:
    """The ways to break code, by name."""
    found: dict[str, Operator] = {}
    for name, kind in ((name, p[name]) for p in OPERATOR_PROVIDERS.values() for name in p):
        if name in _LEFT_OUT or not _telling(name):
            continue
        found[name] = kind()
    for kind in (DropTranspose, ExchangeMatmul, DropStatement):
        found[kind.__name__] = kind()
    return found


def _telling(name: str) -> bool:
    family, *rest = name.split("_")
    if family == "ReplaceBinaryOperator":
        return set(rest) <= _ARITHMETIC or set(rest) <= _BITS
    if family == "ReplaceComparisonOperator":
        return not ({"Is", "IsNot"} & set(rest)) or set(rest) == {"Is", "IsNot"}
    if family == "ReplaceUnaryOperator":
        return "Delete" in rest or rest in (["USub", "UAdd"], ["UAdd", "USub"])
    return True


def _kind(operator: str) -> str:
    return operator.split("_")[0]


def sites(root: Path, path: str) -> list[Site]:
    """Every site of a file, but annotations, protocols, TYPE_CHECKING, `__all__`, overwrite_a=."""
    text = (root / path).read_text(encoding="utf-8")
    silent = _silent_lines_and_spans(text)
    found: dict[tuple[int, int, str], list[tuple[str, int]]] = {}
    nodes = list(_walk(parso.parse(text)))
    for name, operator in operators().items():
        occurrence = 0
        for node in nodes:
            # The star of keyword-only arguments is no product.
            marker = node.parent is not None and node.parent.type == "parameters"
            for start, _ in operator.mutation_positions(node):
                if not marker and not any(low <= start < high for low, high in silent):
                    found.setdefault((*start, _kind(name)), []).append((name, occurrence))
                occurrence += 1
    return [
        Site(path, line, column, kind, tuple(variants))
        for (line, column, kind), variants in sorted(found.items())
    ]


def _walk(node) -> Iterator:
    # In the order of cosmic-ray's visitor, so that occurrences count alike.
    yield node
    for child in getattr(node, "children", ()):
        yield from _walk(child)


def _silent_lines_and_spans(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Spans that no run can tell apart: annotations are strings here."""
    tree = ast.parse(text)
    spans = []
    for node in ast.walk(tree):
        quiet: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            quiet.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            quiet.append(node.annotation)
        elif isinstance(node, ast.keyword) and node.arg in _NO_CHANGE:
            quiet.append(node.value)
        elif isinstance(node, ast.ClassDef) and any("Protocol" in ast.dump(b) for b in node.bases):
            quiet.append(node)  # a declaration, as annotations are
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            quiet += [node.test, *node.body]
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
        ):
            quiet.append(node)
        spans += [((q.lineno, q.col_offset), (q.end_lineno, q.end_col_offset)) for q in quiet if q]
    return spans


def drawn(root: Path, everything: list[Site], size: int, seed: int) -> list[Mutant]:
    """`size` mutants, one a site; those that do not compile are drawn again.

    Each site has a number of its own, a hash of its line and the seed, and the lowest are taken:
    as random as any draw, and a line that stays as it is stays in the sample when others change.
    """
    numbered = []
    seen: Counter[tuple[str, ...]] = Counter()
    lines = {s.path: (root / s.path).read_text(encoding="utf-8").splitlines() for s in everything}
    for site in everything:
        words = (Path(site.path).stem, lines[site.path][site.line - 1].strip(), site.kind)
        seen[words] += 1
        numbered.append((_number(seed, *words, seen[words]), site))
    found = []
    for number, site in sorted(numbered, key=lambda pair: pair[0]):
        if len(found) == size:
            break
        for operator, occurrence in sorted(
            site.variants, key=lambda v: _number(number, v[0], v[1] - site.variants[0][1])
        ):
            mutant = made(root, site, operator, occurrence)
            if mutant is not None:
                found.append(mutant)
                break
    return found


def _number(*words: object) -> bytes:
    return blake2b(repr(words).encode()).digest()


def made(root: Path, site: Site, operator: str, occurrence: int) -> Mutant | None:
    """The mutant, or None where the text does not compile or compiles to the same code."""
    text = (root / site.path).read_text(encoding="utf-8")
    broken = mutate_code(text, operators()[operator], occurrence)
    if broken is None or _same_code(text, broken):
        return None
    before, after = text.splitlines(), broken.splitlines()
    first = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before)
    )
    last = 0
    shortest = min(len(before), len(after)) - first
    while last < shortest and before[-1 - last] == after[-1 - last]:
        last += 1
    return Mutant(
        site.path,
        site.line,
        operator,
        occurrence,
        "\n".join(before[first : len(before) - last]).rstrip(),
        "\n".join(after[first : len(after) - last]).rstrip(),
    )


def text_of(root: Path, mutant: Mutant) -> str:
    """The whole broken file."""
    text = (root / mutant.path).read_text(encoding="utf-8")
    return mutate_code(text, operators()[mutant.operator], mutant.occurrence)


def _same_code(text: str, broken: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return _bones(compile(text, "m", "exec")) == _bones(compile(broken, "m", "exec"))
        except (SyntaxError, ValueError):
            return True


def _bones(code: CodeType) -> tuple:
    inner = tuple(_bones(c) if isinstance(c, CodeType) else (type(c), c) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, inner
