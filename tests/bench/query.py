# SPDX-License-Identifier: ISC
"""Queries beside Debian's prometheus and victoria-metrics, same data.

	tests/bench/query.py [--hours 6] [--rounds 5] [--seconds 0.15] [--data DIR]
	                     [--only NAME] [--rows REGEX]

Makes (once, in --data) blocks of 10,000 counters and 1,000 histogram buckets
at 15 s with promtool, gives a copy to Prometheus and to Brazier and imports
the same samples into VictoriaMetrics (its response cache off).

Each query is asked over HTTP, once to warm up, then in --rounds rounds in
which the servers take turns, each asking for at least --seconds, so that what
else the machine does hits all alike. What counts is CPU (user + system) of
the whole process tree per query, in nanoseconds (schedstat) but for processes
that have ended. The answers of Prometheus and Brazier are compared: number of
series and sum of all values, without the first ten minutes of the data, where
rate() has another idea of the beginning since 2.51.

Memory is measured first, on servers that have only been started: how far the
sum over the tree of PSS (without file pages, and with) rises above what it
was before, while the aggregation of 10,000 series over 6 h runs five times.
"""

import argparse
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from brazier import (PEERS, Brazier, Process, Prometheus, Server,  # noqa: E402
                     free_port, get, wait_for)
from ingest import tree  # noqa: E402

# a multiple of 2 h, and some seconds: windows of 2.x are closed on the left,
# those of 3.x open, so no sample may lie on an edge
START = 1_700_006_400
OFFSET = 7
STEP = 15

# name, expression, hours of range (0: instant), step; over: an aggregation
# over ranges
MANY_TO_ONE = ("sum by (job, instance, path)(m_total) / on (job) group_left "
               "sum by (job)(m_total)")
