# SPDX-License-Identifier: ISC
"""What storage has acknowledged is there, once and whole, however it dies.

`storm kill` (tests/tools/storm.c) is a client of the append protocol with a
real storage process: kill -9 under load, every other time while nobody reads
the ACKs, sometimes during the replay; then RESEND of what was not
acknowledged. It reads the head after every start. Here its log of ACKs is
held against what Prometheus's own promtool finds in the directory, and what
our replay finds. ACKNOWLEDGED_ROUNDS deaths (10 unless told otherwise; the
seed is ACKNOWLEDGED_SEED).
"""

import os
import random
import re
import subprocess

import pytest

from brazier import BUILD, PEERS

ROUNDS = int(os.environ.get("ACKNOWLEDGED_ROUNDS", "10"))
SEED = os.environ.get("ACKNOWLEDGED_SEED", str(random.randrange(1 << 30)))
STORM = BUILD / "tests/storm"


def batches(dump, start_ms):
    """{(client, batch): (samples, samples a whole one has)} of a dump, each
    sample checked to be one that was sent."""
    with subprocess.Popen([str(a) for a in dump], stdout=subprocess.PIPE) as p:
        out = subprocess.run([STORM, "dump", start_ms], stdin=p.stdout,
                             capture_output=True, text=True, timeout=600)
        p.stdout.close()
        assert p.wait(600) == 0
    assert out.returncode == 0, out.stderr
    rows = [[int(x) for x in line.split()] for line in out.stdout.splitlines()]
    return {(c, seq): (n, whole) for c, seq, n, whole in rows}


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    top = tmp_path_factory.mktemp("storm")
    (top / "data").mkdir()
    print(f"ACKNOWLEDGED_SEED={SEED}")
    run = subprocess.run(
        [STORM, "kill", BUILD / "libexec/storage", top / "data", top / "acks",
         str(ROUNDS), SEED], capture_output=True, text=True,
        timeout=60 + 10 * ROUNDS)
    assert run.returncode == 0, run.stdout + run.stderr
    print(run.stdout)
    assert int(re.search(r"of them stored (\d+)", run.stdout)[1]) > 0
    acked = [tuple(map(int, line.split()))
             for line in (top / "acks").read_text().splitlines()]
    assert len(acked) == len(set(acked)) > ROUNDS
    return top / "data", re.search(r"start_ms (\d+)", run.stdout)[1], acked


@pytest.mark.parametrize("reader", ["promtool", "replay"])
def test_acknowledged_once_and_whole(storm, reader):
    data, start_ms, acked = storm
    dump = [PEERS / "promtool", "tsdb", "dump", data] if reader == "promtool" \
        else [BUILD / "tests/waltool", "dump", data]
    found = batches(dump, start_ms)
    assert set(found) == set(acked)
    assert [k for k, (n, whole) in found.items() if n != whole] == []
