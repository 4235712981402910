# SPDX-License-Identifier: ISC
"""The query log (global.query_log_file) and the tracker of active queries
(queries.active): what is written, when, and what a crash leaves behind."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import time

import pytest

from brazier import PEERS, Brazier, Prometheus, config, get, wait_for

SLOW = "quantile_over_time(0.5,(vector(time()))[1d:1s])"
UNFINISHED = "These queries didn't finish in prometheus' last run:"


def with_log(path):
    extra = f"  query_log_file: {path}\n" if path else ""
    return config({"self": ["127.0.0.1:$PORT"]}, extra=extra)


def writable(b):
    """A directory in which the service user may write."""
    d = b.dir / "logs"
    d.mkdir(exist_ok=True)
    d.chmod(0o777)
    return d


@contextlib.contextmanager
def server(path="", *flags, **kw):
    with Brazier(with_log(path), flags, **kw) as b:
        yield b


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def log_of(path, query):
    return [x for x in lines(path) if x["params"]["query"] == query]


def reload(b, path):
    b.write_config(with_log(path))
    return get(b.url + "-/reload", method="POST")


def metric(b, name):
    """Of all query workers."""
    text = get(b.url + "metrics")[1].decode()
    return [float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M)]


def ask(b, query, path="query", **params):
    data = {"query": query, **params}
    status, body = get(f"{b.url}api/v1/{path}", 60, data=data)
    return status, json.loads(body)


SECONDS = ["evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime",
           "execQueueTime", "execTotalTime"]


def test_lines():
    with server("logs/q.log", "--web.route-prefix=/pre", "--query.max-samples=100000") as b:
        log = writable(b) / "q.log"     # relative to the configuration
        b.url += "pre/"
        b.start()
        ask(b, 'up + 1 # <&>"é\u2028', time="1700000000.123")
        b.api("query_range", query="up", start=1700000000, end=1700000100, step=2.5)
        assert ask(b, "up +")[0] == 400     # what does not parse was no query
        status, answer = ask(b, "sum_over_time(vector(1)[1000000s:1s])")
        assert status == 422
        got = lines(log)
        assert [x["params"]["query"] for x in got] == [
            'up + 1 # <&>"é\u2028', "up", "sum_over_time(vector(1)[1000000s:1s])"]
        raw = log.read_text().splitlines()[0]
        assert r'"query":"up + 1 # <&>\"é\u2028"' in raw, raw
        assert list(got[0]) == ["time", "level", "source", "msg", "params", "stats", "spanID",
                                "traceID", "httpRequest"]
        assert list(got[2]) == ["time", "level", "source", "msg", "params", "error", "stats",
                                "spanID", "traceID", "httpRequest"]
        for x in got:
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", x["time"])
            assert x["level"] == "INFO" and x["msg"] == "promql query logged"
            assert re.fullmatch(r"[a-z_]+\.c:[0-9]+", x["source"])
            assert x["spanID"] == "0" * 16 and x["traceID"] == "0" * 32
            assert list(x["stats"]) == ["timings", "samples"]
            assert list(x["stats"]["timings"]) == SECONDS
            assert all(v >= 0 for v in x["stats"]["timings"].values())
            assert x["stats"]["timings"]["execTotalTime"] > 0
            assert list(x["stats"]["samples"]) == [
                "totalQueryableSamples", "samplesRead", "peakSamples"]
        assert got[0]["httpRequest"] == {"clientIP": "127.0.0.1", "method": "POST",
                                         "path": "/pre/api/v1/query"}
        assert got[1]["httpRequest"] == {"clientIP": "127.0.0.1", "method": "GET",
                                         "path": "/pre/api/v1/query_range"}
        assert {k: v for k, v in got[0]["params"].items() if k != "query"} == {
            "end": "2023-11-14T22:13:20.123Z", "start": "2023-11-14T22:13:20.123Z", "step": 0}
        assert got[1]["params"] == {"end": "2023-11-14T22:15:00.000Z", "query": "up",
                                    "start": "2023-11-14T22:13:20.000Z", "step": 2}
        assert got[2]["error"] == answer["error"]


@pytest.mark.skipif(not (PEERS / "prometheus").exists(), reason="no peers here")
def test_same_as_prometheus(tmp_path):
    """All that Debian's release writes stands in our lines, the same."""
    peer_log = tmp_path / "peer.log"
    with server("logs/q.log") as b, Prometheus(with_log(peer_log)) as p:
        log = writable(b) / "q.log"
        b.start()
        for s in (b, p):
            with contextlib.suppress(ValueError):
                s.api("query", query='"a<b"', time=5)
                s.api("query_range", query="vector(1) > 2", start=-5.5, end=100, step=0.5)
                s.api("query", query="vector(1) + on() (vector(1) or label_replace("
                      "vector(2), 'a', 'b', '', ''))", time=7)
        ours = wait_for("our lines", lambda: len(lines(log)) == 3 and lines(log))
        theirs = wait_for("theirs", lambda: len(lines(peer_log)) == 3 and lines(peer_log))
        for a, e in zip(ours, theirs):
            for key in ("params", "httpRequest", "spanID", "error"):
                assert a.get(key) == e.get(key), (a, e)
            assert set(e["stats"]["timings"]) == set(a["stats"]["timings"])
            assert set(e["stats"]["samples"]) <= set(a["stats"]["samples"])


