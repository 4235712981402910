# SPDX-License-Identifier: ISC
"""What a process tree costs, and the load generator with its book."""

import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from brazier import BUILD  # noqa: E402


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


def cpu_by_program(pid):
    """{program: seconds} of what runs in the tree, finer than cpu_seconds."""
    out = {}
    for p in tree(pid):
        try:
            comm = pathlib.Path(f"/proc/{p}/comm").read_text().strip()
            ns = sum(int((t / "schedstat").read_text().split()[0])
                     for t in pathlib.Path(f"/proc/{p}/task").iterdir())
        except OSError:
            continue
        out[comm] = out.get(comm, 0) + ns / 1e9
    return out


def pss_bytes(pid):
    total = 0
    for p in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) * 1024
        except (OSError, AttributeError):
            continue
    return total


def pss_by_mapping(pid):
    """{(program, kind of mapping): bytes} of the whole tree."""
    out = {}
    for p in tree(pid):
        try:
            comm = pathlib.Path(f"/proc/{p}/comm").read_text().strip()
            text = pathlib.Path(f"/proc/{p}/smaps").read_text()
        except OSError:
            continue
        kind = "?"
        for line in text.splitlines():
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*)", line)
            if head:
                name = head.group(1)
                kind = ("anonymous" if name in ("", "[heap]") else
                        "memfd" if "memfd" in name else
                        name if name.startswith("[") else "files")
            elif line.startswith("Pss:"):
                key = comm, kind
                out[key] = out.get(key, 0) + int(line.split()[1]) * 1024
    return out


class Memory(threading.Thread):
    """Looks at the PSS of a tree every few seconds: peak, mean, last, and
    with detail what it consisted of at the peak."""

    def __init__(self, pid, every, detail=False):
        super().__init__(daemon=True)
        self.pid, self.every, self.seen, self.detail = pid, every, [], detail
        self.at_peak = {}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.every):
            self.seen.append(pss_bytes(self.pid))
            if self.detail and self.seen[-1] == max(self.seen):
                self.at_peak = pss_by_mapping(self.pid)

    def result(self):
        self.over.set()
        self.join()
        self.seen.append(pss_bytes(self.pid))
        return max(self.seen), sum(self.seen) / len(self.seen), self.seen[-1]


class Load:
    """The targets; each server scrapes them under a path of its own."""

    def __init__(self, targets, series, interval_s, gzip=False):
        self.interval_s = interval_s
        self.process = subprocess.Popen(
            [BUILD / "tests/targets", str(targets), str(series),
             str(round(interval_s * 1000)), *(["gzip"] if gzip else [])],
            stdout=subprocess.PIPE, text=True)
        self.ports = [int(self.process.stdout.readline()) for _ in range(targets)]

    def ask(self, path):
        url = f"http://127.0.0.1:{self.ports[0]}/{path}"
        with urllib.request.urlopen(url, timeout=30) as r:
            return r.read().decode()

    def reset(self):
        self.ask("reset")
        self.since = time.monotonic()

    def book(self, path):
        """(fewest scrapes of a target, late gaps of all, longest gap in s)
        since the last reset."""
        rows = [line.split() for line in self.ask("stats").splitlines()]
        mine = [r for r in rows if r[1] == "/" + path]
        if len(mine) < len(self.ports):
            return 0, 0, float("inf")
        return (min(int(r[2]) for r in mine), sum(int(r[3]) for r in mine),
                max(int(r[4]) for r in mine) / 1000)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
