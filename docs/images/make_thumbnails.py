"""Small pictures of the gallery's cards: python docs/images/make_thumbnails.py [notebooks].

Each is an output that a notebook is stored with: the picture named below, else its last one; of a
notebook without pictures its last table, drawn by chromium. Needs Pillow. All go into thumbnails/.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
SIZE = (480, 300)
# Which picture says most of what the notebook finds.
CHOSEN = {"french": 2, "borders": 0}
STYLE = (
    "<!doctype html><meta charset='utf-8'><style>body{font:15px sans-serif;margin:8px}"
    "table{border-collapse:collapse;border:0}td,th{padding:3px 9px;border:0;text-align:right}"
    "thead th{border-bottom:1px solid #888}tbody tr:nth-child(even){background:#f2f4f6}</style>"
)


def outputs(notebook: Path) -> tuple[list[str], list[str]]:
    """Pictures, base64, and tables, HTML, in their order."""
    pictures: list[str] = []
    tables: list[str] = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                pictures.append("".join(data["image/png"]))
            elif "<table" in "".join(data.get("text/html", [])):
                tables.append("".join(data["text/html"]))
    return pictures, tables


def drawn(table: str) -> Image.Image:
    """A table as a browser shows it, cut to its upper rows."""
    with tempfile.TemporaryDirectory() as directory:
        source, shot = Path(directory) / "page.html", Path(directory) / "page.png"
        source.write_text(STYLE + table, encoding="utf-8")
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars"]
        command += ["--window-size=900,900", f"--screenshot={shot}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image:
            whole = image.convert("RGB")
    box = ImageChops.difference(whole, Image.new("RGB", whole.size, "white")).getbbox()
    assert box is not None
    low = box[1] + (box[2] - box[0]) * SIZE[1] // SIZE[0]
    return whole.crop((box[0], box[1], box[2], min(box[3], low)))


def thumbnail(notebook: Path) -> Image.Image | None:
    """What stands for a notebook; None where it is stored without outputs."""
    pictures, tables = outputs(notebook)
    if not pictures:
        picture = drawn(tables[-1]) if tables else None
    else:
        chosen = pictures[CHOSEN.get(notebook.stem, -1)]
        picture = Image.open(io.BytesIO(base64.b64decode(chosen))).convert("RGB")
    if picture is None:
        return None
    picture.thumbnail(SIZE, Image.Resampling.LANCZOS)
    card = Image.new("RGB", SIZE, "white")
    card.paste(picture, ((SIZE[0] - picture.width) // 2, (SIZE[1] - picture.height) // 2))
    return card


def main(notebooks: Path) -> None:
    """One for each notebook that has outputs."""
    (HERE / "thumbnails").mkdir(exist_ok=True)
    for notebook in sorted(notebooks.glob("*.ipynb")):
        card = thumbnail(notebook)
        if card is None:
            print(f"{notebook.name} is stored without outputs")
        else:
            path = HERE / "thumbnails" / f"{notebook.stem}.png"
            card.quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOKS)
