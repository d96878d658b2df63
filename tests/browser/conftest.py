"""A browser and a server for the built site."""

import functools
import http.server
import os
import shutil
import threading
import warnings

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser():
    """Chromium; without it the tests are skipped, and say how to get it."""
    if CHROMIUM is None:
        how = "no Chromium: apt-get install chromium, or set CHROMIUM to the path of Chrome or Chromium"
        warnings.warn(how, stacklevel=1)
        pytest.skip(how)
    with sync_playwright() as playwright:
        environment = {**os.environ, "TMPDIR": "/tmp"}  # that of the kernels is too long for the browser's socket
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=environment)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(site):
    """Address of the built site on this machine; for what is missing it answers with the page 404.html."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def send_error(self, code, *_, **__):
            self.send_response(code)
            self.end_headers()
            self.wfile.write((site / "404.html").read_bytes())

    serve = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site))
    threading.Thread(target=serve.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serve.server_port}"
    serve.shutdown()
