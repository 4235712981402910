# SPDX-License-Identifier: ISC
"""Ingestion beside Debian's prometheus: CPU, memory, missed scrapes, the
highest rate, a million series, and how soon it is ready after kill -9.

Both scrape the same load generator (targets.c), each under a path of its
own, so that the targets know who was late. CPU is user + system of the whole
process tree, memory the PSS of the whole tree. Nothing is asserted: figures
are printed, and a line that begins with MISSED when a scrape was.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from brazier import Brazier, Prometheus, config, get, wait_for  # noqa: E402
from figures import (Load, Memory, cpu_by_program, cpu_seconds,  # noqa: E402
                     pss_bytes, tree)

__all__ = ["cpu_seconds", "pss_bytes", "tree"]

MODES = """\
modes:
  steady   (default) what a sample and a series cost at a given rate. The
           budget's run, five minutes each, plain and gzip:
               ingest.py steady --seconds 300
               ingest.py steady --seconds 300 --gzip
           Memory is sampled every --sample seconds from the first scrape on:
           the peak is mostly before the first chunks are full (120 samples).
  rate     the highest rate sustained: one server after the other, alone with
           the targets, which grow by half a step (--start series each first)
           until a scrape is late, missed or failed, or samples become
           visible slower than they are scraped; then two steps between.
           About 45 s a step with --seconds 20, 15 minutes in all:
               ingest.py rate --seconds 20
           The targets' own share of a CPU is printed with each step; both
           need 4 KB of memory a series.
  million  1,000,000 series, 50 targets x 20,000 every 15 s, both servers at
           the same time (8 GB), memory per series from start to end:
               ingest.py million --seconds 600
  replay   ready after kill -9: --samples (10,000,000) of 100,000 series are
           scraped at 1 s by both, both are killed, and copies of what they
           left are opened --runs times in turn. Time from start to 200 on
           /-/ready, and the CPU until then:
               ingest.py replay
