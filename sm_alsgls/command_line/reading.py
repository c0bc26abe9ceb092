"""Data of a file or of stdin, by the kind of the file."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from sm_alsgls.command_line.kinds import EXCEL, KINDS, TEXT
from sm_alsgls.exceptions import SystemInputError

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
# Bytes looked at, of which the last line is left out where there are more.
_SAMPLE = 65_536
# How files begin that are no text, of what comes through a pipe.
_MAGIC = {
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"PK\x03\x04": ".xlsx",
    b"<stata_dta>": ".dta",
    b"\x1f\x8b": ".csv.gz",
}
_NEEDS = {
    ".parquet": ("Parquet", "pyarrow"),
    ".feather": ("Feather", "pyarrow"),
    ".xlsx": ("Excel", "openpyxl"),
    ".xlsm": ("Excel", "openpyxl"),
}


def read(name: str, sheet: str | None, decimal: str, say: Callable[[str], None]) -> pd.DataFrame:
    """The data of a file, or of stdin where it is called ``-``.

    Parameters
    ----------
    name : str
    sheet : str, optional
        Of an Excel file: its name, or number from 1; the first by default.
    decimal : str
        Of text: what stands between a number and its decimals.
    say : callable
        Is told the separator where it is no comma.

    Raises
    ------
    SystemInputError
    """
    if name == "-":
        held = sys.stdin.buffer.read()
        found = next((s for magic, s in _MAGIC.items() if held.startswith(magic)), ".csv")
        source: Any = io.BytesIO(held)
        return _read("stdin", source, found, sheet, decimal, say)
    path = Path(name)
    suffix = max((s for s in KINDS if path.name.lower().endswith(s)), key=len, default=None)
    if not path.is_file():
        what = "does not exist" if not path.exists() else "is no file on a disk"
        what = "is a directory" if path.is_dir() else what
        raise SystemInputError(f"{path}: {what}; DATA must be a file ({', '.join(KINDS)}) or -")
    if suffix is None:
        raise SystemInputError(
            f"{path}: unknown kind of file {path.suffix!r}; DATA must end in {', '.join(KINDS)}"
        )
    return _read(str(path), path, suffix, sheet, decimal, say)


def _read(
    called: str,
    source: Any,
    suffix: str,
    sheet: str | None,
    decimal: str,
    say: Callable[[str], None],
) -> pd.DataFrame:
    if sheet is not None and suffix not in EXCEL:
        raise SystemInputError(f"--sheet is for Excel, and {called} is {suffix}; leave it out")
    try:
        data = _frame(called, source, suffix, sheet, decimal, say)
        # Parquet keeps an index; formulas, groups and time ask for columns.
        named = [name for name in data.index.names if name is not None]
        data = data.reset_index(level=named) if named else data
    except ImportError:
        what, package = _NEEDS.get(suffix, (suffix, "pandas' own"))
        raise SystemInputError(
            f"{called}: reading {what} needs {package}; install it with: pip install {package}"
        ) from None
    except Exception as error:  # pandas, pyarrow, zlib and codecs each raise their own
        raise SystemInputError(
            f"{called}: cannot be read as {suffix}: "
            f"{getattr(error, 'strerror', None) or error}; is it complete, and (CSV) in UTF-8?"
        ) from error
    if data.empty:
        raise SystemInputError(f"{called}: holds no rows of data")
    return data


def _frame(
    called: str,
    source: Any,
    suffix: str,
    sheet: str | None,
    decimal: str,
    say: Callable[[str], None],
) -> pd.DataFrame:
    if suffix in TEXT:
        zipped = suffix.endswith(".gz")
        separator = separator_of(_sample(source, zipped))
        if separator != ",":
            say(f"{called}: columns are separated by {_SEPARATORS[separator]}")
        return pd.read_csv(
            source,
            sep=separator,
            decimal=decimal,
            low_memory=False,
            compression="gzip" if zipped else None,
        )
    if suffix in EXCEL:
        which: Any = 0 if sheet is None else sheet
        if sheet is not None and sheet.isdecimal() and int(sheet) > 0:
            which = int(sheet) - 1
        return pd.read_excel(source, sheet_name=which)
    if suffix == ".parquet":
        return pd.read_parquet(source)
    return pd.read_feather(source) if suffix == ".feather" else pd.read_stata(source)


def _sample(source: Any, zipped: bool) -> str:
    """The first whole lines of a file of text, or of bytes that are read again later."""
    if isinstance(source, io.BytesIO):
        held = source.getvalue()
        head = gzip.GzipFile(fileobj=io.BytesIO(held)).read(_SAMPLE) if zipped else held[:_SAMPLE]
    else:
        with gzip.open(source, "rb") if zipped else source.open("rb") as file:
            head = file.read(_SAMPLE)
    text = head.decode("utf-8", errors="replace")
    whole = text if len(head) < _SAMPLE else text[: text.rfind("\n") + 1]
    return whole.removeprefix("\ufeff")


def separator_of(text: str) -> str:
    r"""What splits every line into as many fields, and most of them; a comma where nothing does.

    Examples
    --------
    >>> from sm_alsgls.command_line.reading import separator_of
    >>> separator_of("a;b\n1,5;2\n"), separator_of("a\n1\n")
    (';', ',')
    """
    best, most = ",", 1
    for separator in _SEPARATORS:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
        width = len(rows[0]) if rows else 0
        if width > most and all(len(row) == width for row in rows):
            best, most = separator, width
    return best
