"""Files of a fit: what is in them, and all of them or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from sm_alsgls.core.errors.words import FULL
from sm_alsgls.exceptions import SystemInputError

# What tidy() calls columns of params.csv.
_PARAMS = {
    "term": "variable",
    "estimate": "coef",
    "std_error": "std_err",
    "statistic": "t",
    "p_value": "p",
    "conf_low": "ci_low",
    "conf_high": "ci_high",
}


def files(res: Any, summary: Any, more: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Contents of the files by name; floats are written so that they read back exactly.

    Parameters
    ----------
    res : results
    summary : Summary
    more : dict of str to DataFrame
        Tables that the model has beside its parameters, by the names of their files.
    """
    return {
        "params.csv": res.tidy().rename(columns=_PARAMS).to_csv(index=False),
        **{name: table.to_csv() for name, table in more.items()},
        "summary.txt": summary.as_text() + "\n",
        "summary.html": summary.as_html() + "\n",
    }


def of_errors(res: Any) -> dict[str, pd.DataFrame]:
    """loadings.csv of a system, or sigma.csv where Sigma is unrestricted."""
    if res.rank == FULL:
        names = pd.Index(res.model.equations, name="equation")
        return {"sigma.csv": pd.DataFrame(res.sigma.to_dense(), names, list(names))}
    table = res.loadings.assign(uniqueness=res.uniquenesses, communality=res.communalities)
    return {"loadings.csv": table}


def check_new(out: Path, names: Iterable[str], force: bool) -> None:
    """Raise where files would be replaced and nobody said so."""
    there = [name for name in names if os.path.lexists(out / name)]
    if there and not force:
        raise SystemInputError(
            f"--out {out}: has {', '.join(there)} already; give another directory, or --force to "
            "replace them"
        )


def reachable(out: Path) -> Path:
    """The existing directory in which ``out`` is, or is to be made; proved to be writable."""
    base = next((p for p in (out, *out.absolute().parents) if os.path.lexists(p)), out)
    if not base.is_dir():
        raise SystemInputError(f"--out {out}: {base} is not a directory; give another one")
    try:
        with tempfile.TemporaryDirectory(prefix=".sm_alsgls-", dir=base):
            return base
    except OSError as error:
        raise SystemInputError(f"--out {out}: cannot write to {base}: {error.strerror}") from error


def write(out: Path, files: dict[str, str]) -> None:
    """All files or none: they are staged on the same file system, then renamed into place."""
    base = reachable(out)
    try:
        with tempfile.TemporaryDirectory(prefix=".sm_alsgls-", dir=base) as staging:
            new, old = Path(staging, "new"), Path(staging, "old")
            below = Path() if base == out else out.absolute().relative_to(base)
            target = new / below
            target.mkdir(parents=True)
            old.mkdir()
            for name, text in files.items():
                (target / name).write_text(text, encoding="utf-8", newline="")
            moves = list(files) if base == out else [below.parts[0]]
            try:
                for name in moves:
                    if (base / name).is_dir():
                        raise IsADirectoryError(0, f"{base / name} is a directory")
                    if os.path.lexists(base / name):
                        os.replace(base / name, old / name)
                    os.replace(new / name, base / name)
            except BaseException:
                for name in moves:  # what is still in new never left; the rest is put back
                    if os.path.lexists(old / name):
                        os.replace(old / name, base / name)
                    elif not os.path.lexists(new / name):
                        (base / name).unlink()
                raise
    except OSError as error:
        raise SystemInputError(
            f"--out {out}: {error.strerror or error}; nothing written"
        ) from error
