# SPDX-License-Identifier: ISC
"""A data directory goes from Debian's prometheus to Brazier and back.

Head and WAL only, no blocks. Both scrape the same targets at the same time,
two of each: one is stopped, one killed. What each answered before its end is
what the other finds in the directory, no sample more or less. Its own targets
differ in kind: chunks that are full, series that come and go, NaN and both
infinities, exemplars, labels that need quoting, deleted series.
"""

import concurrent.futures
import itertools
import math
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from brazier import PEERS, Brazier, Prometheus, Target, config, get, wait_for

FAST_SECONDS = 14       # 100 ms apart: more than the 120 samples of a chunk
EVERYTHING = '{__name__=~".+"}[10m]'
LINE = re.compile(r"^(\{.*\}) (\S+) (-?\d+)$")
EMPTY = config({}).replace("scrape_configs:\n", "")
DELETED = "deleted_total"
OPENMETRICS = {"Content-Type": "application/openmetrics-text; version=1.0.0"}


def fast_body(n):
    """Floats of every kind; a counter that is reset; series that come and go."""
    gone = "" if n // 20 % 2 else f'sometimes{{n="{n // 40}"}} {n}\n'
    return (f"counter_total {n % 37}\n"
            f"gauge {math.sin(n)!r}\n"
            f"tiny {5e-324 * (n % 9)!r}\n"
            f'odd {("NaN", "+Inf", "-Inf", "-0", "1e308")[n % 5]}\n'
            'quoted{l="a\\"b\\\\c\\nd",utf="\u00e4\u4e16"} ' f"{n}\n"
            f"deleted_total {n}\n{gone}")


def open_body(n):
    return 200, OPENMETRICS, (
        "# TYPE h histogram\n# HELP h help\n"
        f'h_bucket{{le="1.0"}} {n} # {{trace_id="t{n}"}} 0.5\n'
        f'h_bucket{{le="+Inf"}} {2 * n}\nh_count {2 * n}\nh_sum {n / 3!r}\n# EOF\n')


def counting(body):
    n = itertools.count()
    return Target(lambda: body(next(n)))


def scrape_config(fast, opened):
    text = config({"fast": [fast.address], "open": [opened.address]}, "100ms")
    return text + ('  - job_name: self\n    scrape_interval: 1s\n'
                   '    static_configs:\n      - targets: ["127.0.0.1:$PORT"]\n')


def hand_over(directory):
    """The files become those of the user that Brazier's storage runs as."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam("nobody")
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, user.pw_uid, user.pw_gid)


def bits(value):
    """Floats that compare as their bits do, but for NaN's."""
    v = float(value)
    return "NaN" if math.isnan(v) else v.hex()


def shown(server, at):
    return {(series, t): bits(v)
            for series, ts in server.samples(EVERYTHING, at).items()
            for t, v in ts.items()}


def up_to(samples, at):
    return {k: v for k, v in samples.items() if k[1] <= at * 1000}


def dumped(data):
    """How many samples promtool finds of each time and value, NaN left out
    (stale markers look the same)."""
    out = subprocess.run([PEERS / "promtool", "tsdb", "dump", data], text=True,
                         check=True, capture_output=True, timeout=60).stdout
    rows = {}
    for line in out.splitlines():
        m = LINE.match(line)
        assert m, line
        if not math.isnan(float(m[2])):
            key = int(m[3]), bits(m[2])
            rows[key] = rows.get(key, 0) + 1
    return rows


def rows(samples):
    out = {}
    for (_, t), v in samples.items():
        if v != "NaN":
            out[t, v] = out.get((t, v), 0) + 1
    return out


class Writer:
    """A server that scrapes into a directory of its own and ends."""

    def __init__(self, cls, killed, text):
        self.cls = cls
        self.killed = killed
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="brazier-directory-"))
        self.dir.chmod(0o755)
        self.data = self.dir / "data"
        self.server = open_with(cls, self.dir, text, [
            "--web.enable-admin-api", "--enable-feature=exemplar-storage"]
            if cls is Prometheus else [])
        self.at = None
        self.samples = None

    def delete(self):
        """Two ranges; more is scraped afterwards, and that stays."""
        for start, end in (0, self.at - 9), (self.at - 7, self.at - 5):
            status, _ = get(f"{self.server.url}api/v1/admin/tsdb/delete_series?"
                            f"match[]={DELETED}&start={start:.3f}&end={end:.3f}",
                            method="POST")
            assert status == 204

    def finish(self):
        """What it answers of all up to a moment ago, then its end."""
        self.at = time.time() - 1
        if self.cls is Prometheus:
            self.delete()
        self.samples = shown(self.server, self.at)
        # how a time in seconds becomes milliseconds differs in the last one:
        # no sample may lie on the edge
        while any(abs(t - self.at * 1000) < 5 for _, t in self.samples):
            self.at += 0.011
            self.samples = shown(self.server, self.at)
        if self.killed:
            self.server.process.kill_group()
        else:
            assert self.server.process.end() == 0
        self.server.close()

    def close(self):
        self.server.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def open_with(cls, directory, text, flags=()):
    if cls is Prometheus:
        return Prometheus(text, flags, data=directory / "data")
    if (directory / "data").exists():
        hand_over(directory / "data")
    return Brazier(text, flags, directory=directory).start()


@pytest.fixture(scope="module")
def written():
    """{(program, how it ended): Writer}, all at the same time."""
    kinds = list(itertools.product((Prometheus, Brazier), (False, True)))
    with counting(fast_body) as fast, counting(open_body) as opened, \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        text = scrape_config(fast, opened)
        writers = {k: Writer(*k, text) for k in kinds}
        try:
            for w in writers.values():
                wait_for("all up", lambda s=w.server: s.value("sum(up)") == 3)
            time.sleep(FAST_SECONDS)
            list(pool.map(Writer.finish, writers.values()))
            yield writers
        finally:
            for w in writers.values():
                w.close()


def compare(got, want):
    missing = [(k, v) for k, v in want.items() if k not in got]
    more = [(k, v) for k, v in got.items() if k not in want]
    differ = [(k, v, got[k]) for k, v in want.items() if got.get(k, v) != v]
    assert not (missing or more or differ), (
        len(want), len(missing), missing[:5], len(more), more[:5],
        len(differ), differ[:5])


def reopen(cls, writer):
    """(all up to the moment of the question, all there is) as cls reads it."""
    server = open_with(cls, writer.dir, EMPTY)
    try:
        return up_to(shown(server, time.time()), writer.at), \
            shown(server, time.time())
    finally:
        server.close()


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_prometheus_wrote(written, killed):
    w = written[Prometheus, killed]
    assert len(w.samples) > 1000
    left = sum(DELETED in series for series, _ in w.samples)
    assert 10 < left < 100, left
    everything = dumped(w.data)
    got, whole = reopen(Brazier, w)
    compare(got, w.samples)
    compare(rows(whole), everything)
    # and the way back
    back, again = reopen(Prometheus, w)
    compare(back, w.samples)
    compare(again, whole)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_we_wrote(written, killed):
    w = written[Brazier, killed]
    assert len(w.samples) > 1000
    got, whole = reopen(Prometheus, w)
    compare(got, w.samples)
    # and what Prometheus left behind is ours again
    back, again = reopen(Brazier, w)
    compare(back, w.samples)
    compare(again, whole)
