"""Does every built page fit its window? python docs/widths.py docs/_build/html

Needs a Chromium (`--browser`), which loads each page in frames of `--widths` pixels. A page that
can be scrolled sideways is a fault, and so is an element that sticks out of its column without
a box of its own to scroll in. Tables that do scroll, at the widest, are listed: they may want fewer
columns. The exit status is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Loads pages one after the other and posts what it found.
HARNESS = """<!doctype html><title>widths</title><body><script>
const scrolls = e => ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX);
function boxed(element, top) {
  for (let e = element.parentElement; e && e !== top; e = e.parentElement)
    if (scrolls(e)) return true;
  return false;
}
function name(e) {
  const text = (e.textContent || "").trim().replace(/\\s+/g, " ").slice(0, 50);
  const kind = e.className.split ? "." + e.className.split(" ")[0] : "";
  return e.tagName.toLowerCase() + kind + ": " + text;
}
async function measure(frame, page, width) {
  frame.style.width = width + "px";
  await new Promise(done => { frame.onload = done; frame.src = "/" + page; });
  await frame.contentDocument.fonts.ready;
  const root = frame.contentDocument.documentElement;
  const top = frame.contentDocument.querySelector("article") || frame.contentDocument.body;
  const right = Math.min(top.getBoundingClientRect().right, root.clientWidth) + 1;
  const out = [], wide = [];
  for (const e of top.querySelectorAll("*")) {
    const box = e.getBoundingClientRect(), parent = e.parentElement;
    if (box.width && box.right > right && !boxed(e, top)) out.push(name(e));
    if (e.tagName === "TABLE") {
      const over = Math.max(e.scrollWidth - e.clientWidth,
                            parent.scrollWidth - parent.clientWidth);
      if (over > 1) wide.push(name(e));
    }
  }
  return {page, width, beyond: root.scrollWidth - root.clientWidth, out: out.slice(0, 3), wide};
}
async function all() {
  const {pages, widths} = await (await fetch("/-/pages")).json();
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.style.height = "900px";
  const found = [];
  for (const width of widths)
    for (const page of pages) found.push(await measure(frame, page, width));
  return found;
}
const tell = found => fetch("/-/found", {method: "POST", body: JSON.stringify(found)});
all().then(tell).catch(error => tell(String(error)));
</script>"""


class Pages(SimpleHTTPRequestHandler):
    """The built pages, the harness, and the ear for what it found."""

    asked: dict[str, Any]
    found: list[Any]
    done: threading.Event

    def do_GET(self) -> None:
        """A page, the harness, or what it is to measure."""
        if not self.path.startswith("/-/"):
            super().do_GET()
            return
        harness = self.path == "/-/harness"
        body = HARNESS if harness else json.dumps(self.asked)
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if harness else "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        """What it found."""
        self.found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.done.set()

    def log_message(self, *_: Any) -> None:
        """Nothing: a line for each file is too many."""


def measured(
    built: Path, pages: list[str], widths: list[int], browser: str, timeout: float
) -> list[dict[str, Any]]:
    """What the browser found, a dictionary for each page and width."""
    found: list[Any] = []
    done = threading.Event()
    asked = {"pages": pages, "widths": widths}
    handler = type("Handler", (Pages,), {"asked": asked, "found": found, "done": done})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        address = f"http://127.0.0.1:{server.server_address[1]}/-/harness"
        running = subprocess.Popen(
            [browser, *options, f"--user-data-dir={profile}", "--window-size=1600,1000", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if not done.wait(timeout):
                raise TimeoutError(f"{browser} has not answered within {timeout:g} s")
        finally:
            running.terminate()
            running.wait()
            server.shutdown()
    if isinstance(found[0], str):
        raise RuntimeError(found[0])
    return list(found[0])


def main() -> int:
    """Print faults and wide tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("built", type=Path, help="the directory with index.html")
    parser.add_argument("--under", default="", help="only pages whose path begins so")
    parser.add_argument("--widths", type=int, nargs="+", default=[1280, 400])
    parser.add_argument("--browser", default=shutil.which("chromium") or "google-chrome")
    parser.add_argument("--timeout", type=float, default=600.0)
    args = parser.parse_args()
    pages = sorted(str(page.relative_to(args.built)) for page in args.built.rglob("*.html"))
    pages = [p for p in pages if p.startswith(args.under) and not p.startswith("_")]
    faults = 0
    for row in measured(args.built, pages, args.widths, args.browser, args.timeout):
        where = f"{row['page']} at {row['width']}"
        if row["beyond"] > 0 or row["out"]:
            faults += 1
            print(f"FAULT {where}: {row['beyond']} px beyond the window; {row['out']}")
        if row["width"] == max(args.widths):
            for table in row["wide"]:
                print(f"scrolls {where}: {table}")
    print(f"{len(pages)} pages at {args.widths}: {faults} faults")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
