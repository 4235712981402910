# SPDX-License-Identifier: ISC
"""Reloads without end, good and bad in turn, from three callers at once.

RELOAD_STORM says how many (60 unless told otherwise). Each caller that can be
answered gets the answer of the file as it was; afterwards nothing has leaked
and all workers are on one generation.
"""

import concurrent.futures
import os
import pathlib
import random
import re
import signal
import time

from brazier import Brazier, Target, config, get, wait_for

RELOADS = int(os.environ.get("RELOAD_STORM", "60"))
CALLERS = 3
WARM_UP_ROUNDS = 4
PAUSE_S = 0.2           # at most, between rounds: scrapes fall anywhere
GROWTH_KB = 512         # of private memory: what an allocator may keep
TREE_GROWTH_KB = 1024   # of the whole tree, the head's new samples included


def fd_kinds(pid):
    """What the descriptors are, without the numbers of sockets and pipes;
    None for who may not know, which is everybody but root."""
    try:
        names = [os.readlink(p) for p in
                 pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    except PermissionError:
        return None
    return sorted(re.sub(r"\[\d+\]", "", name) for name in names)


def all_fds(b):
    """How many all processes have, in the supervisor's words."""
    text = get(b.url + "metrics")[1].decode()
    return int(re.search(r"^process_open_fds (\d+)$", text, re.M)[1])


def private_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1])


def tree_pss_kb(pids):
    """What the tree holds of memory that is no file, shared parts counted
    once; None for who may not know. (Pages of programs are shared with
    whatever else runs on the machine, and say nothing.)"""
    total = 0
    try:
        for pid in pids:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(n) for n in
                         re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+)", text, re.M))
    except PermissionError:
        return None
    return total


def processes(b):
    return {"supervisor": b.process.pid,
            **{k: p for k, p in b.workers().items() if not k.startswith("config")}}


def at_rest(b):
    """True when no reload is under way and all are on one generation."""
    if any(k.startswith("config") for k in b.workers()):
        return False
    status = b.status()
    workers = [w for w in status["workers"] if w["role"] != "config"]
    return all(w["generation"] == status["generation"] and
               w["state"] == "running" for w in workers)


class Storm:
    def __init__(self, b, target):
        self.b = b
        self.target = target
        self.pool = concurrent.futures.ThreadPoolExecutor(CALLERS)

    def write(self, n, good):
        """The file as a whole or not at all, as an editor should do it."""
        text = config({"t": [self.target.address], f"job{n}": []})
        if not good:
            text += f"  - job_nam{n}: typo\n"
        new = self.b.config.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o644)
        new.rename(self.b.config)

    def post(self):
        status, body = get(self.b.url + "-/reload", data=b"", method="POST",
                           timeout=30)
        return status, body.decode()

    def ctl(self):
        p = self.b.ctl("reload", check=False)
        return p.returncode, p.stdout + p.stderr

    def round(self, n, good):
        self.write(n, good)
        calls = [self.pool.submit(os.kill, self.b.process.pid, signal.SIGHUP),
                 self.pool.submit(self.post), self.pool.submit(self.ctl)]
        _, (status, body), (code, text) = [c.result() for c in calls]
        if good:
            assert (status, body) == (200, ""), (n, status, body)
            assert code == 0, (n, text)
            assert f"job{n}" in self.b.api("scrape_pools")["scrapePools"]
            return
        assert status == 500 and code != 0, (n, status, code)
        for answer in (body, text):
            assert f"job_nam{n} not found" in answer, (n, answer)
        pools = self.b.api("scrape_pools")["scrapePools"]
        assert f"job{n}" not in pools and (n == 0 or f"job{n - 1}" in pools)


def test_reload_storm():
    with Target(lambda: "a 1\n") as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("a", lambda: b.value("a") == 1)
        began = time.time()
        storm = Storm(b, t)
        pids = processes(b)
        for n in range(WARM_UP_ROUNDS):
            storm.round(n, n % 2 == 0)
        wait_for("rest", lambda: at_rest(b), 10)
        fds_before = {k: fd_kinds(p) for k, p in pids.items()}
        time.sleep(5)   # it is told every two seconds
        sum_before = all_fds(b)
        assert os.geteuid() != 0 or None not in fds_before.values()
        kb_before = {k: private_kb(p) for k, p in pids.items()}
        pss_before = tree_pss_kb(pids.values())
        assert os.geteuid() != 0 or pss_before is not None
        rounds = RELOADS // CALLERS
        for n in range(WARM_UP_ROUNDS, WARM_UP_ROUNDS + rounds):
            storm.round(n, n % 2 == 0)
            time.sleep(random.uniform(0, PAUSE_S))
        wait_for("one generation", lambda: at_rest(b), 10)
        assert processes(b) == pids
        # a connection of ours may be closing still
        wait_for("no descriptor more", lambda: {
            k: fd_kinds(p) for k, p in pids.items()} == fds_before, 10)
        wait_for("none in all", lambda: all_fds(b) == sum_before, 10)
        growth = {k: private_kb(p) - kb_before[k] for k, p in pids.items()}
        print(f"{RELOADS} reloads, growth in KB: {growth}")
        assert max(growth.values()) < GROWTH_KB, growth
        if pss_before is not None:
            pss = tree_pss_kb(pids.values())
            print(f"PSS of the tree in KB: {pss_before} before, {pss} after")
            assert pss - pss_before < TREE_GROWTH_KB
        scrapes = t.scrapes
        wait_for("scraping goes on", lambda: t.scrapes > scrapes + 2, 10)
        at = time.time()
        times = sorted(b.samples(f"a[{int(at - began) + 5}s]", at).popitem()[1])
        gaps = [y - x for x, y in zip(times, times[1:])]
        # far fewer than reloads: those a busy machine may cost
        assert sum(g >= 1500 for g in gaps) <= max(1, len(gaps) // 20), gaps
