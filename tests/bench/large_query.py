# SPDX-License-Identifier: ISC
"""Queries over more than there is room for, beside ingestion.

	tests/bench/large_query.py [--series 1000000] [--hours 24] [--step 300]
	    [--block-hours 2] [--targets 20] [--target-series 5000]
	    [--pool BYTES] [--max-samples N] [--max-gap 1.5] [--dir DIR]

Makes blocks of --series series (tests/tools/blockgen.c) that end where the
head begins, starts brazierd on them, scrapes --targets x --target-series at
1 s and asks for everything, as range and as instant queries. Each query must
answer, or fail alone with a text that names the limit. Afterwards: no scrape
was missed or failed, every sample of them is there, all processes but query
workers are those that were started, no process was above its memory line.
Prints a line a query; exits with 1 when anything of that does not hold.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from brazier import BUILD, Brazier, config, wait_for  # noqa: E402
from figures import Load  # noqa: E402

# asked over the whole range, and at its end
QUERIES = [
    "sum(m)",
    "sum by (job)(rate(m[1h]))",
    "m",
    "count by (x)(m)",
    "count by (instance)(m)",
    "quantile(0.9, m)",
    "quantile by (x)(0.9, m)",
    "topk(5, m)",
    "stddev by (job)(m)",
    "sort(m)",
    'label_replace(m, "new", "$1", "path", "/p/(.*)")',
    'sum by (new)(label_replace(m, "new", "$1", "path", "/p/(.*)"))',
    'count_values("v", m)',
    "sum(m / ignoring () m)",
    "m and m",
    "sum(max_over_time(m[1d]))",
    "max_over_time(sum(m)[1d:10m])",
    "absent(m)",
    'count({__name__=~".+"})',
]
LIMITS = ("limit", "too many samples", "timed out")


class Watch(threading.Thread):
    """The most memory of its own that each process of brazierd had."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.done = server, {}, threading.Event()

    def run(self):
        while not self.done.wait(0.3):
            for name, pid in self.server.workers().items():
                try:
                    text = pathlib.Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                n = sum(int(line.split()[1]) for line in text.splitlines()
                        if line.startswith("RssAnon:")) * 1024
                role = name.split("/")[0]
                self.peak[role] = max(self.peak.get(role, 0), n)


def make_blocks(where, o):
    """(start, end) of the data in seconds."""
    end = int(time.time()) // 7200 * 7200
    start = end - o.hours * 3600
    subprocess.run([BUILD / "tests/blockgen", where, str(o.series), str(start),
                    str(o.hours // o.block_hours), str(o.block_hours * 3600),
                    str(o.step)], check=True)
    return start, end


def ask(server, path, params):
    """(status, how many series and bytes, or the error's text, seconds)."""
    t0 = time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=900)
    n, last, head = 0, b"", b""
    try:
        c.request("GET", path + "?" + urllib.parse.urlencode(params))
        r = c.getresponse()
        while True:
            piece = r.read(1 << 20)
            if not piece:
                break
            n += len(piece)
            head = head or piece[:4096]
            last = (last + piece)[-4096:]
        whole = last.endswith(b"}\n") or last.endswith(b"}")
        status = r.status
    except (http.client.HTTPException, OSError) as e:
        return 0, f"connection: {e!r}", time.monotonic() - t0
    finally:
        c.close()
    took = time.monotonic() - t0
    if status != 200:
        try:
            return status, json.loads(head)["error"], took
        except (ValueError, KeyError):
            return status, repr(head[:200]), took
    return (200 if whole else 0), f"{n} bytes", took


def ask_all(server, start, end, step, queries):
    """Asks; {(kind, query): status}, and what is wrong."""
    outcome, wrong = {}, []
    for q in queries:
        for kind, path, params in (
                ("instant", "/api/v1/query", {"query": q, "time": end}),
                ("range", "/api/v1/query_range", {
                    "query": q, "start": start, "end": end, "step": step})):
            status, text, took = ask(server, path, params)
            ok = status == 200
            named = any(w in text for w in LIMITS)
            outcome[kind, q] = status
            print(f"{kind:8} {q:64} {took:7.1f} s  {status} {text[:100]}", flush=True)
            if not ok and not named:
                wrong.append(f"{kind} {q}: {status} {text}")
    return outcome, wrong


