# SPDX-License-Identifier: ISC
"""What anybody has seen stays, exactly once, whoever is killed.

A watcher reads the newest samples of all targets every 100 ms and remembers
them, while one random worker or the whole tree is killed with SIGKILL at a
random moment, NOTHING_LOST_ROUNDS times (10 unless told otherwise; the seed
is NOTHING_LOST_SEED). Storage also dies while scrape is stopped, which then
has batches on the way whose ACKs it never saw. Only scrape's own death and
that of the whole tree may cost scrapes.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest

from brazier import Brazier, Target, config, get, wait_for

ROUNDS = int(os.environ.get("NOTHING_LOST_ROUNDS", "10"))
SEED = int(os.environ.get("NOTHING_LOST_SEED", str(random.randrange(1 << 30))))
TARGETS = 4
SERIES = 25
INTERVAL_MS = 1000
TREE = "the whole tree"
WITHHELD = "storage, its ACKs withheld"


class Counting(Target):
    """All series of one scrape have one value, which no other scrape has."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n = 0
        super().__init__(self.scrape)

    def scrape(self):
        with self.lock:
            self.n += 1
            n = self.n
        return "".join(f'seen_total{{i="{i}"}} {n}\n' for i in range(SERIES))


class Watcher(threading.Thread):
    """Remembers {series: {t_ms: value text}} of all it was ever shown."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.seen = {}
        self.wrong = []
        self.answers = 0
        self.newest = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            try:
                result = self.server.api("query", timeout=5,
                                         query="seen_total[1500ms]")["result"]
            except (OSError, ValueError, KeyError):
                continue        # what answers was killed
            self.answers += 1
            self.note(result)

    def note(self, result):
        scrapes = {}
        for s in result:
            key = json.dumps(s["metric"], sort_keys=True)
            instance = s["metric"]["instance"]
            for t, v in s["values"]:
                ms = round(t * 1000)
                known = self.seen.setdefault(key, {}).setdefault(ms, v)
                if known != v:
                    self.wrong.append(("changed", key, ms, known, v))
                scrapes.setdefault((instance, ms), []).append(v)
                self.newest = max(self.newest, ms)
        for at, values in scrapes.items():
            if len(values) != SERIES or len(set(values)) != 1:
                self.wrong.append(("half a scrape", at, len(values), set(values)))

    def end(self):
        self.ended.set()
        self.join(10)


class Deaths:
    """Kills, and remembers from when to when scrapes may be missing."""

    def __init__(self, b, watcher, targets):
        self.b = b
        self.watcher = watcher
        self.targets = targets
        self.excused = []
        self.done = []

    def kill(self, victim):
        began = time.time()
        workers = self.b.workers()
        if victim == TREE:
            self.b.kill_tree()
            self.b.start(wait=False)
        elif victim == WITHHELD:
            self.kill_storage_unheard(workers)
        else:
            names = sorted(n for n in workers if n.split("/")[0] == victim)
            assert names, workers
            os.kill(workers[random.choice(names)], signal.SIGKILL)
        self.b.wait_ready(10)
        wait_for(f"new samples after {victim}'s death",
                 lambda: self.watcher.newest > began * 1000 + 500, 10)
        self.done.append((victim, round((time.time() - began) * 1000)))
        if victim in (TREE, "scrape"):
            self.excused.append((began * 1000 - INTERVAL_MS,
                                 time.time() * 1000 + INTERVAL_MS))

    def kill_storage_unheard(self, workers):
        """Right after a scrape, scrape is stopped: its batch is stored, the
        ACK comes to nobody."""
        scrapers = [p for n, p in workers.items() if n.split("/")[0] == "scrape"]
        n = sum(t.n for t in self.targets)
        wait_for("a scrape", lambda: sum(t.n for t in self.targets) > n, 10, 0.0005)
        time.sleep(random.uniform(0, 0.004))
        for pid in scrapers:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(random.choice((0, 0.005, 0.02)))
        os.kill(workers["storage/0"], signal.SIGKILL)
        for pid in scrapers:
            os.kill(pid, signal.SIGCONT)

    def excuses(self, t0, t1):
        return any(t0 < end and t1 > begin for begin, end in self.excused)


def victims(b):
    """Each role and the tree once before any comes again, in random order."""
    roles = sorted({n.split("/")[0] for n in b.workers()} - {"config"})
    while True:
        round_of = [*roles, TREE, WITHHELD]
        random.shuffle(round_of)
        yield from round_of


def stored(b, at, seconds):
    """{series: [(t_ms, value text), …]} as answered, repetitions and all."""
    return {json.dumps(s["metric"], sort_keys=True):
            [(round(t * 1000), v) for t, v in s["values"]]
            for s in b.query(f"seen_total[{seconds}s]", time=at)}


def check(seen, now, deaths):
    missing = [(k, t, v) for k, ts in seen.items() for t, v in ts.items()
               if (t, v) not in now[k]]
    assert not missing, (len(missing), missing[:5])
    for key, samples in now.items():
        times = [t for t, _ in samples]
        assert times == sorted(set(times)), key
        values = [v for _, v in samples]
        assert len(set(values)) == len(values), (key, "one scrape stored twice")
        gaps = [(x, y) for x, y in zip(times, times[1:])
                if y - x > 1.5 * INTERVAL_MS and not deaths.excuses(x, y)]
        assert not gaps, (key, gaps, deaths.done)


@pytest.fixture
def targets():
    print(f"NOTHING_LOST_SEED={SEED}")
    random.seed(SEED)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Counting()) for _ in range(TARGETS)]


@contextlib.contextmanager
def watched(targets):
    """A server that scrapes them, its watcher and its deaths."""
    with Brazier(config({"t": [t.address for t in targets]})).start() as b:
        wait_for("all targets", lambda: len(b.query("seen_total")) ==
                 TARGETS * SERIES)
        watcher = Watcher(b)
        watcher.start()
        try:
            yield b, watcher, Deaths(b, watcher, targets)
        finally:
            watcher.end()


def finish(b, watcher, deaths, began):
    """Ends the watcher; what it saw is there now, and after a restart from
    the disk alone."""
    watcher.end()
    print(deaths.done)
    assert not watcher.wrong, watcher.wrong[:5]
    assert len(watcher.seen) == TARGETS * SERIES
    at = time.time()
    seconds = int(at - began) + 60
    now = stored(b, at, seconds)
    check(watcher.seen, now, deaths)
    b.kill_tree()
    b.write_config(config({}))
    b.start()
    again = stored(b, at, seconds)
    assert all(set(v) <= set(again[k]) for k, v in now.items())
    check(watcher.seen, again, deaths)
    assert get(b.url + "-/ready")[0] == 200


def test_nothing_lost(targets):
    began = time.time()
    with watched(targets) as (b, watcher, deaths):
        deck = victims(b)
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.2, 1.5))
            deaths.kill(next(deck))
        time.sleep(1.5)
        assert watcher.answers > 5 * ROUNDS
        finish(b, watcher, deaths, began)


def volley(b, deaths):
    """One to three workers that are not scrape's, some not yet back."""
    for _ in range(random.randint(1, 3)):
        workers = b.workers()
        names = sorted(n for n in workers
                       if n.split("/")[0] not in ("scrape", "config"))
        if names:
            name = random.choice(names)
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[name], signal.SIGKILL)
            deaths.done.append(name)
        time.sleep(random.choice((0, 0.01, 0.1)))


