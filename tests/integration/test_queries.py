# SPDX-License-Identifier: ISC
"""Queries that are slow, large, many, killed or left: each ends alone."""

import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import time
import urllib.parse
import urllib.request

import pytest

from brazier import Brazier, Target, config, get, wait_for

START = int(time.time()) - 60
N_SERIES = 100
STEPS = 10000
# minutes of work for one process
SLOW = "quantile_over_time(0.5,(vector(time()))[1d:1s])"
# 100 series × 10,001 points: some 20 MB of JSON
LARGE = "last_over_time(many[1d])"


def exposition():
    return "".join(f'many{{i="{i:03}"}} {i}.5 {START}000\n' for i in range(N_SERIES))


@contextlib.contextmanager
def server(*flags):
    with Target(exposition) as t, Brazier(
            config({"self": ["127.0.0.1:$PORT"], "t": [t.address]}),
            # the samples are as old as this process
            ["--query.lookback-delta=1d", *flags]).start() as b:
        wait_for("samples", lambda: b.value("count(many)") == N_SERIES and b.value(
            'up{job="self"}') == 1)
        yield b


@pytest.fixture(scope="module")
def b():
    with server() as s:
        yield s


def path(expr, **params):
    return "api/v1/query_range?" + urllib.parse.urlencode(
        {"query": expr, "start": START, "end": START + STEPS, "step": 1, **params})


def ask(b, expr, **params):
    status, body = get(b.url + path(expr, **params), 60)
    return status, json.loads(body)


@contextlib.contextmanager
def background(b, *exprs, **params):
    """Asks in threads; yields the futures."""
    with concurrent.futures.ThreadPoolExecutor(len(exprs)) as pool:
        yield [pool.submit(ask, b, e, **params) for e in exprs]


def queries(b, state="running", expr=SLOW):
    return [q for q in json.loads(b.ctl("-j", "queries").stdout)["queries"]
            if q["query"] == expr and q["state"] == state]


def workers(b):
    return {w["name"]: w for w in b.status()["workers"] if w["role"] == "query"}


def error(kind, text):
    return {"status": "error", "errorType": kind, "error": text}


def test_shown_and_killed(b):
    with background(b, SLOW) as (slow,):
        q = wait_for("the query", lambda: queries(b))[0]
        assert q["kind"] == "query_range" and q["client"] == "127.0.0.1"
        assert 0 <= q["seconds"] < 60
        assert SLOW in b.ctl("queries").stdout
        for bad in ("999999999", "x"):
            assert b.ctl("queries", "kill", bad, check=False).returncode == 1
        assert not slow.done()
        b.ctl("queries", "kill", str(q["id"]))
        status, answer = slow.result(30)
        assert status == 499 and answer["errorType"] == "canceled"
        assert "query was canceled" in answer["error"]
    assert not queries(b)


def test_timeout_parameter(b):
    start = time.monotonic()
    check_timeout(b, timeout="500ms")
    assert time.monotonic() - start > 0.4


def check_timeout(b, **params):
    status, answer = ask(b, SLOW, **params)
    assert status == 503
    assert answer == error("timeout", "query timed out in expression evaluation")


def test_limits_of_flags():
    with server("--query.timeout=1s", "--query.max-samples=500000") as b:
        assert ask(b, LARGE) == (422, error(
            "execution", "query processing would load too many samples into memory in "
            "query execution"))
        # the flag's second, not the hour: ask() waits for one minute
        start = time.monotonic()
        check_timeout(b, timeout="1h")
        assert time.monotonic() - start > 0.9
        assert b.value("count(many)") == N_SERIES


def test_byte_limit():
    with server("--query.pool-max-bytes=128MB") as b:
        before = {n: w["pid"] for n, w in workers(b).items()}
        status, answer = ask(b, "sum_over_time(vector(1)[10000000s:1s])")
        assert status == 422 and answer["errorType"] == "execution", answer
        assert re.fullmatch("query needs more memory than its limit of [0-9]+ bytes",
                            answer["error"]), answer
        assert b.value("count(many)") == N_SERIES
        assert {n: w["pid"] for n, w in workers(b).items()} == before