def test_reload_switches():
    with server() as b:
        one, two = (writable(b) / n for n in ("1.log", "2.log"))
        b.start()
        ask(b, "vector(0)")
        assert metric(b, "prometheus_engine_query_log_enabled") == [0]
        assert reload(b, one)[0] == 200
        ask(b, "vector(1)")
        assert [x["params"]["query"] for x in lines(one)] == ["vector(1)"]
        assert metric(b, "prometheus_engine_query_log_enabled") == [1]
        # moved away: followed until the next reload, as by the reference
        one.rename(one.with_suffix(".old"))
        ask(b, "vector(2)")
        assert not one.exists()
        assert reload(b, one)[0] == 200
        ask(b, "vector(3)")
        assert [x["params"]["query"] for x in lines(one)] == ["vector(3)"]
        assert len(lines(one.with_suffix(".old"))) == 2
        assert reload(b, two)[0] == 200
        ask(b, "vector(4)")
        assert [x["params"]["query"] for x in lines(two)] == ["vector(4)"]
        # refused: the old one stays
        status, body = reload(b, b.dir / "none/q.log")
        assert status == 500
        assert re.search(r"failed to reload config: one or more errors occurred while applying the "
                         r"new configuration .*can't create json log file: open .*/none/q\.log: no "
                         r"such file or directory", body.decode()), body
        ask(b, "vector(5)")
        assert len(lines(two)) == 2
        assert reload(b, "")[0] == 200
        ask(b, "vector(6)")
        assert len(lines(two)) == 2 and len(lines(one)) == 1
        assert metric(b, "prometheus_engine_query_log_enabled") == [0]


@pytest.mark.skipif(os.geteuid() != 0, reason="root is who can be confused with")
def test_identity():
    """Opened as the service user, never as root; in the data directory beside
    the data, never in it."""
    with server() as b:
        b.start()
        closed = b.dir / "closed"
        closed.mkdir(mode=0o700)
        for path, why in ((closed / "q.log", "permission denied"),
                          (b.data / "wal/q.log", "permission denied"),
                          (b.data / "queries.active", "permission denied"),
                          (b.data, "is a directory"), ("/proc/self/comm", "")):
            status, body = reload(b, path)
            assert status == 500 and why in body.decode(), (path, body)
        assert not (closed / "q.log").exists() and not (b.data / "wal/q.log").exists()
        assert reload(b, b.data / "q.log")[0] == 200
        ask(b, "vector(1)")
        assert len(lines(b.data / "q.log")) == 1
        assert (b.data / "q.log").stat().st_uid != 0


def test_start_refuses_what_cannot_be_opened():
    with server("nowhere/q.log") as b:
        b.start(wait=False)
        assert b.process.popen.wait(30) == 1
        assert "can't create json log file: open " in b.process.output()


def test_full_disk_fails_no_query():
    with server("/dev/full") as b:
        b.start()
        for i in range(20):
            assert ask(b, f"vector({i})")[0] == 200
        assert sum(metric(b, "prometheus_engine_query_log_failures_total")) == 20
        told = b.process.output().count("can't log query")
        assert 1 <= told <= 20
        assert "no space left on device" in b.process.output().lower()


def test_worker_starts_without_its_log():
    """The file's directory is gone when a worker restarts: it works on."""
    with server("logs/q.log") as b:
        d = writable(b)
        b.start()
        ask(b, "vector(1)")
        (d / "q.log").unlink()
        d.rmdir()
        pids = {w["name"]: w["pid"] for w in b.status()["workers"] if w["role"] == "query"}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        wait_for("new workers", lambda: all(
            w["state"] == "running" and w["pid"] != pids[w["name"]]
            for w in b.status()["workers"] if w["role"] == "query"))
        assert wait_for("an answer", lambda: ask(b, "vector(2)")[0] == 200)
        assert sum(metric(b, "prometheus_engine_query_log_failures_total")) == len(pids)


