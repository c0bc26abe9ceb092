"""All tables of speed and memory, one after another, and where they are shown.

    python benchmarks/one_run.py FOLDER [--only NAME ...] [--spreg-python PYTHON]
        [--peer-python PYTHON] [--ten mix10.csv]
    python benchmarks/one_run.py FOLDER --paste

Each script's output is FOLDER/NAME.txt, with the load of the machine before it. --paste puts each
printed table in the place of the table of the same heading, where docs and benchmarks have exactly
one, and says which have none: what a page says in its own words is for an editor.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import one_thread  # noqa: F401  for the scripts, which inherit it

HERE = Path(__file__).parent
ROOT = HERE.parent

SCRIPTS = {
    "compare_sur": "compare_sur.py --rounds 2 --all --memory-backend memray "
    "--plot docs/images/compare_sur.png",
    "search_cost": "search_cost.py --rounds 4",
    "everyday": "search_cost.py --everyday --rounds 9",
    "import_time": "import_time.py --rounds 5",
    "growth": "growth.py",
    "rows": "rows.py",
    "scale": "scale.py",
    "pooled": "pooled.py",
    "compare_als_vs_em": "compare_als_vs_em.py --reps 20 --sizes 50 80 120 400 --peer",
    "panel_speed": "panel_speed.py --sur-periods 16 --spreg-python {spreg}",
    "interactive": "interactive.py --speed --peer-python {peer}",
    "mixed_ten": "mixed_speed.py --cases ten --limit 200 --ten {ten}",
    "mixed_fifty": "mixed_speed.py --cases fifty --limit 200",
}


def tables(text: str) -> list[list[str]]:
    """Tables of a page in Markdown: their lines, the heading first."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [one for one in found if len(one) > 1 and re.fullmatch(r"[|\s:-]+", one[1])]


Pages = dict[Path, str]


def paste(printed: Iterable[list[str]], pages: Pages) -> tuple[Pages, list[str]]:
    """Pages with new tables, and the headings that no page or more than one place has."""
    pages, left = dict(pages), []
    for table in printed:
        every = [(path, old) for path, text in pages.items() for old in tables(text)]
        places = [(path, old) for path, old in every if old[0] == table[0]]
        if len(places) != 1:
            left.append(f"{len(places)} places: {table[0]}")
            continue
        path, old = places[0]
        pages[path] = pages[path].replace("\n".join(old), "\n".join(table))
    return pages, left


def run(name: str, folder: Path, **values: str) -> int:
    """Run a script from the top of the repository; its exit status."""
    said = folder / f"{name}.txt"
    with said.open("w") as out:
        print(f"load before: {os.getloadavg()[0]:.2f}", file=out, flush=True)
        command = [sys.executable, *f"benchmarks/{SCRIPTS[name].format(**values)}".split()]
        began = time.monotonic()
        status = subprocess.run(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False
        ).returncode
        print(f"\n{time.monotonic() - began:.0f} s, exit status {status}", file=out)
    return status


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("folder", type=Path)
    ask.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    ask.add_argument("--paste", action="store_true")
    ask.add_argument("--spreg-python", default=sys.executable, metavar="PYTHON")
    ask.add_argument("--peer-python", default=sys.executable, metavar="PYTHON")
    ask.add_argument("--ten", default="mix10.csv", metavar="FILE")
    asked = ask.parse_args()
    if not asked.paste:
        asked.folder.mkdir(parents=True, exist_ok=True)
        given = {"spreg": asked.spreg_python, "peer": asked.peer_python, "ten": asked.ten}
        failed = [name for name in asked.only if run(name, asked.folder, **given)]
        print("exit status not zero:", ", ".join(failed) or "none")
        return 0
    paths = [*ROOT.glob("docs/**/*.md"), *HERE.glob("*.md")]
    pages = {path: path.read_text() for path in paths if "_build" not in path.parts}
    printed = [
        table
        for name in asked.only
        if (said := asked.folder / f"{name}.txt").exists()
        for table in tables(said.read_text())
    ]
    after, left = paste(printed, pages)
    for path, text in after.items():
        if text != pages[path]:
            path.write_text(text)
            print(f"{path.relative_to(ROOT)}")
    print(*left, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
