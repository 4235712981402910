# SPDX-License-Identifier: ISC
"""Ingestion beside Debian's prometheus, in one run.

	tests/bench/ingest.py [--targets 20] [--series 5000] [--interval 1s]
	                      [--seconds 60] [--gzip] [--only brazier|prometheus]

Both scrape the same load generator at the same time; CPU is user + system of
the whole process tree, memory the PSS of the whole tree. Nothing is asserted:
the figures are printed, and each server's own count of missed scrapes.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from brazier import BUILD, Brazier, Prometheus, config, wait_for  # noqa: E402


def tree(pid):
    """The process and all its descendants."""
    parents = {}
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                stat = (p / "stat").read_text()
            except OSError:
                continue
            parents[int(p.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    out, grown = {pid}, True
    while grown:
        new = {c for c, p in parents.items() if p in out and c not in out}
        out |= new
        grown = bool(new)
    return out


def cpu_seconds(pid):
    total = 0
    for p in tree(pid):
        try:
            f = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # own time, and that of children that have ended
        total += sum(int(x) for x in f[11:15])
    return total / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid):
    total = 0
    for p in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) * 1024
    return total


def appended(server):
    return server.value("sum(prometheus_tsdb_head_samples_appended_total)") or 0


def measure(servers, seconds):
    start = {n: (cpu_seconds(s.process.pid), time.monotonic(), s.bench_samples())
             for n, s in servers.items()}
    time.sleep(seconds)
    for name, s in servers.items():
        cpu0, t0, n0 = start[name]
        cpu, took = cpu_seconds(s.process.pid) - cpu0, time.monotonic() - t0
        n = s.bench_samples() - n0
        series = s.bench_series()
        pss = pss_bytes(s.process.pid)
        yield name, cpu, took, n, series, pss


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--targets", type=int, default=20)
    a.add_argument("--series", type=int, default=5000)
    a.add_argument("--interval", default="1s")
    a.add_argument("--seconds", type=float, default=60)
    a.add_argument("--warmup", type=float, default=15)
    a.add_argument("--gzip", action="store_true")
    a.add_argument("--only")
    a.add_argument("-v", action="store_true", help="a line for each process too")
    o = a.parse_args()

    load = subprocess.Popen([BUILD / "tests/targets", str(o.targets), str(o.series),
                             *(["gzip"] if o.gzip else [])],
                            stdout=subprocess.PIPE, text=True)
    ports = [load.stdout.readline().strip() for _ in range(o.targets)]
    text = config({"load": [f"127.0.0.1:{p}" for p in ports],
                   "self": ["127.0.0.1:$PORT"]}, o.interval)
    servers = {}
    try:
        if o.only != "prometheus":
            servers["brazier"] = Brazier(text).start()
        if o.only != "brazier":
            servers["prometheus"] = Prometheus(text)
        for s in servers.values():
            s.bench_samples = lambda s=s: appended(s)
            s.bench_series = lambda s=s: s.value("sum(prometheus_tsdb_head_series)") or 0
            wait_for("all targets up", lambda s=s: s.value(
                'sum(up{job="load"})') == o.targets, 120, 0.5)
        time.sleep(o.warmup)
        results = {}
        print(f"{o.targets} targets x {o.series} series every {o.interval}, "
              f"{'gzip' if o.gzip else 'plain'}, {o.seconds:.0f} s")
        for name, cpu, took, n, series, pss in measure(servers, o.seconds):
            per_m = cpu / n * 1e6 if n else float("nan")
            results[name] = (per_m, pss / series if series else float("nan"))
            window = f"{int(took)}s"
            got = servers[name].value(
                f'min(count_over_time(up{{job="load"}}[{window}]))')
            down = servers[name].value(
                f'sum(count_over_time(up{{job="load"}}[{window}])) - '
                f'sum(sum_over_time(up{{job="load"}}[{window}]))')
            print(f"{name:12} {cpu:8.2f} CPU-s  {n / took:10.0f} samples/s  "
                  f"{per_m:7.3f} CPU-s per million samples  "
                  f"{series:9.0f} series  {pss / 2**20:8.1f} MiB PSS  "
                  f"{results[name][1]:7.0f} B per series  "
                  f"scrapes of the least-scraped target {got} of {int(took)}, failed {down}")
            if o.v:
                print(subprocess.run(["ps", "-o", "pid,comm,time,rss", "--ppid",
                                      str(servers[name].process.pid)],
                                     capture_output=True, text=True).stdout)
        if len(results) == 2:
            b, p = results["brazier"], results["prometheus"]
            print(f"ratio: CPU per sample 1/{p[0] / b[0]:.1f}, "
                  f"memory per series 1/{p[1] / b[1]:.1f}")
    finally:
        for s in servers.values():
            s.close()
        load.kill()


if __name__ == "__main__":
    main()
