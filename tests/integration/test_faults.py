# SPDX-License-Identifier: ISC
"""A short selection of `make faults` (faults.py has all of it): one server,
each role once or twice, each kind of fault, before and after the decision."""

import contextlib

import pytest

from faults import FAULT_BUILD, Case, Rig, points_in_sources, points_known

RELOADS = [
    ("storage", "reload.prepare", "kill", "old"),
    ("query", "reload.before-answer", "exit", "old"),
    ("config", "load.parts-sent", "segv", "old"),
    ("scrape", "sup.decided", "kill", "new"),
    ("web", "reload.commit", "kill", "new"),
    ("resolver", "reload.in-commit", "stop", "new"),
    ("storage", "reload.after-commit", "stop", "new"),
]
START_STOP = [
    ("storage", "start.before-ready", "kill", "scrape", "stop.received", "kill"),
    ("web", "reload.prepare", "kill", "storage", "stop.draining", "stop"),
]

pytestmark = pytest.mark.skipif(not (FAULT_BUILD / "brazierd").exists(),
                                reason="make FAULTS=1 has not been run")


def test_every_point_has_a_case():
    assert points_in_sources() == points_known()


def test_faults():
    with contextlib.ExitStack() as stack:
        rig = Rig(stack)
        rig.begin()
        for role, step, fault, expected in RELOADS:
            rig.run(Case("reload", role, step, fault, 1), expected)
        rig.run(Case("data", "storage", "wal.write", "kill", 1))
        rig.run(Case("data", "storage", "append.before-ack", "kill", 1))
        rig.run(Case("restart", "resolver", "start.run", "call", 1))
        cause = next(w["last_cause"] for w in rig.b.status()["workers"]
                     if w["role"] == "resolver")
        assert cause.startswith("forbidden system call"), cause
        print("cause of death:", cause)     # with ": ptrace" if the kernel tells
        rig.b.stop()
        for role, step, fault, stopping, at, how in START_STOP:
            rig.run(Case("start", role, step, fault, 1))
            rig.run(Case("stop", stopping, at, how, 1))
        rig.b.start()
        assert not rig.failures
        rig.finish()
