"""Notebooks are stored with what they print: here it is made, and compared with what is stored.

From the root of the repository, where `pip install '.[docs]'` has been:

    python -m tests.notebooks notebooks/wages.ipynb    # execute it, and store what has changed
    python -m tests.notebooks --check                  # execute all, and say where they differ

What is stored is left alone where it says the same, so that an execution elsewhere changes no file.
A cell whose tag is "times" shows seconds of this machine: it is executed and not compared.
"""

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np

ROOT = Path(__file__).parents[1]
HOME = ROOT / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_NUMBER = re.compile(r"(?<![\w.])([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?![\w])")
# When a fit was made, of statsmodels' summaries, and its sweeps: another BLAS may take one less.
_WHEN = re.compile(
    r"(Date: +)\w{3}, \d\d \w{3} \d{4}|(Time: +)\d\d:\d\d:\d\d|(Sweeps: +)\d{1,2}(?=\s)"
)
_PICTURE = "image/png"
# In prose, what has decimals, and any number of what is printed or typed in code.
_DECIMAL = re.compile(r"(?<![\w.])-?\d*\.\d+(?!\w)")
_ANY = re.compile(r"\d*\.?\d+(?:e[-+]?\d+)?")


def read(path):
    """A notebook as a dictionary, its sources and texts as strings."""
    book = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in book["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = "".join(output["text"])
            for kind, value in output.get("data", {}).items():
                output["data"][kind] = "".join(value)
    return book


def codes(book):
    """Its cells of code."""
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def executed(book):
    """The same notebook with what its cells print now, pictures made small."""
    import nbformat
    from nbclient import NotebookClient

    made = nbformat.from_dict(json.loads(json.dumps(book)))
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            made,
            kernel_name=METADATA["kernelspec"]["name"],
            timeout=900,
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": empty}},
            extra_arguments=["--log-level=40"],
        )
        # The tree, not what is installed; no bars, which come and go with the clock.
        client.execute(
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OPENBLAS_NUM_THREADS": "1",
                "TQDM_DISABLE": "1",
            }
        )
    made = json.loads(json.dumps(made))
    for cell in codes(made):
        for output in cell["outputs"]:
            if _PICTURE in output.get("data", {}):
                output["data"][_PICTURE] = smaller(output["data"][_PICTURE])
    return {**made, "metadata": METADATA}


