# SPDX-License-Identifier: ISC
"""The page in a real browser: table, chart and status pages are filled."""

import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

import pytest

from brazier import Brazier, config, wait_for

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


def page(b, path):
    """The document after its script has run, and what it complained about."""
    with tempfile.TemporaryDirectory() as home:
        p = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", f"--user-data-dir={home}", "--enable-logging=stderr",
             "--virtual-time-budget=4000", "--window-size=1280,900", "--dump-dom", b.url + path],
            capture_output=True, text=True, timeout=60)
    complaints = [x for x in p.stderr.splitlines() if ":CONSOLE" in x]
    # a status that a script asked for is logged as well
    assert not [x for x in complaints if "Failed to load resource" not in x], complaints
    return p.stdout


def query(**params):
    return "query?" + urllib.parse.urlencode({f"g0.{k}": v for k, v in params.items()})


def test_page():
    with Brazier(config({"self": ["127.0.0.1:$PORT"], "gone": ["127.0.0.1:1"]})).start() as b:
        wait_for("up", lambda: b.value('up{job="self"}') == 1)
        time.sleep(2)
        dom = page(b, query(expr="up", tab="table"))
        assert dom.count('<span class="metric"><b>up</b>') == 2
        assert re.search(r'"self".*?<td class="num mono"[^>]*>1</td>', dom)
        assert re.search(r"2 series, \d+ ms", dom)
        dom = page(b, query(expr="scrape_samples_scraped", tab="graph", range_input="1m"))
        assert dom.count("<li ") == 2 and "2 series" in dom
        # drawn: the canvas took the size of its box
        assert int(re.search(r'<canvas[^>]* width="(\d+)"', dom).group(1)) > 800
        dom = page(b, query(expr="sum(up", tab="table"))
        assert "unclosed left parenthesis" in dom
        dom = page(b, "targets")
        assert ">self (1/1 up)<" in dom and ">gone (0/1 up)<" in dom
        assert "connection refused" in dom
        assert "storage.tsdb.path" in page(b, "flags")
        assert "numSeries" in page(b, "tsdb-status")
        assert "job_name: gone" in page(b, "config")
