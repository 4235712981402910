# SPDX-License-Identifier: ISC
"""node_exporter and prometheus as targets: we store what Prometheus stores.

SAME_SERIES_SECONDS says how long both scrape (20 s unless told otherwise).
Debian's 2.42 keeps the text of le and quantile as exposed, 3.x writes "1.0"
for "1": both are read as numbers before the comparison.
"""

import json
import os
import time

from brazier import Brazier, NodeExporter, Prometheus, config, wait_for

SECONDS = float(os.environ.get("SAME_SERIES_SECONDS", "20"))
EVERYTHING = '{job=~"node|prom"}'


def normal(series):
    labels = json.loads(series)
    for name in ("le", "quantile"):
        if name in labels:
            labels[name] = repr(float(labels[name]))
    return json.dumps(labels, sort_keys=True)


def test_same_series_as_prometheus():
    with NodeExporter() as node:
        node_address = f"127.0.0.1:{node.port}"
        text = config({"node": [node_address], "prom": ["127.0.0.1:$PROM"]})
        with Prometheus(text.replace("$PROM", "$PORT")) as p, \
                Brazier(text.replace("$PROM", str(p.port))).start() as b:
            wait_for("both up", lambda: b.value("sum(up)") == 2 and p.value("sum(up)") == 2)
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
    equal = different = 0
    for series in set(ours) & set(theirs):
        for t in set(ours[series]) & set(theirs[series]):
            name = json.loads(series)["__name__"]
            if name == "scrape_duration_seconds":
                continue        # each measures its own
            if ours[series][t] == theirs[series][t]:
                equal += 1
            else:
                different += 1
    print(f"{len(ours)} series, {equal} samples at equal times are equal, "
          f"{different} differ (two scrapes at one time are two answers)")
    # a target answers two scrapes at one time with two sets of numbers: only
    # what cannot change between them must be equal
    for series in set(ours) & set(theirs):
        if any(json.loads(series)["__name__"] == n for n in
               ("up", "node_uname_info", "prometheus_build_info",
                "process_start_time_seconds", "node_boot_time_seconds")):
            for t in set(ours[series]) & set(theirs[series]):
                assert ours[series][t] == theirs[series][t], series