def smaller(picture):
    """A picture, base64, of at most 256 colours: a third of the bytes, and looks the same."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")


# -- what is the same ------------------------------------------------------------------------------


def same_text(one, other):
    """The same words on the same lines; numbers to 0.1 % or 1.5 of the last digit that is shown.

    Whole numbers below a thousand are counts, and equal. Another BLAS rounds the last digit.
    """
    one, other = (_NUMBER.split(_WHEN.sub(r"\1\2\3", text)) for text in (one, other))
    if len(one) != len(other):
        return False
    words = all(_words(a) == _words(b) for a, b in zip(one[::2], other[::2], strict=True))
    return words and all(_close(a, b) for a, b in zip(one[1::2], other[1::2], strict=True))


def _words(text):
    return [line.split() for line in text.split("\n")]


def _close(one, other):
    a, b = float(one), float(other)
    return abs(a - b) <= max(1e-3 * abs(a), 1.5 * _unit(one))


def _unit(number):
    """Of the last digit of a number in decimals; 0 of a whole one."""
    digits, _, power = number.partition("e")
    decimals = len(digits.partition(".")[2])
    return 10.0 ** (int(power or 0) - decimals) if decimals or power else 0.0


def same_picture(one, other):
    """Of a size to 2 %, and in no 32nd of its width and height lighter or darker by a tenth."""
    from PIL import Image

    pixels, sizes = [], []
    for picture in (one, other):
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            sizes.append(image.size)
            coarse = image.convert("RGB").resize((32, 32), Image.Resampling.BOX)
        pixels.append(np.asarray(coarse, dtype=float) / 255)
    if not np.allclose(*sizes, rtol=0.02):
        return False
    return bool(np.abs(pixels[0] - pixels[1]).max() < 0.1)


def same_outputs(one, other):
    """What two executions of a cell show, in order."""
    if [_kind(output) for output in one] != [_kind(output) for output in other]:
        return False
    return all(
        (same_picture if kind == _PICTURE else same_text)(value, contents(b)[kind])
        for a, b in zip(one, other, strict=True)
        for kind, value in contents(a).items()
    )


def _kind(output):
    return output["output_type"], output.get("name"), sorted(contents(output))


def contents(output):
    """What an output shows, by the kind of it."""
    return output["data"] if "data" in output else {"text/plain": output.get("text", "")}


def shown(outputs):
    """As text, for a message."""
    texts = [contents(output).get("text/plain", "") for output in outputs]
    return "\n".join(text.strip("\n") for text in texts)


def timed(cell):
    """Whether it shows seconds."""
    return "times" in cell["metadata"].get("tags", [])


def differences(stored, now):
    """The cells of one that do not show what those of the other do, with what both show."""
    return [
        f"cell {at}:\n--- stored\n{shown(old['outputs'])}\n+++ now\n{shown(new['outputs'])}"
        for at, (old, new) in enumerate(zip(stored["cells"], now["cells"], strict=True))
        if old["cell_type"] == "code"
        and not timed(old)
        and not same_outputs(old["outputs"], new["outputs"])
    ]


def renewed(stored, now):
    """``now`` with the stored outputs of the cells that show the same."""
    cells = [
        {**new, "outputs": old["outputs"]}
        if old["cell_type"] == "code"
        and not timed(old)
        and same_outputs(old["outputs"], new["outputs"])
        else new
        for old, new in zip(stored["cells"], now["cells"], strict=True)
    ]
    return {**now, "cells": cells}


def unprinted(book):
    """Numbers with decimals in its prose that are no rounding of one that it prints, signs apart.

    Many numbers are printed, and one may be near by chance; but when outputs change, prose that
    was not read again is mostly found.
    """
    there = [
        abs(float(number))
        for cell in codes(book)
        for text in (cell["source"], *texts(cell["outputs"]))
        for number in _ANY.findall(text)
    ]
    found = []
    for cell in book["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for said in _DECIMAL.findall(cell["source"]):
            half = 0.5 * 10.0 ** -len(said.partition(".")[2]) + 1e-9
            if not np.any(np.abs(np.array(there) - abs(float(said))) <= half):
                found.append(said)
    return found


def texts(outputs):
    """Of any kind, HTML too."""
    return [
        text for out in outputs for kind, text in contents(out).items() if kind.startswith("text/")
    ]


def written(book):
    """As nbformat writes it."""
    import nbformat

    return nbformat.writes(nbformat.from_dict(book)) + "\n"


def main(arguments=None):
    """0 where all is as stored, or has been stored."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="path", help="all by default")
    parser.add_argument("--check", action="store_true", help="compare, and change no file")
    asked = parser.parse_args(arguments)

    def one(path):
        began, stored = perf_counter(), read(path)
        now = executed(stored)
        wrong = differences(stored, now)
        if not asked.check:
            path.write_text(written(renewed(stored, now)), encoding="utf-8")
        told = "as stored" if not wrong else f"{len(wrong)} cells differ"
        print(f"{path.stem}: {told}, {perf_counter() - began:.0f} s", flush=True)
        for difference in wrong if asked.check else []:
            print(f"{path.stem}, {difference}\n", flush=True)
        return bool(wrong)

    # What is stored may show seconds: one at a time. Long ones first, lest one is left alone.
    every = sorted(HOME.glob("*.ipynb"), key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count() if asked.check else 1) as pool:
        wrong = list(pool.map(one, asked.paths or every))
    return int(asked.check and any(wrong))


if __name__ == "__main__":
    sys.exit(main())