"""


class Bench:
    """Servers and load of one measurement; all end with it."""

    def __init__(self, o, series=None, only=None):
        self.o = o
        self.interval_s = seconds_of(o.interval)
        self.load = Load(o.targets, series or o.series, self.interval_s, o.gzip)
        self.servers, self.memory = {}, {}
        try:
            for name in ("brazier", "prometheus"):
                if only in (None, name):
                    self.start(name)
        except BaseException:
            self.close()
            raise

    def start(self, name):
        text = config({"load": [f"127.0.0.1:{p}" for p in self.load.ports],
                       "self": ["127.0.0.1:$PORT"]}, self.o.interval)
        text = text.replace("- job_name: load\n",
                            f"- job_name: load\n    metrics_path: /{name}\n")
        server = Brazier(text) if name == "brazier" else Prometheus(text)
        self.servers[name] = server
        if name == "brazier":
            server.start()
        self.memory[name] = Memory(server.process.pid, self.o.sample, self.o.v)
        self.memory[name].start()

    def wait_up(self, seconds=120):
        for s in self.servers.values():
            wait_for("all targets up", lambda s=s: s.value(
                'sum(up{job="load"})') == self.o.targets, seconds, 0.5)

    def missed(self, name, took):
        """What the targets and `up` know of scrapes that did not come."""
        s, window = self.servers[name], f"{int(took)}s"
        want = took / self.interval_s
        least, late, gap = self.load.book(name)
        text = [f"{least} of {want:.0f} scrapes at the least-scraped target, "
                f"{late} late, longest gap {gap:.2f} s"]
        bad = least < int(want) - 1 or late > 0
        n = s.value(f'min(count_over_time(up{{job="load"}}[{window}]))') or 0
        down = s.value(f'sum(count_over_time(up{{job="load"}}[{window}]) - '
                       f'sum_over_time(up{{job="load"}}[{window}]))') or 0
        text.append(f"up: {n:.0f} at least, {down:.0f} failed")
        return bad or down > 0 or n < int(want) - 1, "; ".join(text)

    def close(self):
        for m in self.memory.values():
            m.over.set()
        for s in self.servers.values():
            s.close()
        self.load.close()


def seconds_of(text):
    unit = {"ms": 0.001, "s": 1, "m": 60}
    for u in ("ms", "s", "m"):
        if text.endswith(u):
            return float(text[:-len(u)]) * unit[u]
    raise argparse.ArgumentTypeError(f"no duration: {text}")


def appended(s):
    return s.value("sum(prometheus_tsdb_head_samples_appended_total)") or 0


def head_series(s):
    return s.value("sum(prometheus_tsdb_head_series)") or 0


def print_processes(server, memory, before, n, series):
    """What each program cost a sample, and where the memory was at the peak."""
    now = cpu_by_program(server.process.pid)
    for comm, s in sorted(now.items(), key=lambda r: -r[1]):
        print(f"    {comm:16} {(s - before.get(comm, 0)) / n * 1e6:7.3f} "
              f"CPU-s per million samples")
    rows = sorted(memory.at_peak.items(), key=lambda r: -r[1])
    for (comm, kind), size in rows[:12]:
        print(f"    {comm:16} {kind:12} {size / 2**20:9.1f} MiB "
              f"{size / series:7.0f} B per series")


def steady(o):
    b = Bench(o, only=o.only)
    try:
        b.wait_up()
        time.sleep(o.warmup)
        print(f"{o.targets} targets x {o.series} series every {o.interval}, "
              f"{'gzip' if o.gzip else 'plain'}, {o.seconds:.0f} s", flush=True)
        b.load.reset()
        start = {n: (cpu_seconds(s.process.pid), time.monotonic(), appended(s))
                 for n, s in b.servers.items()}
        before = {n: cpu_by_program(s.process.pid) for n, s in b.servers.items()}
        time.sleep(o.seconds)
        results = {}
        for name, s in b.servers.items():
            cpu0, t0, n0 = start[name]
            cpu, took = cpu_seconds(s.process.pid) - cpu0, time.monotonic() - t0
            n = appended(s) - n0
            results[name] = r = report(b, name, cpu, took, n)
            print(r["text"], flush=True)
            if o.v and n:
                print_processes(s, b.memory[name], before[name], n, head_series(s))
        if len(results) == 2:
            p, q = results["prometheus"], results["brazier"]
            print("ratios: " + ", ".join(
                f"{what} 1/{p[what] / q[what]:.1f}"
                for what in ("CPU per sample", "peak memory per series",
                             "mean memory per series", "memory per series at the end")))
    finally:
        b.close()


def report(b, name, cpu, took, n):
    s = b.servers[name]
    series = head_series(s) or float("nan")
    bad, missed = b.missed(name, took)
    peak, mean, last = b.memory[name].result()
    r = {"CPU per sample": cpu / n * 1e6 if n else float("nan"),
         "peak memory per series": peak / series,
         "mean memory per series": mean / series,
         "memory per series at the end": last / series}
    r["text"] = (
        f"{name:12} {cpu:8.2f} CPU-s  {n / took:9.0f} samples/s  "
        f"{r['CPU per sample']:6.3f} CPU-s per million samples  {series:8.0f} series\n"
        f"             PSS per series: {peak / series:.0f} B at the peak, "
        f"{mean / series:.0f} B mean, {last / series:.0f} B at the end "
        f"({last / 2**20:.0f} MiB)\n"
        f"    {'MISSED' if bad else 'no scrape missed'}: {missed}")
    return r


# --- the highest rate ---


def rate_step(o, name, series):
    """(sustained?, samples a second) with so many series a target."""
    b = Bench(o, series, name)
    s = b.servers[name]
    try:
        try:
            b.wait_up(60)
            time.sleep(o.warmup)
            b.load.reset()
            n0, t0, cpu0 = appended(s), time.monotonic(), cpu_seconds(s.process.pid)
            load0 = b.load.cpu_seconds()
            time.sleep(o.seconds)
            n, took = appended(s) - n0, time.monotonic() - t0
            cpu = cpu_seconds(s.process.pid) - cpu0
            bad, missed = b.missed(name, took)
        except (AssertionError, OSError) as e:
            print(f"{name:12} {series:8} series a target: {str(e)[:100]}", flush=True)
            return False, 0
        want = o.targets * series / b.interval_s
        slow = n / took < want * 0.95
        print(f"{name:12} {series:8} series a target  {n / took:9.0f} samples/s of "
              f"{want:.0f}  CPU {100 * cpu / took:.0f} %, targets "
              f"{100 * (b.load.cpu_seconds() - load0) / took:.0f} %  "
              f"{pss_bytes(s.process.pid) / 2**20:.0f} MiB  "
              f"{'MISSED' if bad else 'SLOW' if slow else 'sustained'}: {missed}",
              flush=True)
        return not bad and not slow, n / took
    finally:
        b.close()


def rate(o):
    best = {}
    for name in ("brazier", "prometheus"):
        if o.only not in (None, name):
            continue
        series, good, bad = o.start, 0, None
        best[name] = 0
        while bad is None and series <= o.most:
            ok, n = rate_step(o, name, series)
            if ok:
                good, best[name] = series, n
                series = series * 3 // 2
            else:
                bad = series
        for _ in range(2 if bad is not None else 0):
            series = (good + bad) // 2
            ok, n = rate_step(o, name, series)
            if ok:
                good, best[name] = series, n
            else:
                bad = series
        print(f"{name}: highest sustained rate {best[name]:.0f} samples/s "
              f"({o.targets} targets x {good} series every {o.interval})", flush=True)
    if len(best) == 2 and best["prometheus"]:
        print(f"ratio: {best['brazier'] / best['prometheus']:.1f}")


# --- ready after kill -9 ---


def fill(o, directory):
    """Scrapes until the head holds enough, kills both; {name: data}."""
    b = Bench(o, only=o.only)
    try:
        b.wait_up()
        for name, s in b.servers.items():
            wait_for(f"{o.samples} samples in {name}",
                     lambda s=s: appended(s) >= o.samples, 3600, 0.5)
        out = {}
        for name, s in b.servers.items():
            n = appended(s)
            s.process.kill_group()
            data = pathlib.Path(directory) / name
            shutil.copytree(s.data, data)
            out[name] = data
            wal = sum(f.stat().st_size for f in (data / "wal").iterdir() if f.is_file())
            print(f"{name:12} {n:.0f} samples, {wal / 2**20:.0f} MiB of WAL", flush=True)
        return out
    finally:
        b.close()


def open_once(name, data, series, expect_s=120):
    """(seconds to ready, CPU-s until then, samples found, PSS)."""
    text = config({"self": ["127.0.0.1:$PORT"]}, "1h")
    with tempfile.TemporaryDirectory(prefix="replay-") as d:
        copy = pathlib.Path(d) / "data"
        pathlib.Path(d).chmod(0o755)
        subprocess.run(["cp", "-a", data, copy], check=True)
        subprocess.run(["sync", copy], check=True)
        t0 = time.monotonic()
        if name == "brazier":
            subprocess.run(["chown", "-R", "nobody", copy], check=False)
            t0 = time.monotonic()
            s = Brazier(text, directory=d).start(wait=False)
            wait_for("ready", lambda: get(s.url + "-/ready", 2)[0] == 200, expect_s, 0.002)
        else:
            s = Prometheus(text, data=copy)
        try:
            took, cpu = time.monotonic() - t0, cpu_seconds(s.process.pid)
            pss = pss_bytes(s.process.pid)
            # a family is ten series of a target
            found = s.value('sum(count_over_time(bench_metric_0_total[1h]))')
            return took, cpu, (found or 0) * series / 10, pss
        finally:
            s.close()


def replay(o):
    with tempfile.TemporaryDirectory(prefix="replay-") as d:
        pathlib.Path(d).chmod(0o755)
        data = fill(o, d)
        runs = {name: [] for name in data}
        for _ in range(o.runs):
            for name in data:
                runs[name].append(open_once(name, data[name], o.series))
        for name, r in runs.items():
            print(f"{name:12} ready after {statistics.median(x[0] for x in r):.2f} s "
                  f"({', '.join(f'{x[0]:.2f}' for x in r)}), CPU until then "
                  f"{statistics.median(x[1] for x in r):.2f} s, "
                  f"{r[0][2]:.0f} samples of the load, {r[0][3] / 2**20:.0f} MiB PSS")


def main():
    a = argparse.ArgumentParser(description=__doc__, epilog=MODES,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("mode", nargs="?", default="steady",
                   choices=("steady", "rate", "million", "replay"))
    a.add_argument("--targets", type=int, help="20 (million: 50)")
    a.add_argument("--series", type=int, help="of each target: 5000 (million: 20000)")
    a.add_argument("--interval", help="1s (million: 15s)")
    a.add_argument("--seconds", type=float, help="measured: 60 (rate: 20 a step, "
                   "million: 600)")
    a.add_argument("--warmup", type=float, help="before that, after all targets "
                   "are up: 15 (million: 30)")
    a.add_argument("--sample", type=float, default=5, help="seconds between two "
                   "looks at the memory (5)")
    a.add_argument("--gzip", action="store_true")
    a.add_argument("--only", choices=("brazier", "prometheus"))
    a.add_argument("--start", type=int, default=10000, help="rate: series of a "
                   "target in the first step")
    a.add_argument("--most", type=int, default=400000, help="rate: not more than that")
    a.add_argument("--samples", type=int, default=10_000_000, help="replay: scraped")
    a.add_argument("--runs", type=int, default=3, help="replay: starts of each")
    a.add_argument("-v", action="store_true", help="CPU by program, and the "
                   "peak's memory by program and mapping")
    o = a.parse_args()
    big = o.mode == "million"
    for key, value in (("targets", 50 if big else 20), ("series", 20000 if big else 5000),
                       ("interval", "15s" if big else "1s"),
                       ("seconds", 600 if big else 20 if o.mode == "rate" else 60),
                       ("warmup", 30 if big else 15)):
        if getattr(o, key) is None:
            setattr(o, key, value)
    {"steady": steady, "million": steady, "rate": rate, "replay": replay}[o.mode](o)


if __name__ == "__main__":
    main()
