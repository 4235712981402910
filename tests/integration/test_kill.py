# SPDX-License-Identifier: ISC
"""kill -9 of each worker in turn, and of the whole tree: nothing that was
seen is lost, and everything is back soon."""

import itertools
import os
import signal
import time

import pytest

from brazier import Brazier, Target, config, get, wait_for

SHOWN = 'c_total'


def counting_target():
    n = itertools.count()
    return Target(lambda: "".join(
        f'c_total{{i="{i}"}} {next(n)}\n' for i in range(20)))


def shown(b, at):
    return b.samples(f"{SHOWN}[5m]", at)


def lost(before, after):
    return [(k, t) for k, ts in before.items() for t, v in ts.items()
            if after.get(k, {}).get(t) != v]


@pytest.fixture(scope="module")
def running():
    with counting_target() as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("samples", lambda: len(b.query(SHOWN)) == 20)
        time.sleep(2)
        yield b, t


@pytest.mark.parametrize("role", ["storage", "scrape", "query", "web", "resolver"])
def test_kill_worker(running, role):
    b, t = running
    at = time.time()
    before = shown(b, at)
    assert len(before) == 20
    pids = [p for n, p in b.workers().items() if n.split("/")[0] == role]
    assert pids, b.workers()
    scrapes = t.scrapes
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    def back():
        return get(b.url + "-/ready", 1)[0] == 200 and not lost(before, shown(b, at))
    wait_for(f"back after {role}", back, 5)
    wait_for("scraping goes on", lambda: t.scrapes > scrapes + 1, 5)
    newest = wait_for("new samples", lambda: b.value(f"max(timestamp({SHOWN}))"), 5)
    wait_for("newer samples", lambda: b.value(f"max(timestamp({SHOWN}))") > newest, 5)
    assert not set(pids) & set(b.workers().values())


def test_kill_tree():
    with counting_target() as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("samples", lambda: len(b.query(SHOWN)) == 20)
        time.sleep(2)
        for _ in range(2):
            at = time.time()
            before = shown(b, at)
            b.kill_tree()
            assert not b.workers()
            b.start(wait=False)
            b.wait_ready(5)
            wait_for("everything is still shown",
                     lambda: not lost(before, shown(b, at)), 5)
            n = t.scrapes
            wait_for("scraping goes on", lambda: t.scrapes > n, 5)