class Reloads(threading.Thread):
    """Good and bad files in turn, each answered as it must be."""

    def __init__(self, b):
        super().__init__(daemon=True)
        self.b = b
        self.good = b.config.read_text()
        self.n = 0
        self.wrong = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.n += 1
            bad = self.n % 2
            self.b.write_config(self.good + (
                f"  - job_nam{self.n}: typo\n" if bad else
                f"  - job_name: job{self.n}\n"))
            p = self.b.ctl("reload", check=False)
            text = p.stdout + p.stderr
            # a death in the middle of a good one may end it, and says so
            if bad and f"job_nam{self.n} not found" not in text or \
                    not bad and p.returncode and "ended" not in text:
                self.wrong.append((self.n, p.returncode, text))

    def end(self):
        self.ended.set()
        self.join(60)
        self.b.write_config(self.good)
        self.b.ctl("reload")


def test_volleys_and_reloads(targets):
    began = time.time()
    with watched(targets) as (b, watcher, deaths):
        reloads = Reloads(b)
        reloads.start()
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0, 0.6))
            volley(b, deaths)
        reloads.end()
        b.wait_ready(30)
        newest = watcher.newest
        wait_for("new samples", lambda: watcher.newest > newest + 2000, 15)
        assert reloads.n > ROUNDS and not reloads.wrong, reloads.wrong[:3]
        status = b.status()
        assert {w["generation"] for w in status["workers"]
                if w["role"] != "config"} == {status["generation"]}
        finish(b, watcher, deaths, began)