# --- queries.active ---

def active(b):
    return (b.data / "queries.active").read_bytes()


def slots(b):
    data = active(b)
    assert data[:1] == b"["
    out = []
    for at in range(1, len(data), 1000):
        slot = data[at:at + 1000].rstrip(b",").rstrip(b"\0")
        if slot:
            assert data[at + 999:at + 1000] == b","
            out.append(json.loads(slot))
    return out


@contextlib.contextmanager
def running(b, *queries):
    """Ranges that run for minutes, until somebody ends them."""
    def slow(q):
        with contextlib.suppress(OSError):
            return ask(b, q, "query_range", start=0, end=10000, step=1)

    with concurrent.futures.ThreadPoolExecutor(len(queries)) as pool:
        futures = [pool.submit(slow, q) for q in queries]
        try:
            wait_for("the queries", lambda: len(slots(b)) == len(queries))
            yield futures
        finally:
            with contextlib.suppress(Exception):
                for q in json.loads(b.ctl("-j", "queries").stdout)["queries"]:
                    b.ctl("queries", "kill", str(q["id"]), check=False)


def test_active():
    with server("", "--query.max-concurrency=7") as b:
        b.start()
        assert len(active(b)) == 7001 and active(b).strip(b"\0") == b"["
        long = SLOW + " # " + "é\"<" * 900
        before = int(time.time())
        with running(b, SLOW, long) as (one, two):
            short, cut = sorted(slots(b), key=lambda s: len(s["query"]))
            assert short["query"] == SLOW
            assert before - 1 <= short["timestamp_sec"] <= time.time() + 1
            assert long.startswith(cut["query"]) and len(cut["query"]) > 300
            for q in json.loads(b.ctl("-j", "queries").stdout)["queries"]:
                b.ctl("queries", "kill", str(q["id"]))
            assert one.result(30)[0] == 499 and two.result(30)[0] == 499
        wait_for("empty slots", lambda: not slots(b))
        ask(b, "vector(1)")
        assert active(b).strip(b"\0") == b"["


def test_unfinished_are_told_after_a_crash():
    with server() as b:
        b.start()
        with running(b, SLOW):
            left = slots(b)
            b.kill_tree()
        b.start()
        told = [x for x in b.process.output().splitlines() if UNFINISHED in x]
        assert len(told) == 1 and "component=activeQueryTracker" in told[0]
        assert "level=INFO" in told[0]
        queries = re.search(r'queries="((?:[^"\\]|\\.)*)"', told[0]).group(1)
        assert json.loads(json.loads(f'"{queries}"')) == left
        assert not slots(b)
        b.stop()
        b.start()
        assert b.process.output().count(UNFINISHED) == 1


def test_killed_worker_is_told_with_its_query():
    with server() as b:
        b.start()
        with running(b, SLOW) as (slow,):
            q = json.loads(b.ctl("-j", "queries").stdout)["queries"][0]
            name = f"query/{q['worker']}"
            pid = next(w["pid"] for w in b.status()["workers"] if w["name"] == name)
            os.kill(pid, signal.SIGKILL)
            assert slow.result(30)[0] == 500
        told = wait_for("the log line", lambda: [
            x for x in b.process.output().splitlines() if "This query didn't finish" in x])
        assert len(told) == 1 and SLOW in told[0] and f"role={name}" in told[0], told
        assert not slots(b)


def test_of_another_life_and_broken():
    """A directory of Prometheus's, damage, and what is no file at all."""
    with server("", "--query.max-concurrency=4") as b:
        b.start()
        b.stop()
        entry = b'{"query":"up","timestamp_sec":1700000000}'
        (b.data / "queries.active").write_bytes(
            b"[" + entry + bytes(999 - len(entry)) + b"," + bytes(19000))
        b.start()
        assert r'queries="[{\"query\":\"up\",\"timestamp_sec\":1700000000}]"' in b.process.output()
        assert len(active(b)) == 4001
        b.stop()
        (b.data / "queries.active").write_bytes(os.urandom(100000))
        b.start()
        assert len(active(b)) == 4001 and not slots(b)
        b.stop()
        (b.data / "queries.active").unlink()
        (b.data / "queries.active").mkdir()
        b.start()
        assert ask(b, "vector(1)")[0] == 200
        assert "Error opening query log file" in b.process.output()
