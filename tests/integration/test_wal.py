# SPDX-License-Identifier: ISC
"""WAL and head chunks against the reference: promtool reads what we write,
and we read what it wrote (the conformance data).

Where things are: BRAZIER_BUILD (build directory), PROMTOOL, and
BRAZIER_CONFORMANCE; tests whose data or peer is missing are skipped.
"""

import fcntl
import json
import math
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BRAZIER_BUILD", TOP / "build"))
WALTOOL = BUILD / "tests" / "waltool"
CONFORMANCE = pathlib.Path(
    os.environ.get("BRAZIER_CONFORMANCE", TOP / ".." / "shared" / "conformance"))
LINE = re.compile(r"^(\{.*\}) (\S+) (-?\d+)$")


def promtool():
    for path in (os.environ.get("PROMTOOL"),
                 str(BUILD / "peers" / "usr" / "bin" / "promtool"),
                 shutil.which("promtool")):
        if path and os.access(path, os.X_OK):
            return path
    pytest.skip("no promtool")


def run(*args):
    return subprocess.run([str(a) for a in args], check=True, timeout=60,
                          capture_output=True, text=True)


def number(text):
    """Floats that compare; no NaN equals itself."""
    value = float(text)
    return "NaN" if math.isnan(value) else value


def by_time(rows):
    return sorted(rows, key=lambda s: (s[0], s[1]))


def samples(text, stale="NaN"):
    """(labels, timestamp, value) in order; stale markers as `stale` says,
    None leaves them out."""
    out = []
    for line in text.splitlines():
        m = LINE.match(line)
        assert m, line
        value = stale if m[2] == "stale" else number(m[2])
        if value is not None:
            out.append((m[1], int(m[3]), value))
    return by_time(out)


def without_nan(rows):
    return [s for s in rows if s[2] != "NaN"]


def expected_samples(path):
    expected = json.loads(path.read_text())
    out = []
    for series in expected["result"]:
        labels = "{" + ", ".join(
            f"{k}={json.dumps(v, ensure_ascii=False)}"
            for k, v in sorted(series["metric"].items())) + "}"
        out += [(labels, round(t * 1000), number(v))
                for t, v in series["values"]]
    assert len(out) == expected["samples"]
    return by_time(out)


@pytest.mark.parametrize("codec", ["none", "snappy"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_promtool_reads_ours(tmp_path, codec, seed):
    tool = promtool()
    want = samples(run(WALTOOL, "write", tmp_path, codec, seed).stdout)
    assert len(want) > 5000
    assert samples(run(WALTOOL, "dump", tmp_path).stdout) == want
    assert samples(run(tool, "tsdb", "dump", tmp_path).stdout) == want
    # From the WAL alone, too.
    shutil.rmtree(tmp_path / "chunks_head")
    assert samples(run(tool, "tsdb", "dump", tmp_path).stdout) == want


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_other_codecs(tmp_path, codec):
    want = samples(run(WALTOOL, "write", tmp_path, codec, 1).stdout)
    assert samples(run(WALTOOL, "dump", tmp_path).stdout) == want


def test_promtool_skips_lz4(tmp_path):
    """It finds the few records that compression did not shrink, no error."""
    tool = promtool()
    want = samples(run(WALTOOL, "write", tmp_path, "lz4", 1).stdout)
    shutil.rmtree(tmp_path / "chunks_head")
    got = samples(run(tool, "tsdb", "dump", tmp_path).stdout)
    assert len(got) < len(want) and set(got) <= set(want)


@pytest.mark.parametrize("name", ["head", "head-killed", "torn-wal"])
def test_reference_data(tmp_path, name):
    source = CONFORMANCE / "tsdb" / name
    if not source.is_dir():
        pytest.skip("no conformance data")
    data = tmp_path / "data"
    shutil.copytree(source / "data", data)
    for path in [data, *data.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    want = expected_samples(source / "expected.json")
    first = run(WALTOOL, "dump", data)
    assert samples(first.stdout, stale=None) == want
    # A second start finds the same, repaired.
    second = run(WALTOOL, "dump", data)
    assert samples(second.stdout) == samples(first.stdout)
    assert "corruptions=0" in second.stderr
    corrupt = list((data / "wal").glob("*.corrupt"))
    assert len(corrupt) == (1 if name == "torn-wal" else 0)
    # And so does promtool, which would complain about a torn record.
    got = samples(run(promtool(), "tsdb", "dump", data).stdout)
    assert without_nan(got) == without_nan(want)


def test_damaged_middle_then_promtool(tmp_path):
    """After our repair both read the same: all but the damaged record."""
    tool = promtool()
    want = samples(run(WALTOOL, "write", tmp_path, "snappy", 9).stdout)
    shutil.rmtree(tmp_path / "chunks_head")
    segment = tmp_path / "wal" / "00000000"
    raw = bytearray(segment.read_bytes())
    raw[40000] ^= 0x10
    segment.write_bytes(raw)
    first = run(WALTOOL, "dump", tmp_path)
    assert "corruptions=1" in first.stderr
    got = samples(first.stdout)
    assert len(want) - 60 <= len(got) < len(want) and set(got) < set(want)
    assert samples(run(tool, "tsdb", "dump", tmp_path).stdout) == got


@pytest.mark.parametrize("codec", ["none", "snappy"])
def test_convert_wal(tmp_path, codec):
    """What was written with LZ4 promtool reads after the conversion."""
    tool = promtool()
    ctl = BUILD / "brazierctl"
    want = samples(run(WALTOOL, "write", tmp_path, "lz4", 4).stdout)
    shutil.rmtree(tmp_path / "chunks_head")
    lock = tmp_path / "lock"
    lock.touch()
    with open(lock, encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        busy = subprocess.run([ctl, "tsdb", "convert-wal", tmp_path],
                              capture_output=True, text=True, timeout=60)
        assert busy.returncode == 1 and "lock DB directory" in busy.stderr
    first = run(ctl, "-j", "tsdb", "convert-wal", tmp_path, codec)
    assert json.loads(first.stdout)["converted"] >= 1
    assert samples(run(tool, "tsdb", "dump", tmp_path).stdout) == want
    assert samples(run(WALTOOL, "dump", tmp_path).stdout) == want
    again = run(ctl, "tsdb", "convert-wal", tmp_path)
    assert again.stdout.startswith("0 of ")


def test_convert_wal_refuses_damage(tmp_path):
    run(WALTOOL, "write", tmp_path, "lz4", 5)
    segment = tmp_path / "wal" / "00000000"
    raw = bytearray(segment.read_bytes())
    raw[40000] ^= 0x10
    segment.write_bytes(raw)
    done = subprocess.run([BUILD / "brazierctl", "tsdb", "convert-wal",
                           tmp_path], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1 and "segment 00000000 at" in done.stderr
    assert segment.read_bytes() == raw
    assert not list((tmp_path / "wal").glob("*.convert"))
