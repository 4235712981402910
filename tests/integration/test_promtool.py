# SPDX-License-Identifier: ISC
"""Prometheus reads what we wrote."""

import json
import random
import re
import subprocess
import time

from brazier import PEERS, Brazier, Target, config, wait_for


def dump(data):
    """{(series, t_ms): value text} as promtool sees the directory."""
    out = subprocess.run([PEERS / "promtool", "tsdb", "dump", data],
                         capture_output=True, text=True, timeout=60, check=True)
    samples = {}
    for line in out.stdout.splitlines():
        labels, value, t = re.match(r"(\{.*\}) (\S+) (\d+)$", line).groups()
        series = json.dumps(dict(re.findall(r'([a-zA-Z_0-9]+)="([^"]*)"', labels)),
                            sort_keys=True)
        assert (series, int(t)) not in samples, line
        samples[series, int(t)] = float(value)
    return samples


def test_promtool_dumps_exactly_ours():
    rng = random.Random(7)

    down = []

    def body():
        if down:
            return 503, {}, b""
        return "".join(f'm{{i="{i}"}} {rng.choice([i, rng.random(), 1e300, -5])}\n'
                       for i in range(50)) + "nan_one NaN\ninf_one +Inf\n"
    with Target(body) as t, Brazier(config({"t": [t.address]})).start() as b:
        wait_for("samples", lambda: len(b.query("m")) == 50)
        time.sleep(5)
        down.append(True)       # from here on nothing but up 0 is written
        wait_for("down", lambda: b.value("up") == 0, 15)
        at = time.time()
        ours = b.samples('{__name__=~".+"}[10m]', at)
        assert b.stop() == 0
        theirs = dump(b.data)
        newest = max(t for ts in ours.values() for t in ts)
        mine = {(k, t): float(v) for k, ts in ours.items() for t, v in ts.items()}
        # stale markers are written but not shown; later scrapes of up 0 neither
        seen = {k: v for k, v in theirs.items() if k in mine}
        assert len(mine) > 250
        assert set(mine) == set(seen)
        for key, v in mine.items():
            assert v == seen[key] or (v != v and seen[key] != seen[key]), key
        extra = [k for k in theirs if k not in mine and k[1] <= newest
                 and theirs[k] == theirs[k]]
        assert not extra
