# SPDX-License-Identifier: ISC
"""node_exporter, prometheus and targets of our own: we store what Prometheus
stores.

A target whose samples carry their own times shows counters with resets,
gauges, NaN, both infinities, both zeros, the ends of the range of doubles,
and series that come and go; each scrape repeats what was new in the two
seconds before, so both servers get every sample whenever they ask. Those are
compared whole: series, times, values as the API prints them, and then their
bits as they lie in the two directories. Another target without times shows
that markers of staleness are the same bits too.

SAME_SERIES_SECONDS says how long both scrape (20 s unless told otherwise).
Debian's 2.42 keeps the text of le and quantile as exposed, 3.x writes "1.0"
for "1": both are read as numbers before the comparison.
"""

import itertools
import json
import math
import os
import re
import struct
import subprocess
import time

from brazier import (BUILD, Brazier, NodeExporter, Prometheus, Target, config,
                     wait_for)

SECONDS = float(os.environ.get("SAME_SERIES_SECONDS", "20"))
EVERYTHING = '{__name__=~".+"}'
NAN = "7ff8000000000001"
STALE = "7ff0000000000002"
EXTREMES = ["0", "-0", "1e308", "-1e308", "1.7976931348623157e+308", "5e-324",
            "-2.2250738585072014e-308", "9007199254740993", "0.1", "1.5e-320"]


def value_at(kind, i, t):
    """The text of a series' value at second t, None where it is away."""
    away = (t // 5 + i) % 3 == 0
    return {
        "counter_total": str(t % (20 + i) * (i + 1)),
        "gauge": repr(math.sin(t + i) * 10 ** (i - 10)),
        "nan": "NaN" if (t + i) % 3 else str(i),
        "inf": ("+Inf", "-Inf", "Inf", str(t))[(t + i) % 4],
        "extreme": EXTREMES[(t + i) % len(EXTREMES)],
        "same": "1",
        "moving": None if away else str(t % 1000 + i / 8),
    }[kind]


KINDS = ("counter_total", "gauge", "nan", "inf", "extreme", "same", "moving")


def timed_body():
    now = int(time.time())
    lines = []
    for kind, i in itertools.product(KINDS, range(20)):
        for t in (now - 2, now - 1, now):
            v = value_at(kind, i, t)
            if v is not None:
                lines.append(f'timed_{kind}{{i="{i}"}} {v} {t * 1000}\n')
    # each of these lives for four seconds and never comes back
    lines += [f'timed_once{{at="{t // 4}"}} {t} {t * 1000}\n'
              for t in (now - 2, now - 1, now)]
    return "".join(lines)


def untimed_body():
    now = int(time.time())
    return "untimed_nan NaN\n" + "".join(
        f'untimed_moving{{i="{i}"}} {i}\n' for i in range(9)
        if (now // 3 + i) % 3)


def normal(series):
    labels = json.loads(series)
    for name in ("le", "quantile"):
        if name in labels:
            labels[name] = repr(float(labels[name]))
    return json.dumps(labels, sort_keys=True)


def timed(samples, t0, t1):
    """{series: {t: value}} of the samples with times of their own in [t0, t1]."""
    rows = {k: {t: v for t, v in ts.items() if t0 <= t <= t1}
            for k, ts in samples.items()
            if json.loads(k)["__name__"].startswith("timed_")}
    return {k: ts for k, ts in rows.items() if ts}


def expected(job, instance, t0, t1):
    """What the target shows, in the words of the API."""
    out = {}
    for t in range(math.ceil(t0 / 1000), t1 // 1000 + 1):
        for kind, i in itertools.product(KINDS, range(20)):
            if (v := value_at(kind, i, t)) is not None:
                key = json.dumps({"__name__": f"timed_{kind}", "i": str(i),
                                  "instance": instance, "job": job}, sort_keys=True)
                out.setdefault(key, {})[t * 1000] = float(v)
        key = json.dumps({"__name__": "timed_once", "at": str(t // 4),
                          "instance": instance, "job": job}, sort_keys=True)
        out.setdefault(key, {})[t * 1000] = float(t)
    return out


def bits(data, t0, t1):
    """({timed series and time: bits in [t0, t1]}, {bits of other NaNs})."""
    dump = subprocess.run([BUILD / "tests/waltool", "bits", data], check=True,
                          capture_output=True, text=True, timeout=120).stdout
    rows, nans = {}, set()
    for line in dump.splitlines():
        labels, value, t = re.match(r"(\{.*\}) ([0-9a-f]{16}) (-?\d+)$", line).groups()
        if '__name__="timed_' in labels:
            if t0 <= int(t) <= t1:
                rows[labels, int(t)] = value
        elif '__name__="untimed_' in labels and math.isnan(
                struct.unpack(">d", bytes.fromhex(value))[0]):
            nans.add(value)
    return rows, nans


def steady(samples, t0, t1):
    return {k for k, ts in samples.items() if any(t0 <= t <= t1 for t in ts)}


def test_same_series_as_prometheus():
    with NodeExporter() as node, Target(timed_body) as own_times, \
            Target(untimed_body) as untimed:
        text = config({"node": [f"127.0.0.1:{node.port}"], "prom": ["127.0.0.1:$PROM"],
                       "timed": [own_times.address], "untimed": [untimed.address]})
        with Prometheus(text.replace("$PROM", "$PORT")) as p, \
                Brazier(text.replace("$PROM", str(p.port))).start() as b:
            wait_for("both up", lambda: b.value("sum(up)") == 4 and p.value("sum(up)") == 4,
                     60)
            # series of prometheus's own API appear once somebody asks
            b.query("up"), p.query("up")
            began = time.time()
            time.sleep(SECONDS)
            at = time.time()
            window = f"[{int(SECONDS) + 60}s]"
            ours = {normal(k): v for k, v in b.samples(EVERYTHING + window, at).items()}
            theirs = {normal(k): v for k, v in p.samples(EVERYTHING + window, at).items()}
            # what both have been shown twice at least
            t0, t1 = int(began * 1000), int((at - 3) * 1000)
            b.stop()
            p.process.end()
            our_bits, our_nans = bits(b.data, t0, t1)
            their_bits, their_nans = bits(p.data, t0, t1)
    # what came or went in one of the two first or last seconds may be in one only
    middle = t0 + 4000, t1 - 1000
    assert len(ours) > 500
    assert steady(ours, *middle) - set(theirs) == set()
    assert steady(theirs, *middle) - set(ours) == set()
    mine = timed(ours, t0, t1)
    assert mine == timed(theirs, t0, t1)
    numbers = {k: {t: float(v) for t, v in ts.items()} for k, ts in mine.items()}
    want = expected("timed", own_times.address, t0, t1)
    # no NaN equals itself; as text all are one
    assert {k: {t: repr(v) for t, v in ts.items()} for k, ts in numbers.items()} == \
        {k: {t: repr(v) for t, v in ts.items()} for k, ts in want.items()}
    n = sum(map(len, mine.values()))
    assert our_bits == their_bits and len(our_bits) == n
    assert NAN in our_bits.values()
    assert our_nans == their_nans == {NAN, STALE}
    print(f"{len(ours)} series, {n} samples of {len(mine)} series are the same bits")
