# SPDX-License-Identifier: ISC
"""The engine answers random queries as Debian's prometheus does."""

import subprocess
import sys

import brazier


def test_random_queries():
    difftest = brazier.ROOT / "tests/conformance/difftest.py"
    p = subprocess.run(
        [sys.executable, str(difftest),
         str(brazier.BUILD / "tests/promqleval"),
         str(brazier.PEERS / "prometheus"), str(brazier.PEERS / "promtool"),
         "600", "1"], capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stdout[-4000:]