def test_long_chains(b):
    """As long as the parser lets through is evaluated, beyond it is refused."""
    for op in (" + ", " or ", " and "):
        query = op.join(["vector(1)"] * 3990)
        status, body = get(f"{b.url}api/v1/query", 240, data={"query": query})
        assert status == 200, (op, body[:300])
        status, body = get(f"{b.url}api/v1/query", 240, data={"query": op.join(["many"] * 5000)})
        assert status == 400 and b"too many operators in a row" in body, (op, body[:300])
    status, body = get(f"{b.url}api/v1/query", 240, data={"query": " + ".join(["many"] * 3990)})
    assert status == 200 and len(json.loads(body)["data"]["result"]) == N_SERIES, body[:300]


def test_process_limit():
    """What no query's account counts ends at the process's own limit."""
    with server("--query.pool-max-bytes=128MB") as b:
        before = {n: w["pid"] for n, w in workers(b).items()}
        # some 9 MB of program each
        heavy = r"(.{900}[^a]{900}[\\p{L}]{400})"
        selector = "{" + ",".join(f'a{i}=~"{heavy}|{i}|.*"' for i in range(16)) + ',b!="c"}'
        limit = f"query needs more memory than its limit of {1 << 27} bytes"
        replaced = "label_replace(" * 16 + "many" + "".join(
            f',"x","$1","i","{heavy}|{i}")' for i in range(16))
        status, body = get(f"{b.url}api/v1/series", 240, data={"match[]": selector})
        assert status == 422 and json.loads(body) == error("execution", limit), body
        status, body = get(f"{b.url}api/v1/query", 240, data={"query": replaced})
        assert status == 422 and "query needs more memory than its limit of" in body.decode()
        assert b.value("count(many)") == N_SERIES
        assert {n: w["pid"] for n, w in workers(b).items()} == before


def test_killed_worker_fails_its_own_request_alone(b):
    before = workers(b)
    with background(b, SLOW, SLOW) as slow:
        first = wait_for("two queries", lambda: len(queries(b)) == 2 and queries(b))
        victim = before[f"query/{first[0]['worker']}"]
        os.kill(victim["pid"], signal.SIGKILL)
        done, rest = concurrent.futures.wait(slow, 30, concurrent.futures.FIRST_COMPLETED)
        assert len(done) == 1 and len(rest) == 1
        status, answer = done.pop().result()
        assert status == 500 and answer["errorType"] == "internal"
        assert "query process ended" in answer["error"], answer
        assert b.value("count(many)") == N_SERIES
        left = wait_for("the other", lambda: queries(b))
        assert len(left) == 1
        b.ctl("queries", "kill", str(left[0]["id"]))
        assert rest.pop().result(30)[0] == 499
    wait_for("a new process", lambda: workers(b)[victim["name"]]["state"] == "running"
             and workers(b)[victim["name"]]["pid"] != victim["pid"])
    others = set(before) - {victim["name"]}
    after = workers(b)
    assert {n: after[n]["pid"] for n in others} == {n: before[n]["pid"] for n in others}


def test_fifty_clients(b):
    def client(i):
        for n in range(20):
            expr = f"sum(many) + {i * 100 + n}"
            assert b.value(expr) == sum(k + .5 for k in range(N_SERIES)) + i * 100 + n
        return True

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(client, range(50)))


