# SPDX-License-Identifier: ISC
"""Readers while samples arrive, series come and go and epochs turn: every
value is one that was sent, every scrape is seen whole or not at all.

Once with readers of the head itself (`storm read`, tests/tools/storm.c, at
100,000 samples a second) and once through the whole daemon over HTTP, each
with a reader that is stopped. CONCURRENCY_SECONDS each (4 unless told
otherwise); from 60 on the daemon is given 100,000 samples a second too.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time

from brazier import BUILD, Brazier, Target, config, get, wait_for

SECONDS = int(os.environ.get("CONCURRENCY_SECONDS", "4"))
STORM = BUILD / "tests/storm"
TARGETS, SERIES = (20, 5000) if SECONDS >= 60 else (4, 500)
MOVES_EVERY = 10 if SECONDS >= 60 else 2
READERS = 3
FACTOR = 1000000


def test_readers_of_the_head(tmp_path):
    seed = str(random.randrange(1 << 30))
    run = subprocess.run(
        [STORM, "read", BUILD / "libexec/storage", tmp_path, str(SECONDS), "3",
         seed], capture_output=True, text=True, timeout=SECONDS + 300)
    assert run.returncode == 0, (seed, run.stdout, run.stderr)
    print(run.stdout)
    rows = re.findall(r"reader \d+: (\d+) pictures, (\d+) samples, (\d+) epochs",
                      run.stdout)
    assert len(rows) == 3
    assert all(int(n) > 0 for row in rows for n in row)


class Moving(Target):
    """Series i of scrape n is n million and i; every few scrapes two percent
    of the series have gone and others come."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n = 0
        super().__init__(self.scrape)

    @staticmethod
    def window(n):
        first = n // MOVES_EVERY * (SERIES // 50)
        return first, first + SERIES

    def scrape(self):
        with self.lock:
            self.n += 1
            n = self.n
        return "".join([f'moving{{i="{i}"}} {n * FACTOR + i}\n'
                        for i in range(*self.window(n))])


class Reader(threading.Thread):
    """Asks over and over, in four ways; notes what must not be."""

    def __init__(self, b, known):
        super().__init__(daemon=True)
        self.b = b
        self.known = known      # {(instance, t_ms): n}, of all readers
        self.wrong = []
        self.answers = dict.fromkeys(("raw", "instant", "counts", "range"), 0)
        self.errors = []
        self.samples = 0
        self.refused = 0
        self.empty = 0          # answers while a scrape had failed
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            kind = random.choice(list(self.answers))
            try:
                getattr(self, kind)()
                self.answers[kind] += 1
            except (OSError, ValueError, KeyError) as e:
                # a machine too busy for a picture says so, and gives none
                if "samples arrive faster" in repr(e):
                    self.refused += 1
                else:
                    self.errors.append((kind, repr(e)))

    def one_target(self):
        return random.choice(self.b.addresses)

    def scrape_is_whole(self, instance, t, rows):
        """rows: (i, value) of all series at one time of one target."""
        self.samples += len(rows)
        ns = {v // FACTOR for _, v in rows}
        if len(ns) != 1:
            self.wrong.append(("mixed", instance, t, sorted(ns)[:5]))
            return
        n = ns.pop()
        first, end = Moving.window(n)
        if sorted(rows) != [(i, n * FACTOR + i) for i in range(first, end)]:
            self.wrong.append(("half or wrong", instance, t, n, len(rows)))
        if self.known.setdefault((instance, t), n) != n:
            self.wrong.append(("changed", instance, t, n))

    def raw(self):
        instance = self.one_target()
        seconds = random.choice((2, 5, 20))
        scrapes = {}
        for s in self.b.api("query", timeout=60, query=
                            f'moving{{instance="{instance}"}}[{seconds}s]')["result"]:
            i = int(s["metric"]["i"])
            for t, v in s["values"]:
                scrapes.setdefault(round(t * 1000), []).append((i, int(v)))
        for t, rows in scrapes.items():
            self.scrape_is_whole(instance, t, rows)

    def instant(self):
        instance = self.one_target()
        rows = [(int(s["metric"]["i"]), int(s["value"][1]))
                for s in self.b.api("query", timeout=60, query=
                                    f'moving{{instance="{instance}"}}')["result"]]
        self.samples += len(rows)
        if not rows:
            self.empty += 1
            return
        n = rows[0][1] // FACTOR
        if sorted(rows) != [(i, n * FACTOR + i) for i in range(*Moving.window(n))]:
            self.wrong.append(("instant", instance, n, len(rows)))

    def counts(self):
        for s in self.b.api("query", timeout=60, query=
                            "count by (instance) (moving)")["result"]:
            if int(s["value"][1]) != SERIES:
                self.wrong.append(("count", s))
        for s in self.b.api("query", timeout=60, query=
                            f"stddev by (instance) (floor(moving / {FACTOR}))")["result"]:
            if float(s["value"][1]) != 0:
                self.wrong.append(("mixed scrapes", s))

    def range(self):
        now = time.time()
        for s in self.b.api("query_range", timeout=60, start=now - 30, end=now,
                            step="1s", query="count by (instance) (moving)")["result"]:
            bad = [v for v in s["values"] if int(v[1]) != SERIES]
            if bad:
                self.wrong.append(("range", s["metric"], bad[:5]))

    def end(self):
        self.ended.set()
        self.join(90)


@contextlib.contextmanager
def daemon(*flags):
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(Moving()) for _ in range(TARGETS)]
        addresses = [t.address for t in targets]
        b = stack.enter_context(Brazier(config({"t": addresses}), flags))
        b.addresses = addresses
        b.targets = targets
        b.start()
        wait_for("all targets", lambda: len(b.query(
            "count by (instance) (moving)")) == TARGETS, 60)
        yield b


