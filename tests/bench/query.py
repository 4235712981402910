# SPDX-License-Identifier: ISC
"""Queries beside Debian's prometheus and victoria-metrics, same data.

	tests/bench/query.py [--hours 6] [--repeat 5] [--data DIR] [--only NAME]

Makes (once, in --data) blocks of 10,000 counters and 1,000 histogram buckets
at 15 s with promtool, gives a copy to Prometheus and to Brazier and imports
the same samples into VictoriaMetrics (its response cache off). Each query is
asked over HTTP, once to warm up and then --repeat times; what counts is CPU
(user + system) of the whole process tree per query, and the growth of its
peak memory. The answers are compared between Prometheus and Brazier: number
of series and the sum of all values.
"""

import argparse
import http.client
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from brazier import (PEERS, Brazier, Process, Prometheus, Server,  # noqa: E402
                     free_port, get, wait_for)
from ingest import cpu_seconds, pss_bytes, tree  # noqa: E402

# a multiple of 2 h, and some seconds: windows of 2.x are closed on the left,
# those of 3.x open, so no sample may lie on an edge
START = 1_700_006_400
OFFSET = 7
STEP = 15

# name, expression, range of it in hours (0: instant), step
QUERIES = [
    ("sum by rate, 6 h", "sum by (job)(rate(m_total[5m]))", 6, 60),
    ("sum by rate, 1 h", "sum by (job)(rate(m_total[5m]))", 1, 15),
    ("sum by rate, instant", "sum by (job)(rate(m_total[5m]))", 0, 0),
    ("rate of all, 1 h", "rate(m_total[5m])", 1, 60),
    ("histogram_quantile, 6 h",
     "histogram_quantile(0.9, sum by (le)(rate(h_bucket[5m])))", 6, 60),
    ("topk, 1 h", "topk(5, rate(m_total[5m]))", 1, 60),
    ("regex selection, 1 h", 'sum(m_total{instance=~".*[37]",path=~"/p/(1|2|3)"})', 1, 60),
    ("max_over_time 1h, 6 h", "max by (job)(max_over_time(m_total[1h]))", 6, 60),
    ("subquery, 1 h", "max_over_time(sum by (job)(rate(m_total[5m]))[30m:1m])", 1, 60),
    ("many to one, 1 h",
     "sum by (job, instance, path)(m_total) / on (job) group_left sum by (job)(m_total)", 1, 60),
    ("raw, instant", "m_total", 0, 0),
    ("raw, 1 h", "m_total", 1, 60),
    ("one series, instant", 'm_total{job="job-1",instance="i-1",path="/p/1"}', 0, 0),
]


def series(hours):
    """(name and labels, generator of (t, v)) of all series."""
    n = hours * 3600 // STEP
    k = 0
    for job in range(10):
        for inst in range(100):
            for path in range(10):
                k += 1
                yield (f'm_total{{job="job-{job}",instance="i-{inst}",path="/p/{path}"}}',
                       k, n)
    for inst in range(100):
        for i, le in enumerate(("0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                "0.5", "1.0", "2.5", "+Inf")):
            yield f'h_bucket{{instance="i-{inst}",le="{le}"}}', 7 * inst + i, n


def write_text(path, hours, openmetrics):
    with open(path, "w") as f:
        family = None
        for name, k, n in series(hours):
            metric = name.split("{")[0]
            if openmetrics and metric != family:
                f.write("# TYPE %s\n" % ("m counter" if metric == "m_total" else "h_bucket unknown"))
                family = metric
            v, inc, lines = k % 1000, 1 + k % 17, []
            for i in range(n):
                v += inc + (i * k) % 13
                if i % 977 == k % 977 and i:
                    v = 3           # a reset now and then
                t = START + OFFSET + i * STEP
                lines.append(f"{name} {v} {t}\n" if openmetrics else f"{name} {v} {t}000\n")
            f.write("".join(lines))
        if openmetrics:
            f.write("# EOF\n")


def make_data(where, hours):
    blocks, text = where / f"blocks-{hours}h", where / f"vm-{hours}h.txt"
    if not (blocks / "done").exists():
        print("making the data …", flush=True)
        shutil.rmtree(blocks, ignore_errors=True)
        where.mkdir(parents=True, exist_ok=True)
        om = where / "om.txt"
        write_text(om, hours, True)
        subprocess.run([PEERS / "promtool", "tsdb", "create-blocks-from", "openmetrics",
                        om, blocks], check=True, stdout=subprocess.DEVNULL)
        om.unlink()
        (blocks / "done").touch()
    if not text.exists():
        write_text(text, hours, False)
    return blocks, text


class Victoria(Server):
    def __init__(self, text):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="victoria-bench-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = Process(
            [PEERS / "victoria-metrics", f"-storageDataPath={self.dir}/data",
             f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
             "-search.disableCache", "-search.latencyOffset=0s",
             "-search.maxUniqueTimeseries=10000000"], self.dir / "log")
        wait_for("victoria-metrics", lambda: get(self.url + "health", 2)[0] == 200)
        # in pieces: one import of everything would need its memory
        with open(text, "rb") as f:
            while True:
                piece = f.read(64 << 20)
                if not piece:
                    break
                piece += f.readline()
                req = urllib.request.Request(self.url + "api/v1/import/prometheus", data=piece)
                urllib.request.urlopen(req, timeout=300).read()
        get(self.url + "internal/force_flush")
        time.sleep(3)

    def close(self):
        self.process.end()
        shutil.rmtree(self.dir, ignore_errors=True)


def ask(server, expr, hours, step, end):
    """One request on the server's kept connection."""
    if hours:
        params = {"query": expr, "start": end - hours * 3600, "end": end, "step": step}
        path = "/api/v1/query_range?" + urllib.parse.urlencode(params)
    else:
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expr, "time": end})
    if not hasattr(server, "connection"):
        server.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    server.connection.request("GET", path)
    answer = server.connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"{path}: {answer.status} {body[:500]!r}")
    return body