def test_wall_of_slow_queries_leaves_metadata(b):
    """Names are answered beside it; what waits ends in time or when left."""
    start = time.monotonic()
    with background(b, *[SLOW] * 12, timeout="5s") as slow:
        wait_for("queued ones", lambda: queries(b, "queued"))
        b.api("label/__name__/values")
        get(b.url + "metrics")
        b.api("targets")
        # all of that without a process that a query gave back
        assert not any(f.done() for f in slow) or time.monotonic() - start > 4
        for q in queries(b, "queued")[:2]:
            b.ctl("queries", "kill", str(q["id"]))
        answers = [f.result(60) for f in slow]
    # time in the queue counts: else some would have run, one after another
    texts = [a["error"] for _, a in answers]
    assert texts.count("query was canceled") == 2, answers
    # one that gets a worker just before its time is up ends while it runs
    running = texts.count("query timed out in expression evaluation")
    waiting = texts.count("query timed out in query queue")
    assert running >= 1 and waiting >= 1 and running + waiting == 10, answers
    assert [s for s, _ in answers].count(499) == 2
    assert [s for s, _ in answers].count(503) == 10
    assert not queries(b) and not queries(b, "queued")


def check_large(body):
    result = json.loads(body)["data"]["result"]
    assert len(result) == N_SERIES
    for s in result:
        value = str(int(s["metric"]["i"]) + .5)
        assert len(s["values"]) == STEPS + 1
        assert s["values"][0] == [START, value]
        assert s["values"][-1] == [START + STEPS, value]
        assert all(v == value for _, v in s["values"])


def test_large_replies(b):
    status, body = get(b.url + path(LARGE), 30)
    assert status == 200 and len(body) > 15 << 20
    check_large(body)
    request = urllib.request.Request(b.url + path(LARGE), headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=30) as r:
        assert r.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(r.read()) == body
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: get(b.url + path(LARGE), 60)[1], range(6)):
            assert other == body


def test_slow_readers_and_those_that_leave(b):
    with request(b) as slow, request(b) as leaver:
        data = b""
        for i in range(10):
            data += slow.recv(1 << 16)
            leaver.recv(1 << 14)
            # a process is left for others
            b.query("sum(many)")
        assert len(queries(b, expr=LARGE)) == 2
        leaver.close()
        wait_for("the other's end", lambda: len(queries(b, expr=LARGE)) <= 1)
        check_raw(data + rest_of(slow))
    wait_for("no query", lambda: not queries(b, expr=LARGE))
    assert b.value("count(many)") == N_SERIES


def request(b):
    """A connection that asks for what is large, and does not read."""
    s = socket.create_connection(("127.0.0.1", b.port), timeout=60)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    s.sendall(f"GET /{path(LARGE)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return s


def rest_of(s):
    data = b""
    while piece := s.recv(1 << 20):
        data += piece
    return data


def check_raw(data):
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head
    if b"chunked" in head:
        out = []
        while body:
            n, _, body = body.partition(b"\r\n")
            out.append(body[:int(n, 16)])
            body = body[int(n, 16) + 2:]
        body = b"".join(out)
    check_large(body)


def test_slow_readers_free_their_processes():
    """A client that does not read holds a process, until others need it."""
    with server("--query.workers=3") as b, contextlib.ExitStack() as stack:
        before = next(w for w in b.status()["workers"] if w["role"] == "web")
        slow = [stack.enter_context(request(b)) for _ in range(2)]
        for s in slow:
            s.recv(1)
        wait_for("both held", lambda: len(queries(b, expr=LARGE)) == 2)
        # a query beside them is answered long before the 30 s of a slow
        # client are over: its process was free when both have sent nothing
        assert b.api("query", timeout=25, query="sum(many)")["result"]
        assert len(queries(b, expr=LARGE)) <= 1
        for s in slow:
            check_raw(b"H" + rest_of(s))
        after = next(w for w in b.status()["workers"] if w["role"] == "web")
        assert before["pid"] == after["pid"]


def test_stop_cancels_what_runs():
    with server() as b:
        with background(b, SLOW, SLOW) as slow:
            wait_for("the queries", lambda: len(queries(b)) == 2)
            b.process.popen.send_signal(signal.SIGTERM)
            for f in slow:
                status, answer = f.result(30)
                assert status == 499 and "query was canceled" in answer["error"], answer
        assert b.process.popen.wait(30) == 0
        # nobody had to be killed for it
        assert "did not stop in time" not in b.process.output()
