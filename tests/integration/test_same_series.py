# SPDX-License-Identifier: ISC
"""node_exporter and prometheus as targets: we store what Prometheus stores.

SAME_SERIES_SECONDS says how long both scrape (20 s unless told otherwise).
Debian's 2.42 keeps the text of le and quantile as exposed, 3.x writes "1.0"
for "1": both are read as numbers before the comparison.
"""

import json
import math
import os
import time

from brazier import Brazier, NodeExporter, Prometheus, Target, config, wait_for

SECONDS = float(os.environ.get("SAME_SERIES_SECONDS", "20"))
EVERYTHING = '{job=~"node|prom|timed"}'


def timed_body():
    """Values that are a function of their own timestamps."""
    t = int(time.time())
    values = {"counter_total": t % 1000, "gauge": math.sin(t), "not": "NaN",
              "big": "+Inf" if t % 2 else "-Inf", "tiny": 5e-324 * (t % 9)}
    return "".join(f'timed_{k}{{i="{i}"}} {v} {t * 1000}\n'
                   for k, v in values.items() for i in range(20))


def normal(series):
    labels = json.loads(series)
    for name in ("le", "quantile"):
        if name in labels:
            labels[name] = repr(float(labels[name]))
    return json.dumps(labels, sort_keys=True)


def test_same_series_as_prometheus():
    with NodeExporter() as node, Target(timed_body) as timed:
        node_address = f"127.0.0.1:{node.port}"
        text = config({"node": [node_address], "prom": ["127.0.0.1:$PROM"],
                       "timed": [timed.address]})
        with Prometheus(text.replace("$PROM", "$PORT")) as p, \
                Brazier(text.replace("$PROM", str(p.port))).start() as b:
            wait_for("both up", lambda: b.value("sum(up)") == 3 and p.value("sum(up)") == 3)
            # series of prometheus's own API appear once somebody asks
            b.query("up"), p.query("up")
            time.sleep(SECONDS)
            at = time.time()
            window = f"[{int(SECONDS)}s]"
            ours = {normal(k): v for k, v in b.samples(EVERYTHING + window, at).items()}
            theirs = {normal(k): v for k, v in p.samples(EVERYTHING + window, at).items()}
    # what came or went in one of the two first or last seconds may be in one only
    def steady(samples, t0, t1):
        return {k for k, ts in samples.items()
                if any(t0 <= t <= t1 for t in ts)}
    middle = (at - SECONDS + 4) * 1000, (at - 4) * 1000
    assert len(ours) > 500
    assert steady(ours, *middle) - set(theirs) == set()
    assert steady(theirs, *middle) - set(ours) == set()
    equal = 0
    for series in set(ours) & set(theirs):
        labels = json.loads(series)
        for t in set(ours[series]) & set(theirs[series]):
            # two scrapes at one time are two answers of a living target;
            # what carries its own time must be the same
            if labels["job"] == "timed" and labels["__name__"].startswith("timed_"):
                assert ours[series][t] == theirs[series][t], (series, t)
                equal += 1
    print(f"{len(ours)} series, {equal} samples at equal times are equal")
    assert equal > 100
