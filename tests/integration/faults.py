#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Role by role, step by step, fault by fault: `make faults`.

The processes of the test build (make FAULTS=1) kill, stop or end themselves
at the points that common/base/fault.h tells of. This file arms them, one case
after the other, and looks at what must hold whatever has happened: the
reload's caller got the right answer, all workers run on one generation (the
old one before the decision, the new one after it), the server is whole again
soon, no process and no descriptor is left over, nothing that anybody has seen
is lost, no scrape is missed but for scrape's own death, and a stop ends in
time with status 0. One line a case; the exit status says whether all held.

	faults.py [KIND…]	reload start restart data supervisor; one
				or several of them side by side
"""

import collections
import contextlib
import json
import mmap
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import time

from brazier import (BUILD, Brazier, Process, Target, config, get,
                     wait_for)
from test_nothing_lost import SERIES, Counting, Watcher, stored
from test_reload_storm import at_rest, fd_kinds

FAULT_BUILD = BUILD if BUILD.name == "faults" else BUILD / "faults"
DEADLINES_BY = 20       # a hang of 60 s takes 3
INTERVAL_MS = 500
READY_S = 5             # what is promised
PATIENCE_S = 40         # what a loaded machine gets before it is wrong
SLOTS, SLOT = 15, struct.Struct("16s32siIII")
ACTIONS = {"kill": 1, "stop": 2, "exit": 3, "segv": 4, "call": 5}
WORKERS = ["storage", "resolver", "scrape", "query", "web"]

# What each step is followed by: the old generation, the new, or either.
RELOAD = {
    "reload.prepare": "old", "reload.before-answer": "old",
    "reload.after-answer": "either", "reload.commit": "new",
    "reload.in-commit": "new", "reload.after-commit": "new",
}
RELOAD_SUP = {
    "sup.prepare": "old", "sup.prepared": "either", "sup.decided": "new",
    "sup.commit": "new", "sup.committed": "new",
}
LOAD = {
    "start.exec": "old", "start.attach": "old", "start.before-sandbox": "old",
    "start.after-sandbox": "old", "start.attached": "old",
    "start.before-ready": "old", "start.after-ready": "old",
    "load.begin": "old", "load.parts-sent": "old", "load.answered": "new",
    "stop.received": "new", "stop.drained": "new", "stop.before-exit": "new",
}
LOAD_SUP = {"sup.started": "old", "sup.attached": "old", "sup.load": "old",
            "sup.stop": "new", "sup.stopped": "new"}
START = ["start.exec", "start.attach", "start.before-sandbox",
         "start.after-sandbox", "start.attached", "start.before-ready",
         "start.after-ready", "start.run"]
START_SUP = ["sup.started", "sup.attached", "sup.ready", "sup.run"]
STOP = ["stop.received", "stop.draining", "stop.drained", "stop.before-exit"]
STOP_SUP = ["sup.stop", "sup.stopped"]
DATA = ["wal.write", "wal.segment", "wal.written", "append.before-ack",
        "append.after-ack", "chunks.file", "chunks.header", "chunks.write"]
REPLAY = ["replay.begin", "replay.segment", "replay.end", "replay.new-segment",
          "repair.cut", "chunks.file", "wal.write"]
SUPERVISOR_RELOAD = ["reload.loaded", "reload.decided", "reload.committed"]
SUPERVISOR_START = ["start.loaded", "start.committed", "start.ready"]
SUPERVISOR_STOP = ["stop.begin", "stop.death"]

Case = collections.namedtuple("Case", "kind role step fault times")


class Plan:
    """The file that tells the processes what to do."""

    def __init__(self, path, segment_bytes=0):
        self.path = path
        path.write_bytes(struct.pack("II", DEADLINES_BY, segment_bytes)
                         .ljust(SLOT.size * (SLOTS + 1), b"\0"))
        path.chmod(0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def arm(self, slot, role, step, fault, times=1, instance=-1):
        at = (slot + 1) * SLOT.size
        self.map[at:at + SLOT.size] = SLOT.pack(
            role.encode(), step.encode(), instance, ACTIONS[fault], 0, 0)
        struct.pack_into("I", self.map, at + 56, times)

    def hits(self, slot=0):
        return struct.unpack_from("I", self.map, (slot + 1) * SLOT.size + 60)[0]

    def clear(self):
        self.map[SLOT.size:] = bytes(SLOT.size * SLOTS)


class FaultyBrazier(Brazier):
    """brazierd of the test build, watched from before the first case on."""

    def __init__(self, text, segment_bytes=0, flags=()):
        super().__init__(text, ["--scrape.workers=2", "--query.workers=3",
                                "--log.level=debug", *flags])
        self.plan = Plan(self.dir / "faults", segment_bytes)

    def argv(self):
        return [FAULT_BUILD / "brazierd", *super().argv()[1:]]

    def start(self, wait=True):
        env = {**os.environ, "BRAZIER_FAULTS": str(self.plan.path)}
        self.process = Process(self.argv(), self.dir / "log", env=env)
        if wait:
            self.wait_ready()
        return self

    def group(self):
        """{pid: state} of all living processes of this server."""
        out = {}
        for p in pathlib.Path("/proc").iterdir():
            if p.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    f = (p / "stat").read_text().rpartition(")")[2].split()
                    if int(f[2]) == self.process.pid and f[0] != "Z":
                        out[int(p.name)] = f[0]
        return out


def kinds(pid):
    """Descriptors by what they are; numbers in names do not count, nor does
    how many connections and files of data there are."""
    names = fd_kinds(pid)
    if names is None:
        return None
    return sorted(re.sub(r"\d+", "N", n) for n in names
                  if not n.startswith("socket:") and "/data/" not in n)


def bulk():
    """What fills a segment of 64 KB in two seconds."""
    return "".join(f'bulk{{i="{i}"}} {random.random()}\n' for i in range(2000))


class Rig:
    """A server, its targets, its watcher, and the cases that run on it.

    small: WAL segments and chunks so small that they end all the time.
    """

    def __init__(self, stack, small=False, out=sys.stdout):
        self.targets = [stack.enter_context(Counting()) for _ in range(2)]
        self.bulk = [stack.enter_context(Target(bulk)).address] if small else []
        for t in self.targets:      # that scrape was killed is no news
            t.server.handle_error = lambda *args: None
        self.addresses = [t.address for t in self.targets]
        self.n = 0
        self.b = stack.enter_context(FaultyBrazier(
            self.text(0), 65536 if small else 0,
            ["--storage.tsdb.samples-per-chunk=6"] if small else []))
        self.watcher = Watcher(self.b)
        self.excused = []
        self.failures = []
        self.results = []
        self.out = out
        self.began = time.time()
        stack.callback(self.watcher.end)

    def text(self, n):
        return config({"t": self.addresses, "bulk": self.bulk,
                       f"job{n}": []},
                      interval=f"{INTERVAL_MS}ms")

    def write(self, n):
        new = self.b.config.with_suffix(".new")
        new.write_text(self.text(n))
        new.chmod(0o644)
        new.rename(self.b.config)

    def begin(self):
        self.b.start()
        wait_for("all targets", lambda: len(self.b.query("seen_total")) ==
                 len(self.targets) * SERIES)
        self.watcher.start()
        wait_for("rest", lambda: at_rest(self.b), PATIENCE_S)
        time.sleep(1)
        self.note_rest()

    def note_rest(self):
        self.count = len(self.b.group())
        self.own_fds = kinds(self.b.process.pid)
        self.fds = self.worker_fds()

    def worker_fds(self):
        return {n: kinds(p) for n, p in self.b.workers().items()}

    # --- what must hold after every case ---

    def whole(self, since):
        """Everything is back, all of it, and samples come in."""
        b = self.b
        return (get(b.url + "-/ready", 2)[0] == 200 and at_rest(b) and
                "T" not in b.group().values() and
                self.watcher.newest > since * 1000 and
                len(b.query("seen_total")) == len(self.targets) * SERIES)

    def wait_whole(self, since):
        began = time.monotonic()
        wait_for("whole again", lambda: self.whole(since), PATIENCE_S)
        return time.monotonic() - began

    def nothing_left_over(self):
        wait_for(f"{self.count} processes", lambda:
                 len(self.b.group()) == self.count, 10)
        wait_for("no descriptor more in the supervisor", lambda:
                 kinds(self.b.process.pid) == self.own_fds, 10)
        try:
            wait_for("no descriptor more in a worker", lambda:
                     self.worker_fds() == self.fds, 10)
        except AssertionError as e:
            now = self.worker_fds()
            raise AssertionError(str(e), {
                n: (self.fds.get(n), now.get(n)) for n in {*now, *self.fds}
                if now.get(n) != self.fds.get(n)}) from None

    def nothing_lost(self, seconds=30):
        at = time.time()
        seen = {k: {t: v for t, v in list(ts.items())
                    if (at - seconds) * 1000 < t < at * 1000}
                for k, ts in list(self.watcher.seen.items())}
        now = stored(self.b, at, seconds + 5)
        failed = collections.defaultdict(list)
        for s in self.b.query(f'up{{job="t"}}[{seconds + 5}s]', time=at):
            failed[s["metric"]["instance"]] += [
                (t * 1000 - 1, t * 1000 + 1) for t, v in s["values"] if v == "0"]
        for key, ts in seen.items():
            missing = [t for t, v in ts.items() if (t, v) not in now[key]]
            assert not missing, ("lost", key, missing[:3])
        for key, samples in now.items():
            times = [t for t, _ in samples]
            values = [v for _, v in samples]
            assert times == sorted(set(times)), ("twice", key)
            assert len(set(values)) == len(values), ("stored twice", key)
            gaps = [(x, y, int(w) - int(v)) for (x, v), (y, w) in
                    zip(samples, samples[1:]) if self.is_gap(x, y, v, w) and
                    not any(x < end and y > begin for begin, end in
                            [*self.excused, *failed[json.loads(key)["instance"]]])]
            assert not gaps, ("missed scrapes", key, gaps)
        assert not self.watcher.wrong, self.watcher.wrong[:3]

    @staticmethod
    def is_gap(x, y, v, w):
        """A scrape that the target answered is not there; or there was none
        for longer than a loaded machine can be blamed for. (An answer to a
        connection that broke is asked for again: no time is missing then.)"""
        return y - x > 6 * INTERVAL_MS or \
            int(w) != int(v) + 1 and y - x > 1.4 * INTERVAL_MS

    def excuse(self, began):
        """Scrape itself was away."""
        self.excused.append(((began - 1) * 1000 - INTERVAL_MS,
                             time.time() * 1000 + 2 * INTERVAL_MS))

    # --- the kinds of cases ---

    def reload(self, case, expected, also=None):
        b = self.b
        self.n += 1
        before = b.status()["generation"]
        self.write(self.n)
        b.plan.clear()
        b.plan.arm(0, case.role, case.step, case.fault, case.times)
        if also:
            b.plan.arm(1, *also)
        began = time.time()
        if self.n % 2 and case.role not in ("web", "supervisor") and not also:
            status, body = get(b.url + "-/reload", data=b"", method="POST",
                               timeout=60)
            ok, text = status == 200, body.decode()
        else:
            p = b.ctl("reload", check=False)
            ok, text = p.returncode == 0, p.stdout + p.stderr
        took = time.time() - began
        answered = time.time()
        wait_for("the fault", lambda: b.plan.hits() == case.times, PATIENCE_S)
        if also:
            wait_for("the second fault", lambda: b.plan.hits(1) >= 1, PATIENCE_S)
        ready = self.wait_whole(answered)
        if case.role == "scrape" or also and also[0] == "scrape":
            self.excuse(began)
        status = b.status()
        pools = b.api("scrape_pools")["scrapePools"]
        came = "new" if ok else "old"
        assert expected in ("either", came), (expected, came, text)
        assert (f"job{self.n}" in pools) == ok, (ok, pools)
        assert (status["generation"] > before) == ok, (ok, before, status)
        if not ok:
            assert re.search(r"ended|did not|timed out", text), text
        self.nothing_left_over()
        return f"{came} gen {status['generation']}, answer {took:.2f} s, " \
               f"whole {ready:.2f} s", ready

    def start(self, case):
        b = self.b
        if b.process.popen.poll() is None:
            b.stop()
        b.plan.clear()
        b.plan.arm(0, case.role, case.step, case.fault, case.times)
        began = time.time()
        b.start(wait=False)
        b.wait_ready(PATIENCE_S)
        wait_for("the fault", lambda: b.plan.hits() == case.times, PATIENCE_S)
        self.wait_whole(began)
        took = time.time() - began
        self.excuse(began)
        self.nothing_left_over()
        return f"gen {b.status()['generation']}, whole {took:.2f} s", took

    def stop(self, case):
        b = self.b
        b.plan.clear()
        b.plan.arm(0, case.role, case.step, case.fault, case.times)
        began = time.time()
        code = b.stop()
        took = time.time() - began
        self.excuse(began)
        hits = b.plan.hits()
        left = b.group()
        assert code == 0 and not left, (code, left)
        assert hits == case.times, ("not reached", hits)
        return f"status 0, all gone after {took:.2f} s", took

    def restart(self, case):
        b = self.b
        b.plan.clear()
        b.plan.arm(0, case.role, case.step, case.fault, case.times)
        time.sleep(30 / DEADLINES_BY)   # a healthy spell: no back-off
        began = time.time()
        pid = next(p for n, p in sorted(b.workers().items())
                   if n.split("/")[0] == case.role)
        os.kill(pid, signal.SIGKILL)
        wait_for("the fault", lambda: b.plan.hits() == case.times, PATIENCE_S)
        ready = self.wait_whole(time.time())
        if case.role == "scrape":
            self.excuse(began)
        self.nothing_left_over()
        return f"gen {b.status()['generation']}, whole {ready:.2f} s", ready

    def data(self, case):
        """At its next write, or (with wal.write before) in the replay."""
        b = self.b
        b.plan.clear()
        if case.kind == "replay":
            time.sleep(30 / DEADLINES_BY)   # a healthy spell: no back-off
            b.plan.arm(1, "storage", case.step, case.fault, case.times)
            b.plan.arm(0, "storage", "wal.write", "kill")
        else:
            b.plan.arm(0, "storage", case.step, case.fault, case.times)
        wait_for("the fault", lambda: b.plan.hits() >= 1, PATIENCE_S)
        if case.kind == "replay":
            def again():
                """What tore may have been padding, which needs no repair."""
                if b.plan.hits(1) == 0 and at_rest(b):
                    b.plan.arm(0, "storage", "wal.write", "kill")
                return b.plan.hits(1) == case.times
            wait_for("the fault in the replay", again, PATIENCE_S, 0.5)
            b.plan.clear()
        ready = self.wait_whole(time.time())
        self.nothing_left_over()
        return f"whole {ready:.2f} s", ready

    def supervisor(self, case):
        """It dies: all die, and the next start finds everything."""
        b = self.b
        b.plan.clear()
        began = time.time()
        if case.step in SUPERVISOR_START:
            b.stop()
            b.plan.arm(0, "supervisor", case.step, case.fault)
            b.start(wait=False)
        else:
            b.plan.arm(0, "supervisor", case.step, case.fault)
            if case.step in SUPERVISOR_STOP:
                os.kill(b.process.pid, signal.SIGTERM)
            else:
                self.n += 1
                self.write(self.n)
                p = b.ctl("reload", check=False)
                assert p.returncode != 0
        b.process.popen.wait(PATIENCE_S)
        assert b.process.popen.returncode == -signal.SIGKILL
        wait_for("all gone with it", lambda: not b.group(), 10)
        restarted = time.time()
        b.plan.clear()
        b.start(wait=False)
        b.wait_ready(PATIENCE_S)
        self.wait_whole(restarted)
        took = time.time() - restarted
        self.excuse(began)
        assert f"job{self.n}" in b.api("scrape_pools")["scrapePools"]
        self.note_rest()
        return f"whole {took:.2f} s after the next start", took

    def run(self, case, *args):
        """One case and its line. After a failure the server starts anew."""
        method = getattr(self, "data" if case.kind == "replay" else case.kind)
        times = f" x{case.times}" if case.times > 1 else ""
        name = f"{case.kind:10} {case.step:22} {case.role:10} {case.fault}{times}"
        try:
            text, seconds = method(case, *args)
            if case.kind != "stop":
                self.nothing_lost()
            if seconds > READY_S:
                text += "  SLOW"
            self.results.append((case, seconds))
            print(f"{name:56} {text}", file=self.out, flush=True)
        except (AssertionError, OSError, ValueError, StopIteration) as e:
            self.failures.append((case, e))
            print(f"{name:56} FAILED: {str(e)[:600]}", file=self.out, flush=True)
            with open(self.b.dir / "log", errors="replace") as log:
                print("".join(log.readlines()[-25:]), file=self.out, flush=True)
            self.recover()

    def recover(self):
        began = time.time()
        self.b.plan.clear()
        self.b.kill_tree()
        self.watcher.wrong.clear()
        self.b.start()
        wait_for("rest", lambda: self.whole(began), PATIENCE_S)
        self.excuse(self.began)
        self.note_rest()

    def finish(self):
        """From the disk alone: all that was ever seen."""
        self.watcher.end()
        seconds = int(time.time() - self.began) + 60
        self.b.plan.clear()
        self.b.kill_tree()
        self.b.write_config(config({}))
        self.b.start()
        now = stored(self.b, time.time(), seconds)
        for key, ts in self.watcher.seen.items():
            have = set(now[key])
            missing = [t for t, v in ts.items() if (t, v) not in have]
            assert not missing, ("lost on the disk", key, missing[:3])


# --- which cases there are ---

def faults_of(i, sup=False):
    """Killed and hung always, the others in turn."""
    if sup:
        return ["kill", "stop"]
    return ["kill", "stop", ("exit", "segv")[i % 2]]


def reload_cases():
    for i, role in enumerate(WORKERS):
        for k, (step, expected) in enumerate(RELOAD.items()):
            for fault in faults_of(i + k):
                yield Case("reload", role, step, fault, 1), expected
        for step, expected in RELOAD_SUP.items():
            for fault in faults_of(i, True):
                yield Case("reload", role, step, fault, 1), expected
    for role, n in (("scrape", 2), ("query", 3)):
        for step, expected in RELOAD.items():
            yield Case("reload", role, step, "kill", n), expected
    for k, (step, expected) in enumerate(LOAD.items()):
        for fault in faults_of(k):
            yield Case("reload", "config", step, fault, 1), expected
    for step, expected in LOAD_SUP.items():
        for fault in faults_of(0, True):
            yield Case("reload", "config", step, fault, 1), expected


def abort_cases():
    """One dies, and another at the ABORT that follows."""
    for i, role in enumerate(WORKERS):
        other = WORKERS[(i + 1) % len(WORKERS)]
        for fault in faults_of(i):
            yield (Case("reload", other, "reload.prepare", "kill", 1), "old",
                   (role, "reload.abort", fault))


def start_stop_cases():
    """A start and a stop in turn."""
    starts, stops = [], []
    for i, role in enumerate(WORKERS):
        for k, step in enumerate([*START, *RELOAD]):
            starts += [Case("start", role, step, f, 1) for f in faults_of(i + k)]
        for step in [*START_SUP, *RELOAD_SUP]:
            starts += [Case("start", role, step, f, 1) for f in ("kill",)
                       if not (step == "sup.ready" and role == "config")]
        for k, step in enumerate(STOP):
            stops += [Case("stop", role, step, f, 1) for f in faults_of(i + k)]
        for step in STOP_SUP:
            stops += [Case("stop", role, step, f, 1)
                      for f in faults_of(i, True)]
    for k, step in enumerate(s for s, e in LOAD.items() if e == "old"):
        starts += [Case("start", "config", step, f, 1) for f in faults_of(k)]
    stops += [Case("stop", "storage", "close.chunks", f, 1)
              for f in ("kill", "stop")]
    while len(stops) < len(starts):
        stops.append(None)
    return zip(starts, stops)


def restart_cases():
    for i, role in enumerate(WORKERS):
        for k, step in enumerate(START):
            for fault in faults_of(i + k):
                yield Case("restart", role, step, fault, 1)
        for step in START_SUP:
            yield Case("restart", role, step, "stop", 1)
        yield Case("restart", role, "start.after-sandbox", "kill", 4)
        yield Case("restart", role, "start.run", "call", 1)


def run_reload(rig):
    rig.begin()
    for case, expected in reload_cases():
        rig.run(case, expected)
    for case, expected, also in abort_cases():
        rig.run(case, expected, also)


def run_start(rig):
    rig.begin()
    rig.b.stop()
    for start, stop in start_stop_cases():
        rig.run(start)
        if stop is None:
            rig.b.stop()
        else:
            rig.run(stop)
    rig.b.start()


def run_restart(rig):
    rig.begin()
    for case in restart_cases():
        rig.run(case)


def run_data(rig):
    rig.begin()
    for step in DATA:
        for fault in ("kill", "stop", "segv"):
            if step.startswith("chunks.") and step != "chunks.write":
                # a new file is begun after each start
                os.kill(next(p for n, p in rig.b.workers().items()
                             if n == "storage/0"), signal.SIGKILL)
            rig.run(Case("data", "storage", step, fault, 1))
    for step in REPLAY:
        for fault in ("kill", "stop", "exit"):
            rig.run(Case("replay", "storage", step, fault, 1))
        rig.run(Case("replay", "storage", step, "kill", 3))


def run_supervisor(rig):
    rig.begin()
    for step in [*SUPERVISOR_RELOAD, *SUPERVISOR_START, *SUPERVISOR_STOP]:
        rig.run(Case("supervisor", "supervisor", step, "kill", 1))


KINDS = {"reload": run_reload, "start": run_start, "restart": run_restart,
         "data": run_data, "supervisor": run_supervisor}


def run_kind(kind, out=sys.stdout):
    """(number of cases, failures, slowest) of one kind on its own server."""
    with contextlib.ExitStack() as stack:
        rig = Rig(stack, small=kind == "data", out=out)
        KINDS[kind](rig)
        rig.finish()
        return rig


def points_in_sources():
    """Names of all fault points, so that none is forgotten here."""
    root = pathlib.Path(__file__).resolve().parents[2]
    names = set()
    for d in ("ipc", "supervisor", "workers"):
        for f in (root / d).rglob("*.c"):
            names |= set(re.findall(
                r'FAULT_(?:POINT|CHILD)\([^;]*?"([a-z.-]+)"', f.read_text()))
    return names


def points_known():
    return {*RELOAD, *RELOAD_SUP, *LOAD, *LOAD_SUP, *START, *START_SUP, *STOP,
            *STOP_SUP, *DATA, *REPLAY, *SUPERVISOR_RELOAD, *SUPERVISOR_START,
            *SUPERVISOR_STOP, "reload.abort", "close.chunks"}


def side_by_side(kinds_wanted):
    """Each kind in a process of its own: most of the time is waiting."""
    began = time.monotonic()
    runs = [subprocess.Popen([sys.executable, __file__, k])
            for k in kinds_wanted]
    failed = [r.wait() != 0 for r in runs]
    print(f"-- {len(runs)} kinds in {time.monotonic() - began:.0f} s:",
          "FAILED" if any(failed) else "all held")
    return 1 if any(failed) else 0


def main():
    wanted = sys.argv[1:] or list(KINDS)
    if len(wanted) > 1:
        return side_by_side(wanted)
    forgotten = points_in_sources() ^ points_known()
    failed = bool(forgotten)
    if forgotten:
        print("points without a case, or cases without a point:", forgotten)
    n, began = 0, time.monotonic()
    for kind in wanted:
        rig = run_kind(kind)
        n += len(rig.results) + len(rig.failures)
        failed = failed or bool(rig.failures)
        slow = max(rig.results, key=lambda r: r[1], default=None)
        print(f"-- {kind}: {len(rig.results)} held, {len(rig.failures)} failed, "
              f"slowest {slow}", flush=True)
    print(f"{n} cases in {time.monotonic() - began:.0f} s:",
          "FAILED" if failed else "all held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
