"""Count the house: files, floors, circles, imports, largest class, who looks into whom.

    python benchmarks/structure.py [CHECKOUT] [--json] [--detail]
    python benchmarks/structure.py --before CHECKOUT --after CHECKOUT

Reads the text of a checkout (this one by default) and imports nothing of it, so that an old commit
(`git archive COMMIT | tar x -C DIR`) and the new one are counted by the same rules. Two of them
give a Markdown table side by side. --detail lists each circle, private read and type test.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from house import House, attributes, circles, floors, inside

Counts = dict[str, object]


def counts(house: House) -> Counts:
    """All counts by what they are called in the table."""
    lines = {name: text.count("\n") for name, text in house.text.items()}
    longest = max(lines, key=lambda name: lines[name])
    package = house.package
    core = f"{package}.core"
    crossing = {
        (a, b)
        for a, targets in house.imports.items()
        for b in targets
        if house.room(a) != house.room(b)
    }
    running = circles(house.imports)
    hidden = [c for c in circles(house.typed_imports) if c not in running]
    rooms = {house.room(name) for name in lines}
    told: Counts = {
        "files": len(lines),
        "lines": sum(lines.values()),
        "median file": int(statistics.median(lines.values())),
        "longest file": f"{lines[longest]} ({_short(longest, package)})",
        "files over 400 lines": sum(n > 400 for n in lines.values()),
        "folders": len(rooms),
        "files in the largest folder": _largest_folder(house),
        "modules of core": len(inside(house.imports, core)),
        "floors of core": floors(inside(house.imports, core)),
        "floors of the package": floors(house.imports),
        "circles": _sizes(running),
        "circles with imports for types": _sizes(hidden),
        "imports": sum(map(len, house.imports.values())),
        "imports from room to room": len(crossing),
        "circles of rooms": _sizes(circles(house.room_imports), "rooms"),
        "pairs of rooms": len({(house.room(a), house.room(b)) for a, b in crossing}),
        **_largest_class(house),
        "private reads across modules": house.private_reads.total(),
        "modules that read private names": len({k.split()[0] for k in house.private_reads}),
        "private names that a mixin or base must have": house.borrowed.total(),
        "tests of a concrete type outside its room": house.type_tests.total(),
    }
    told |= {f"`{flag}`": number for flag, number in house.flags.items()}
    told["parameters typed Any"] = house.any_parameters.total()
    for room, number in sorted(house.any_parameters.items()):
        told[f"- in {_short(room, package)}"] = number
    return told


def _short(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.")


def _sizes(found: list[tuple[str, ...]], what: str = "modules") -> str:
    if not found:
        return "0"
    return f"{len(found)} (of {', '.join(str(len(c)) for c in found)} {what})"


def _largest_folder(house: House) -> str:
    folders = [house.room(name) for name in house.text]
    largest = max(sorted(set(folders)), key=folders.count)
    return f"{folders.count(largest)} ({_short(largest, house.package)})"


def _largest_class(house: House) -> Counts:
    """The class with most names, those of its bases in the package included."""
    best: tuple[int, int, str, list[str], int] = (0, 0, "", [], 0)
    for at, node in house.classes.items():
        line = [at, *house.bases(at)]
        names = set().union(*(attributes(house.classes[one]) for one in line))
        private = sum(name.startswith("_") for name in names)
        long = sum(house.classes[one].end_lineno - house.classes[one].lineno + 1 for one in line)
        found = (len(names) - private, private, node.name, [b[1] for b in line[1:]], long)
        best = max(best, found, key=lambda f: (f[0] + f[1], f[2]))
    public, private, name, bases, long = best
    return {
        "largest class": name,
        "- public names": public,
        "- private names": private,
        "- lines, bases included": long,
        "- bases in the package": len(bases),
    }


def table(before: Counts, after: Counts) -> str:
    """Markdown, side by side."""
    lines = ["| | before | after |", "|---|---|---|"]
    keys = dict.fromkeys([*before, *after])
    lines += [f"| {key} | {before.get(key, 0)} | {after.get(key, 0)} |" for key in keys]
    return "\n".join(lines)


def detail(house: House) -> str:
    """Each circle, private read and test of a type."""
    told = [f"circle: {' '.join(c)}" for c in circles(house.typed_imports)]
    for found in (house.private_reads, house.type_tests):
        told += [f"{what}: {number}" for what, number in sorted(found.items())]
    return "\n".join(told)


def main(argv: list[str] | None = None) -> int:
    """Print the counts of one checkout or the table of two."""
    here = Path(__file__).parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=here)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path, default=here)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--detail", action="store_true")
    options = parser.parse_args(argv)
    if options.before is not None:
        pair = [counts(House(root)) for root in (options.before, options.after)]
        print(json.dumps(pair, indent=1) if options.json else table(*pair))
        return 0
    house = House(options.checkout)
    told = counts(house)
    if options.json:
        print(json.dumps(told, indent=1))
    else:
        width = max(map(len, told))
        print("\n".join(f"{key:{width}}  {value}" for key, value in told.items()))
    if options.detail:
        print(detail(house))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