def digest(body):
    """Series and the sum of all values: equal answers are equal in both."""
    result = json.loads(body)["data"]["result"]
    total = 0.0
    for s in result:
        for _, v in s.get("values", [s.get("value")]):
            v = float(v)
            total += v if math.isfinite(v) else 0
    return len(result), total


def peak_bytes(pid):
    total = 0
    for p in tree(pid):
        try:
            for line in open(f"/proc/{p}/status"):
                if line.startswith("VmHWM"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--hours", type=int, default=6)
    a.add_argument("--repeat", type=int, default=5)
    a.add_argument("--data", default="build/bench-data")
    a.add_argument("--only")
    o = a.parse_args()
    blocks, text = make_data(pathlib.Path(o.data), o.hours)
    end = START + o.hours * 3600 - STEP
    nothing = "scrape_configs: []\n"
    servers = {}
    try:
        if o.only in (None, "prometheus"):
            d = pathlib.Path(tempfile.mkdtemp(prefix="prometheus-bench-"))
            shutil.copytree(blocks, d / "data")
            servers["prometheus"] = Prometheus(nothing, ["--storage.tsdb.retention.time=100y"],
                                               d / "data")
        if o.only in (None, "victoria"):
            servers["victoria"] = Victoria(text)
        if o.only in (None, "brazier"):
            b = Brazier(nothing, ["--storage.tsdb.retention.time=100y"])
            shutil.copytree(blocks, b.data)
            if os.geteuid() == 0:
                subprocess.run(["chown", "-R", "nobody:nogroup", b.data], check=True)
            servers["brazier"] = b.start()
        print(f"{'query':26}" + "".join(f"{n:>24}" for n in servers) + "   ratios")
        product, n_ratios = 1.0, 0
        for name, expr, hours, step in QUERIES:
            row, digests = {}, {}
            for sname, s in servers.items():
                digests[sname] = digest(ask(s, expr, min(hours, o.hours), step, end))
                pid = s.process.pid
                cpu0, t0 = cpu_seconds(pid), time.monotonic()
                n = 0
                # at least --repeat, and long enough for a clock of 10 ms
                while n < o.repeat or (cpu_seconds(pid) - cpu0 < 0.2 and n < 400):
                    ask(s, expr, min(hours, o.hours), step, end)
                    n += 1
                row[sname] = ((cpu_seconds(pid) - cpu0) / n * 1000,
                              (time.monotonic() - t0) / n * 1000)
            line = f"{name:26}"
            for sname in servers:
                line += f"{row[sname][0]:11.2f} ms{row[sname][1]:8.1f} w"
            if "brazier" in row and "prometheus" in row:
                ratio = row["prometheus"][0] / max(row["brazier"][0], 1e-6)
                product, n_ratios = product * ratio, n_ratios + 1
                line += f"   P/B {ratio:5.1f}"
                same = digests["brazier"][0] == digests["prometheus"][0] and math.isclose(
                    digests["brazier"][1], digests["prometheus"][1], rel_tol=1e-9, abs_tol=1e-9)
                line += "" if same else f"   DIFFERENT {digests}"
            if "brazier" in row and "victoria" in row:
                line += f"   V/B {row['victoria'][0] / max(row['brazier'][0], 1e-6):5.1f}"
            print(line, flush=True)
        if n_ratios:
            print(f"geometric mean of Prometheus / Brazier: {product ** (1 / n_ratios):.1f}")
        for sname, s in servers.items():
            print(f"{sname}: peak resident {peak_bytes(s.process.pid) / 2**20:.0f} MiB (sum of the "
                  f"tree), PSS now {pss_bytes(s.process.pid) / 2**20:.0f} MiB")
    finally:
        for s in servers.values():
            s.close()


if __name__ == "__main__":
    main()