def check_ingestion(server, o, begin, wrong):
    """Every target's scrapes since begin, and their samples."""
    at = time.time() - 2
    window = int(at - begin)
    ups = server.samples(f'up{{job="load"}}[{window}s]', at)
    if len(ups) != o.targets:
        wrong.append(f"{len(ups)} of {o.targets} targets are there")
    for key, samples in ups.items():
        times = sorted(samples)
        edges = [int((at - window) * 1000), *times, int(at * 1000)]
        gap = max(b - a for a, b in zip(edges, edges[1:]))
        if any(v != "1" for v in samples.values()):
            wrong.append(f"{key}: a scrape failed")
        if gap > o.max_gap * 1000:
            wrong.append(f"{key}: {len(times)} scrapes in {window} s, "
                         f"longest gap {gap} ms")
    # up is written with each scrape: as many samples of each series
    for family in (0, o.target_series // 20, o.target_series // 10 - 1):
        got = server.api("query", time=at, timeout=120, query=
                         f'sum(count_over_time(bench_metric_{family}_total[{window}s]))')
        want = server.api("query", time=at, query=
                          f'sum(count_over_time(up{{job="load"}}[{window}s]))')
        got, want = (float(x["result"][0]["value"][1]) for x in (got, want))
        if got != want * 10:
            wrong.append(f"family {family}: {got} samples of {want * 10}")
    return window, sum(len(v) for v in ups.values())


def check_processes(before, after, peak, wrong):
    old = {p["name"]: p for p in before["workers"]}
    for p in after["workers"]:
        role = p["role"]
        if role not in ("query", "config") and p["pid"] != old.get(p["name"], {}).get("pid"):
            wrong.append(f"{p['name']} is another process: {p['last_cause']}")
        if role == "query" and "signal" in str(p["last_cause"]):
            wrong.append(f"{p['name']}: {p['last_cause']}")
        limit = p["limit_bytes"]
        if limit and peak.get(role, 0) > limit:
            wrong.append(f"{role}: {peak[role]} bytes, line {limit}")


def run(o, queries=None):
    """Everything; (what is wrong as a list of texts, outcome of ask_all)."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="large-query-", dir=o.dir))
    where.chmod(0o755)
    load = server = None
    try:
        t0 = time.monotonic()
        start, end = make_blocks(where / "data", o)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", where / "data"], check=True)
        print(f"{o.series} series x {o.hours} h every {o.step} s: "
              f"{o.series * o.hours * 3600 // o.step} samples, made in "
              f"{time.monotonic() - t0:.0f} s", flush=True)
        load = Load(o.targets, o.target_series, 1)
        flags = ["--storage.tsdb.retention.time=100y", "--query.timeout=10m"]
        if o.pool:
            flags.append(f"--query.pool-max-bytes={o.pool}")
        if o.max_samples:
            flags.append(f"--query.max-samples={o.max_samples}")
        server = Brazier(config({"load": [f"127.0.0.1:{p}" for p in load.ports]}), flags,
                         directory=where).start()
        wait_for("all targets up", lambda: server.value(
            'sum(up{job="load"})') == o.targets, 120, 0.5)
        time.sleep(3)
        before, begin = server.status(), time.time()
        watch = Watch(server)
        watch.start()
        outcome, wrong = ask_all(server, start, end, o.step, queries or QUERIES)
        time.sleep(3)
        watch.done.set()
        watch.join()
        window, scrapes = check_ingestion(server, o, begin, wrong)
        check_processes(before, server.status(), watch.peak, wrong)
        limits = {p["role"]: p["limit_bytes"] for p in before["workers"]}
        answered = sum(status == 200 for status in outcome.values())
        print(f"{answered} of {len(outcome)} answered, the others refused; {scrapes} scrapes "
              f"of {o.target_series} samples in {window} s beside them")
        print("most memory of its own, and line: " + ", ".join(
            f"{r} {n / 2**20:.0f} of {limits.get(r, 0) / 2**20:.0f} MiB"
            for r, n in sorted(watch.peak.items())))
        for w in wrong:
            print("WRONG " + w)
        return wrong, outcome
    finally:
        if server is not None:
            server.close()
        if load is not None:
            load.close()
        shutil.rmtree(where, ignore_errors=True)


def options(argv=None):
    a = argparse.ArgumentParser()
    a.add_argument("--series", type=int, default=1_000_000)
    a.add_argument("--hours", type=int, default=24)
    a.add_argument("--step", type=int, default=300)
    a.add_argument("--block-hours", type=int, default=2)
    a.add_argument("--targets", type=int, default=20)
    a.add_argument("--target-series", type=int, default=5000)
    a.add_argument("--max-gap", type=float, default=1.5,
                   help="seconds between two scrapes of a target that are a missed one")
    a.add_argument("--max-samples", default="", help="--query.max-samples")
    a.add_argument("--pool", default="", help="--query.pool-max-bytes")
    a.add_argument("--dir", default=None)
    return a.parse_args(argv)


if __name__ == "__main__":
    sys.exit(1 if run(options())[0] else 0)