def order_is_kept(known):
    """One scrape has one time, and later ones have later times."""
    for instance in {i for i, _ in known}:
        ns = [n for (i, t), n in sorted(known.items(), key=lambda kv: kv[0][1])
              if i == instance]
        assert ns == sorted(set(ns)), (instance, ns)


def test_queries_while_samples_arrive():
    known = {}
    with daemon() as b:
        readers = [Reader(b, known) for _ in range(READERS)]
        for r in readers:
            r.start()
        time.sleep(SECONDS)
        for r in readers:
            # each way at least once, however slow the machine is
            wait_for("answers of each kind", lambda r=r: r.wrong or r.errors or
                     min(r.answers.values()) > 0, 120)
            r.end()
        wrong = [w for r in readers for w in r.wrong]
        assert not wrong, (len(wrong), wrong[:5])
        errors = [e for r in readers for e in r.errors]
        assert not errors, errors[:5]
        order_is_kept(known)
        if any(r.empty for r in readers):
            assert b.value("min(min_over_time(up[1h]))") == 0
        print([r.answers for r in readers], sum(r.refused for r in readers),
              "refused,", sum(r.samples for r in readers),
              "samples checked", sum(t.n for t in b.targets), "scrapes")


def cpu_ticks(pid):
    with contextlib.suppress(OSError):
        fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    return 0


def query_pids(b):
    return {pid for name, pid in b.workers().items() if name.startswith("query/")}


def test_stopped_query_process():
    """It holds an epoch: storage reports it, the supervisor kills it and
    starts another; the client is told, nobody else notices."""
    slow = "sum_over_time(count(moving)[1d:1s])"
    with daemon("--query.timeout=3s") as b:
        before = query_pids(b)
        answers = []
        ticks = {pid: cpu_ticks(pid) for pid in before}
        asking = threading.Thread(target=lambda: answers.append(get(
            f"{b.url}api/v1/query?query={slow}", 120)), daemon=True)
        asking.start()

        def busy():
            return [p for p in before if cpu_ticks(p) > ticks[p] + 5]
        pid = wait_for("the process that works", busy, 60, 0.01)[0]
        os.kill(pid, signal.SIGSTOP)
        scrapes = [t.n for t in b.targets]
        wait_for("its end", lambda: pid not in query_pids(b), 90)
        wait_for("another one", lambda: len(query_pids(b)) == len(before), 30)
        asking.join(60)
        # of its time-out, or, on a slow machine, of the process's end
        assert answers and answers[0][0] in (500, 503), answers
        assert "held the head too long" in b.process.output()
        # it goes on: the new process answers too, scrapes are not missed
        for _ in range(2 * len(before)):
            counts = b.query("count by (instance) (moving)")
            assert [int(s["value"][1]) for s in counts] == [SERIES] * TARGETS
        wait_for("scrapes", lambda: all(
            t.n > n + 2 for t, n in zip(b.targets, scrapes)), 60)
        assert {w["restarts"] for w in b.status()["workers"]
                if w["role"] == "storage"} <= {0}
