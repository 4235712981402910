# SPDX-License-Identifier: ISC
"""Queries over more than there is room for fail alone, beside ingestion.

The small form of tests/bench/large_query.py (make bench-large).
"""

import sys

import brazier

sys.path.insert(0, str(brazier.ROOT / "tests/bench"))
import large_query  # noqa: E402


def test_beyond_the_limit():
    """20,000 series x 24 h in twelve blocks, 40 MB a query."""
    o = large_query.options([
        "--series", "20000", "--targets", "2", "--target-series", "500",
        "--pool", "160MB",
        # a loaded machine is no missed scrape
        "--max-gap", "15"])
    wrong, outcome = large_query.run(o, [
        "sum by (job)(rate(m[1h]))", "m", "sort(m)",
        'count_values("v", m)', "sum(m / ignoring () m)", "topk(5, m)"])
    assert wrong == []
    # what needs little memory answers, what holds all values does not
    assert outcome["range", "sum by (job)(rate(m[1h]))"] == 200
    assert outcome["range", "topk(5, m)"] == 200
    assert outcome["range", "m"] == 422
    assert outcome["instant", "m"] == 200