REGEX = 'sum(m_total{instance=~".*[37]",path=~"/p/(1|2|3)"})'
SUM_BY_RATE = "sum by (job)(rate(m_total[5m]))"
QUANTILE = "histogram_quantile(0.9, sum by (le)(rate(h_bucket[5m])))"
MAX_OVER_TIME = "max by (job)(max_over_time(m_total[1h]))"
SUBQUERY = "max_over_time(sum by (job)(rate(m_total[5m]))[30m:1m])"
ONE = 'm_total{job="job-1",instance="i-1",path="/p/1"}'
QUERIES = [
    ("sum by rate, 6 h", SUM_BY_RATE, 6, 60, "over"),
    ("sum by rate, 1 h", SUM_BY_RATE, 1, 15, "over"),
    ("sum by rate, instant", SUM_BY_RATE, 0, 0, "over"),
    ("rate of all, 1 h", "rate(m_total[5m])", 1, 60, ""),
    ("rate of all, instant", "rate(m_total[5m])", 0, 0, ""),
    ("histogram_quantile, 6 h", QUANTILE, 6, 60, "over"),
    ("histogram_quantile, instant", QUANTILE, 0, 0, "over"),
    ("topk, 1 h", "topk(5, rate(m_total[5m]))", 1, 60, "over"),
    ("topk, instant", "topk(5, rate(m_total[5m]))", 0, 0, "over"),
    ("regex selection, 1 h", REGEX, 1, 60, ""),
    ("regex selection, instant", REGEX, 0, 0, ""),
    ("max_over_time 1h, 6 h", MAX_OVER_TIME, 6, 60, "over"),
    ("max_over_time 1h, instant", MAX_OVER_TIME, 0, 0, "over"),
    ("subquery, 1 h", SUBQUERY, 1, 60, "over"),
    ("subquery, instant", SUBQUERY, 0, 0, "over"),
    ("many to one, 1 h", MANY_TO_ONE, 1, 60, ""),
    ("many to one, instant", MANY_TO_ONE, 0, 0, ""),
    ("raw, 1 h", "m_total", 1, 60, ""),
    ("raw, instant", "m_total", 0, 0, ""),
    ("one series, 1 h", ONE, 1, 15, ""),
    ("one series, instant", ONE, 0, 0, ""),
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
        for t, v in s.get("values", [s.get("value")]):
            v = float(v) if t >= START + 600 else 0
            total += v if math.isfinite(v) else 0
    return len(result), total


def cpu_seconds(pid):
    """Of all threads of the tree, and of its processes that have ended."""
    total = 0
    for p in tree(pid):
        try:
            stat = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
            tasks = list(pathlib.Path(f"/proc/{p}/task").iterdir())
        except OSError:
            continue
        total += sum(int(x) for x in stat[13:15]) / os.sysconf("SC_CLK_TCK")
        for t in tasks:
            try:
                total += int((t / "schedstat").read_text().split()[0]) / 1e9
            except OSError:
                pass
    return total


def pss(pid):
    """(without file pages, all) of the tree, in bytes."""
    all_bytes = files = 0
    for p in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
        except OSError:
            continue
        all_bytes += int(re.search(r"^Pss: +(\d+)", text, re.M).group(1)) * 1024
        files += int(re.search(r"^Pss_File: +(\d+)", text, re.M).group(1)) * 1024
    return all_bytes - files, all_bytes


def peak_growth(server, question, times=5):
    """How far the memory of the tree rises while it answers."""
    time.sleep(3)
    pid, idle, peak, done = server.process.pid, None, [0, 0], threading.Event()

    def watch():
        while not done.is_set():
            for i, n in enumerate(pss(pid)):
                peak[i] = max(peak[i], n)
            time.sleep(0.005)
    idle = pss(pid)
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(times):
        ask(server, *question)
    done.set()
    watcher.join()
    return [p - i for p, i in zip(peak, idle)], idle


def start_servers(o, blocks, text, servers):
    nothing = "scrape_configs: []\n"
    if o.only in (None, "prometheus"):
        d = pathlib.Path(tempfile.mkdtemp(prefix="prometheus-bench-"))
        shutil.copytree(blocks, d / "data")
        servers["prometheus"] = Prometheus(nothing, ["--storage.tsdb.retention.time=100y"],
                                           d / "data")
        servers["prometheus"].bench_dir = d
    if o.only in (None, "victoria"):
        servers["victoria"] = Victoria(text)
    if o.only in (None, "brazier"):
        b = Brazier(nothing, ["--storage.tsdb.retention.time=100y"])
        shutil.copytree(blocks, b.data)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", b.data], check=True)
        servers["brazier"] = b
        b.start()


def measure_row(servers, question, o):
    """{server: (CPU ms, wall ms) of one query}, and the digests."""
    digests, n, used = {}, {}, {}
    for name, s in servers.items():
        digests[name] = digest(ask(s, *question))
        cpu0 = cpu_seconds(s.process.pid)
        ask(s, *question)
        n[name] = math.ceil(o.seconds / max(cpu_seconds(s.process.pid) - cpu0, 0.0005))
        used[name] = [0.0, 0.0, 0]
    for _ in range(o.rounds):
        for name, s in servers.items():
            cpu0, t0 = cpu_seconds(s.process.pid), time.monotonic()
            for _ in range(n[name]):
                ask(s, *question)
            used[name][0] += cpu_seconds(s.process.pid) - cpu0
            used[name][1] += time.monotonic() - t0
            used[name][2] += n[name]
    return {name: (u[0] / u[2] * 1000, u[1] / u[2] * 1000)
            for name, u in used.items()}, digests


def verdict(ratios, memory):
    """Prints what is asked for beside what was found; False if any fails."""
    p = {k: v["prometheus"] for k, v in ratios.items() if "prometheus" in v}
    v = {k: v["victoria"] for k, v in ratios.items() if "victoria" in v}
    over = {k: p[k] for k, *_, kind in QUERIES if kind == "over" and k in p}
    lines = []

    def least(what, rows, limit):
        if rows:
            worst = min(rows, key=rows.get)
            lines.append((what, rows[worst], limit, worst))
    if p:
        lines.append(("Prometheus / Brazier, geometric mean",
                      math.exp(sum(map(math.log, p.values())) / len(p)), 6, ""))
    least("Prometheus / Brazier, aggregations over ranges", over, 8)
    least("Prometheus / Brazier, every row", p, 2)
    least("VictoriaMetrics / Brazier, every row", v, 1)
    if "prometheus" in memory and "brazier" in memory:
        lines.append(("peak growth of memory, Prometheus / Brazier",
                      memory["prometheus"][0] / max(memory["brazier"][0], 1), 10, ""))
    print("\nverdict")
    for what, got, limit, row in lines:
        print(f"  {'holds' if got >= limit else 'FAILS'}  {what}: {got:.1f}, "
              f"asked at least {limit}{' (' + row + ')' if row else ''}")
    return all(got >= limit for _, got, limit, _ in lines)


def measure_memory(servers, question):
    memory = {}
    for name, s in servers.items():
        memory[name], idle = peak_growth(s, question)
        print(f"{name:12} idle {idle[0] / 2**20:7.1f} MiB, growth "
              f"{memory[name][0] / 2**20:7.1f} MiB; with file pages "
              f"{idle[1] / 2**20:7.1f} MiB, {memory[name][1] / 2**20:7.1f} MiB",
              flush=True)
    return memory


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--hours", type=int, default=6)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--seconds", type=float, default=0.15)
    a.add_argument("--data", default="build/bench-data")
    a.add_argument("--only")
    a.add_argument("--rows", default="", help="only rows whose name matches")
    o = a.parse_args()
    blocks, text = make_data(pathlib.Path(o.data), o.hours)
    end = START + o.hours * 3600 - STEP
    servers, ratios = {}, {}
    try:
        start_servers(o, blocks, text, servers)
        print("memory, " + SUM_BY_RATE)
        memory = measure_memory(servers, (SUM_BY_RATE, o.hours, 60, end))
        print(f"\n{'query':28}" + "".join(f"{n + ', CPU and wall':>29}" for n in servers))
        for name, expr, hours, step, _ in QUERIES:
            if not re.search(o.rows, name):
                continue
            row, digests = measure_row(servers, (expr, min(hours, o.hours), step, end), o)
            line = f"{name:28}" + "".join(
                f"{row[n][0]:14.2f} ms{row[n][1]:9.2f} ms" for n in servers)
            ratios[name] = {n: row[n][0] / max(row["brazier"][0], 1e-6)
                            for n in row if n != "brazier" and "brazier" in row}
            line += "".join(f"   {n[0].upper()}/B {r:5.1f}" for n, r in ratios[name].items())
            b, p = digests.get("brazier"), digests.get("prometheus")
            if b and p and not (b[0] == p[0] and math.isclose(
                    b[1], p[1], rel_tol=1e-9, abs_tol=1e-9)):
                line += f"   DIFFERENT {digests}"
            print(line, flush=True)
        return 0 if verdict(ratios, memory) else 1
    finally:
        for s in servers.values():
            s.close()
            shutil.rmtree(getattr(s, "bench_dir", "/nonexistent"), ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
