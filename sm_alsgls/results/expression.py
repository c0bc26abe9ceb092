"""Functions of coefficients as text: arithmetic in their names, and nothing else."""

from __future__ import annotations

import ast
import operator
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from sm_alsgls.border.names import close, is_number, listed, ticked
from sm_alsgls.exceptions import OptionError

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_MOST = 10**308
# Operations within operations, below the depth at which Python gives up; sums of more terms are
# for callables.
_DEEPEST = 400
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt}


class Expression:
    """A function of the coefficients, read from text.

    Parameters
    ----------
    text : str
        ``"b_price / b_income"``: numbers, names of coefficients (in backticks if need be, as
        where a name is a number: a bare number is a number), + - * / **, parentheses, and log,
        exp, sqrt.
    names : list of str
        Of the coefficients, in order. They may hold spaces, brackets or operators.

    Attributes
    ----------
    used : list of int
        Positions of the coefficients that are in it.

    Raises
    ------
    OptionError
        Anything else.
    """

    def __init__(self, text: str, names: list[str]) -> None:
        self.text, self.used = text, list[int]()
        # What stands for coefficients is nothing that the caller can have written, in any spelling
        # that Python takes for the same.
        self._mark = "b"
        while self._mark in unicodedata.normalize("NFKC", text):
            self._mark += "_"
        # Spaces around what is not in backticks are the text's own.
        alike: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            alike.setdefault(name.strip(), []).append(i)

        def plain(found: re.Match[str]) -> str:
            i = names.index(found["ticked"]) if found["ticked"] else self._alone(alike, found)
            if i not in self.used:
                self.used.append(i)
            return f" {self._mark}{self.used.index(i)}_ "

        self._names = names
        exact = _one_of([name for name in names if name in text])
        bare = _one_of([name for name in alike if name in text and not is_number(name)])
        pattern = rf"`(?P<ticked>{exact})`|(?<![\w.])(?P<bare>{bare})(?!\w|\()"
        read = re.sub(pattern, plain, text)
        try:
            tree = ast.parse(read.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = error.args[0] if error.args else type(error).__name__
            raise OptionError(
                f"cannot read {_short(text)} ({said}); write it in the names of coefficients, "
                f"for example '{ticked(names[0])} / {ticked(names[-1])}'"
            ) from error
        self._tree = tree.body
        self._check(self._tree)

    def __call__(self, params: np.ndarray) -> Any:
        """The value at coefficients (P,), real or complex."""
        return self._value(self._tree, params)

    def _alone(self, alike: dict[str, list[int]], found: re.Match[str]) -> int:
        """The coefficient of a name that is not in backticks."""
        group = alike[found["bare"]]
        if len(group) > 1:
            raise OptionError(
                f"{found['bare']!r} in {_short(self.text)} may be any of the coefficients "
                f"{listed(repr(self._names[i]) for i in group)}, whose names differ in spaces; "
                "write the one that is meant in backticks"
            )
        return group[0]

    def _check(self, node: ast.AST, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise OptionError(
                f"{_short(self.text)} has more than {_DEEPEST} operations within each other; a "
                "callable of the coefficients may be of any length"
            )
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                self._check(left, depth + 1)
                self._check(right, depth + 1)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                self._check(operand, depth + 1)
            case ast.Constant(value=int() | float() as value) if type(value) is not bool:
                if value > _MOST:
                    raise OptionError(f"{_short(self.text)} holds a number beyond 1e308")
            case ast.Name(id=name):
                if not self._is_coefficient(name):
                    near = (
                        f" outside backticks; write '{ticked(name)}'"
                        if name in self._names
                        else close(name, self._names, "there are")
                    )
                    raise OptionError(f"{self.text!r}: no coefficient {name!r}{near}")
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if (
                name in _FUNCTIONS
            ):
                self._check(argument, depth + 1)
            case _:
                raise OptionError(
                    f"{self.text!r} holds {self._shown(node)!r}; numbers, names of coefficients, "
                    "+ - * / **, parentheses, log, exp and sqrt are what it may"
                )

    def _shown(self, node: ast.AST) -> str:
        """The text behind a part, with the names of coefficients again."""
        return re.sub(
            rf"\b{self._mark}(\d+)_",
            lambda found: self._names[self.used[int(found[1])]],
            ast.unparse(node),
        )

    def _is_coefficient(self, name: str) -> bool:
        return re.fullmatch(rf"{self._mark}\d+_", name) is not None

    def _value(self, node: ast.AST, params: np.ndarray) -> Any:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](self._value(left, params), self._value(right, params))
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self._value(operand, params))
            case ast.Constant(value=int() | float() as value):
                return float(value)
            case ast.Name(id=name):
                return params[self.used[int(name[len(self._mark) : -1])]]
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return _FUNCTIONS[name](self._value(argument, params))
        raise AssertionError(ast.dump(node))  # `_check` has seen it


def _one_of(names: list[str]) -> str:
    """A pattern of names, the longest first; of no names one that nothing matches."""
    longest = sorted(filter(None, names), key=len, reverse=True)
    return "|".join(map(re.escape, longest)) or "(?!)"


def _short(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:76]!r} ..."
