"""Measure the built site with Lighthouse on a simulated phone, and say where it falls short.

``python tools/lighthouse.py`` serves _build/html as a web host does, compressed, and runs Lighthouse from npm, which
needs Node.js and Chromium or Chrome. It prints the four scores of each page, and ends with status 1 if the performance
of a page, or another of its scores, is below what is asked of it. Other work on the machine lowers performance.
"""

import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import common

SITE = common.ROOT / "_build" / "html"
LIGHTHOUSE = "lighthouse@12.8.2"
KINDS = ("performance", "accessibility", "best-practices", "seo")
#: Pages, and the least performance; of the other scores at least 90 is asked.
PAGES = {
    "book/index.html": 90,
    "notebooks/05_losses.html": 90,
    "notebooks/06_training.html": 90,
    "book/generator.html": 80,
    "book/lab.html": 80,
}


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        packed = path.suffix in (".html", ".css", ".js", ".svg", ".json")
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        if packed:
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(content)


def measure(address: str) -> dict[str, int]:
    """Return the scores of a page, and its layout shift in thousandths."""
    command = ["npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json", f"--only-categories={','.join(KINDS)}"]
    run = subprocess.run(
        [*command, "--chrome-flags=--headless=new --no-sandbox"], stdout=subprocess.PIPE, text=True, check=True
    )
    report = json.loads(run.stdout)
    found = {kind: round(100 * report["categories"][kind]["score"]) for kind in KINDS}
    return found | {"shift": round(1000 * report["audits"]["cumulative-layout-shift"]["numericValue"])}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("pages", nargs="*", help="such as book/index.html; without any: the pages that matter most")
    pages = parser.parse_args().pages or list(PAGES)
    for page in pages:
        if not (SITE / page).is_file():
            parser.error(f"there is no page {page!r} in _build/html: make book")
    if not shutil.which("npx"):
        parser.error("Lighthouse needs Node.js: npx is not installed")
    if chromium := os.environ.get("CHROMIUM") or shutil.which("chromium"):
        os.environ["CHROME_PATH"] = chromium
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    short = []
    print("page".ljust(30), *KINDS, "layout shift")
    for page in pages:
        found = measure(f"http://127.0.0.1:{server.server_port}/{page}")
        shift = found.pop("shift") / 1000
        print(
            page.ljust(30),
            *(str(score).rjust(len(kind)) for kind, score in found.items()),
            f"{shift:12.3f}",
            flush=True,
        )
        least = {kind: 90 for kind in KINDS} | {"performance": PAGES.get(page, 90)}
        short += [f"{page}: {kind} {score} < {least[kind]}" for kind, score in found.items() if score < least[kind]]
        short += [f"{page}: layout shift {shift} > 0.05"] * (shift > 0.05)
    raise SystemExit("\n".join(short))


if __name__ == "__main__":
    main()
