# SPDX-License-Identifier: ISC
"""Hostile and careless HTTP clients over raw sockets: the right status or a
closed connection, in time, with every process alive and within its memory."""

import contextlib
import json
import pathlib
import re
import resource
import selectors
import socket
import threading
import time

import pytest

from brazier import BUILD, Brazier, config, get, wait_for

READ_TIMEOUT = 2
# sanitizers keep what was freed
WEB_KB = (512 if "san-" in str(BUILD) else 64) << 10
# seconds of work for one process, noticed and cancelled within one step
SLOW = "quantile_over_time(0.5,(vector(time()))[1d:1s])"
SLOW_TARGET = ("/api/v1/query_range?query=" + SLOW.replace("(", "%28").replace(")", "%29")
               + "&start=1000000000&end=1000010000&step=1")
HEAD = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


def pids(b):
    return {w["name"]: (w["pid"], w["restarts"]) for w in b.status()["workers"]}


def pss_kb(pid):
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"Pss: +(\d+)", text).group(1))
    return 0


@pytest.fixture(scope="module")
def server():
    with Brazier(config({"self": ["127.0.0.1:$PORT"]}),
                 [f"--web.read-timeout={READ_TIMEOUT}s"]).start() as b:
        wait_for("up", lambda: b.value("up") == 1)
        before = pids(b)
        yield b
        assert pids(b) == before


@pytest.fixture(autouse=True)
def still_well(request):
    yield
    if "server" in request.fixturenames:
        b = request.getfixturevalue("server")
        assert get(b.url + "-/ready")[0] == 200
        assert pss_kb(pids(b)["web/0"][0]) < WEB_KB


@contextlib.contextmanager
def connection(b, seconds=60):
    with socket.create_connection(("127.0.0.1", b.port), timeout=seconds) as s:
        yield s


def read_all(s):
    """What comes until the server closes; a reset counts as a close."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := s.recv(1 << 16):
            data += piece
    return data


def statuses(data):
    """The status of each reply in a stream of replies with lengths."""
    out = []
    while data:
        head, sep, rest = data.partition(b"\r\n\r\n")
        assert sep, data
        out.append(int(head.split()[1]))
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        data = rest[int(length.group(1)):] if length else b""
    return out


def talk(b, data, shut=True):
    """The replies to data; who shuts the sending side leaves its queries."""
    with connection(b) as s:
        with contextlib.suppress(OSError):
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
        return read_all(s)


def post(*headers, body=b"", host="Host: x\r\n"):
    return (f"POST /api/v1/query HTTP/1.1\r\n{host}"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            + "".join(f"{h}\r\n" for h in headers) + "\r\n").encode() + body


FORM = b"query=1"
REFUSED = {
    "two lengths": post("Content-Length: 7", "Content-Length: 7", body=FORM),
    "two other lengths": post("Content-Length: 7", "Content-Length: 8", body=FORM),
    "a list of lengths": post("Content-Length: 7, 7", body=FORM),
    "plus": post("Content-Length: +7", body=FORM),
    "minus": post("Content-Length: -7", body=FORM),
    "hex": post("Content-Length: 0x7", body=FORM),
    "empty length": post("Content-Length: ", body=FORM),
    "huge length": post("Content-Length: 99999999999999999999", body=FORM),
    "length and chunked": post("Content-Length: 7", "Transfer-Encoding: chunked",
                               body=b"7\r\nquery=1\r\n0\r\n\r\n"),
    "two codings": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
                        body=b"7\r\nquery=1\r\n0\r\n\r\n"),
    "chunk +5": post("Transfer-Encoding: chunked", body=b"+7\r\nquery=1\r\n0\r\n\r\n"),
    "chunk 0x5": post("Transfer-Encoding: chunked", body=b"0x7\r\nquery=1\r\n0\r\n\r\n"),
    "chunk -1": post("Transfer-Encoding: chunked", body=b"-1\r\nquery=1\r\n0\r\n\r\n"),
    "chunk blank": post("Transfer-Encoding: chunked", body=b" 7\r\nquery=1\r\n0\r\n\r\n"),
    "chunk without size": post("Transfer-Encoding: chunked", body=b"\r\nquery=1\r\n0\r\n\r\n"),
    "chunk of 2^64": post("Transfer-Encoding: chunked",
                          body=b"10000000000000000\r\nquery=1\r\n0\r\n\r\n"),
    "chunk with bare LF": post("Transfer-Encoding: chunked", body=b"7\nquery=1\r\n0\r\n\r\n"),
    "chunk too long": post("Transfer-Encoding: chunked", body=b"6\r\nquery=1\r\n0\r\n\r\n"),
    "bare LF": HEAD.replace(b"\r\n", b"\n"),
    "one bare LF": b"GET /-/healthy HTTP/1.1\r\nA: b\nHost: x\r\n\r\n",
    "bare CR": b"GET /-/healthy HTTP/1.1\r\nA: b\rc\r\nHost: x\r\n\r\n",
    "NUL": b"GET /-/healthy HTTP/1.1\r\nA: b\0c\r\nHost: x\r\n\r\n",
    "Host :": b"GET /-/healthy HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded": b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "no name": b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
    "no colon": b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nrubbish\r\n\r\n",
    "no Host": b"GET /-/healthy HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "bad Host": b"GET /-/healthy HTTP/1.1\r\nHost: x y\r\n\r\n",
    "no version": b"GET /-/healthy\r\nHost: x\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "blanks": b"GET  /-/healthy  HTTP/1.1\r\nHost: x\r\n\r\n",
    "rubbish": bytes(range(128, 256)) + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, name):
    # what follows must never be taken for a request
    answer = talk(server, REFUSED[name] + HEAD)
    assert statuses(answer) == [400], answer
    assert b"Connection: close" in answer


def test_other_refusals(server):
    for data, status in (
            (b"GET /-/healthy HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            (b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nA: " + b"b" * (1 << 20) + b"\r\n\r\n", 431),
            (b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
            (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
            (post("Content-Length: 99999999999"), 413),
            (post("Transfer-Encoding: gzip", body=FORM), 501),
            (post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
            (post("Content-Length: 7", "Expect: 200-ok", "Connection: close", body=FORM),
             (200, 417))):
        answer = talk(server, data, b"200-ok" not in data)
        # the reset of what was sent too much may overtake the reply
        if answer or len(data) < 1 << 16:
            got = statuses(answer)[0]
            assert got in (status if isinstance(status, tuple) else (status,)), data[:60]


def test_accepted(server):
    for data in (HEAD, b"\r\n" + HEAD, HEAD.replace(b"Host: x", b"Host:x"),
                 HEAD.replace(b"Host: x", b"hOsT: \t x \t"), HEAD.replace(b"Host: x", b"Host: "),
                 b"GET http://y/-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /-/healthy HTTP/1.0\r\n\r\n",
                 post("Content-Length: 007", "Connection: close", body=FORM),
                 post("Transfer-Encoding: Chunked", "Connection: close",
                      body=b"3\r\nque\r\n004;a=b\r\nry=1\r\n0\r\nT: x\r\n\r\n")):
        assert statuses(talk(server, data, b"close" not in data)) == [200], data


def test_body_byte_by_byte_and_limit(server):
    with connection(server) as s:
        for i in range(len(HEAD)):
            s.sendall(HEAD[i:i + 1])
        assert b" 200 " in s.recv(4096)
    endless = b"%x\r\n%s\r\n" % (1 << 16, b"a" * (1 << 16))
    with connection(server) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(post("Transfer-Encoding: chunked"))
            for _ in range(400):
                s.sendall(endless)
        answer = read_all(s)
        assert not answer or statuses(answer) == [413]


def test_continue(server):
    with connection(server) as s:
        s.sendall(post("Content-Length: 7", "Expect: 100-continue", "Connection: close"))
        assert s.recv(4096).startswith(b"HTTP/1.1 100 ")
        s.sendall(FORM)
        assert statuses(read_all(s)) == [200]


def test_head_options_and_pipelining(server):
    def request(method, path, *more):
        return (f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
                + "".join(f"{h}\r\n" for h in more) + "\r\n").encode()

    for method, path, status in (("HEAD", "/-/healthy", 200), ("HEAD", "/metrics", 405),
                                 ("HEAD", "/nothing", 404), ("OPTIONS", "/api/v1/query", 204),
                                 ("OPTIONS", "/metrics", 200)):
        answer = talk(server, request(method, path, "Connection: close"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert int(head.split()[1]) == status and body == b"", (method, path)
    # a HEAD's reply has no body that the next one could be taken for
    mixed = (request("GET", "/-/healthy") + request("GET", "/api/v1/query?query=1")
             + post("Content-Length: 7", body=FORM) + request("GET", "/nothing")
             + request("OPTIONS", "/metrics") + request("GET", "/-/ready", "Connection: close")
             + request("GET", "/-/ready"))
    with connection(server) as s:
        s.sendall(mixed)
        assert statuses(read_all(s)) == [200, 200, 200, 404, 200, 200]
    with connection(server) as s:
        s.sendall(request("HEAD", "/-/healthy") + request("GET", "/-/ready", "Connection: close"))
        answer = read_all(s)
        assert answer.count(b"HTTP/1.1 200") == 2 and answer.endswith(b"is Ready.\n")
    # thousands at once, written before anything is read
    with connection(server) as s:
        def write():
            s.sendall(request("GET", "/-/healthy") * 2000
                      + request("GET", "/-/healthy", "Connection: close"))
        t = threading.Thread(target=write)
        t.start()
        got = statuses(read_all(s))
        t.join()
        assert got == [200] * 2001


def timed_close(s, start, data, drip=b""):
    s.sendall(data)
    s.settimeout(0.2)
    answer = b""
    while time.monotonic() - start < 60:
        try:
            piece = s.recv(4096)
            if not piece:
                break
            answer += piece
        except TimeoutError:
            if drip:
                with contextlib.suppress(ConnectionError):
                    s.sendall(drip)
        except ConnectionError:
            break
    return answer, time.monotonic() - start


def test_slow_clients(server):
    """A whole head and a whole body have a deadline, however they drip."""
    cases = {
        "silent": (b"", b"", None), "head": (b"GET / HTTP/1.1\r\nA: ", b"b", 408),
        "stopped head": (b"GET / HT", b"", 408),
        "body": (post("Content-Length: 1000", body=b"query="), b"1", 408),
        "chunks": (post("Transfer-Encoding: chunked"), b"1\r\na\r\n", 408),
        "idle": (HEAD, b"", 200)}
    results = {}

    def run(name):
        data, drip, _ = cases[name]
        start = time.monotonic()
        with connection(server) as s:
            results[name] = timed_close(s, start, data, drip)

    threads = [threading.Thread(target=run, args=(n,)) for n in cases]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name, (answer, seconds) in results.items():
        want = cases[name][2]
        # not before its time; how long after is the machine's load
        assert READ_TIMEOUT - 0.5 < seconds < 60, (name, seconds)
        assert statuses(answer) == ([want] if want else []), (name, answer)


def test_client_leaves_during_its_query(server):
    def running():
        return [q for q in json.loads(server.ctl("-j", "queries").stdout)["queries"]
                if q["query"] == SLOW]

    for abrupt in (False, True):
        with connection(server) as s:
            s.sendall(f"GET {SLOW_TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_for("the query", running, 20, 0.01)
            if abrupt:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        # long before it would have ended by itself
        wait_for("its end", lambda: not running(), 15, 0.01)
    # one that pipelined behind its query and left is noticed as well
    with connection(server) as s:
        s.sendall(f"GET {SLOW_TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + HEAD * 100)
        wait_for("the query", running, 20, 0.01)
    wait_for("its end", lambda: not running(), 15, 0.01)


def test_more_connections_than_allowed():
    with Brazier(config({}), ["--web.max-connections=20"]).start() as b:
        before = pids(b)
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(connection(b)) for _ in range(20)]
            late = [stack.enter_context(connection(b)) for _ in range(5)]
            for s in late:
                s.sendall(HEAD)
            # they wait in the kernel, neither refused nor served
            late[0].settimeout(0.5)
            with pytest.raises(TimeoutError):
                late[0].recv(1)
            for s in idle[:5]:
                s.close()
            for s in late:
                s.settimeout(30)
                assert b" 200 " in s.recv(4096)
        wait_for("room", lambda: get(b.url + "-/ready", 5)[0] == 200, 60)
        assert pids(b) == before


@contextlib.contextmanager
def crowd(port, n):
    """n sockets that connect, or try to, without waiting."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = n + 200
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    socks = []
    try:
        for _ in range(n):
            s = socket.socket()
            socks.append(s)
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect(("127.0.0.1", port))
        yield socks
    finally:
        for s in socks:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def n_sockets(pid):
    n = 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            n += str(fd.readlink()).startswith("socket:")
    return n


def ask_all(socks, seconds=60):
    """One request on each; how many answers of 200 came."""
    with selectors.DefaultSelector() as sel:
        for s in socks:
            s.send(HEAD)
            sel.register(s, selectors.EVENT_READ)
        got, end = 0, time.monotonic() + seconds
        while sel.get_map() and time.monotonic() < end:
            for key, _ in sel.select(1):
                with contextlib.suppress(BlockingIOError):
                    got += b" 200 " in key.fileobj.recv(4096)
                    sel.unregister(key.fileobj)
    return got


def test_10000_connections_wait(server):
    """Those beyond the limit of 512 wait in the kernel and cost nothing; those
    within it are served; when all have left, others are."""
    web = pids(server)["web/0"][0]
    before, others = pss_kb(web), n_sockets(web)
    with crowd(server.port, 10000) as socks:
        wait_for("the limit", lambda: n_sockets(web) >= others + 500, 30)
        # the listener is asked in the order of the connections
        assert ask_all(socks[:500]) == 500
        assert n_sockets(web) <= others + 512 + 2
        assert pss_kb(web) - before < WEB_KB // 2
    wait_for("room", lambda: get(server.url + "-/ready", 5)[0] == 200, 60)
    wait_for("their end", lambda: n_sockets(web) < others + 50, 60)


def test_10000_connections_served():
    """With a limit above, all are served at once."""
    with Brazier(config({}), ["--web.max-connections=10100"]).start() as b:
        before = pids(b)
        web = before["web/0"][0]
        with crowd(b.port, 10000) as socks:
            wait_for("all of them", lambda: n_sockets(web) >= 10000, 60, 0.2)
            assert ask_all(socks) == 10000
            assert get(b.url + "-/ready", 10)[0] == 200
            line = {w["name"]: w["limit_bytes"] for w in b.status()["workers"]}["web/0"]
            print("web with 10,000 connections:", pss_kb(web), "kB, its line:", line >> 10)
            assert pss_kb(web) << 10 < line
        wait_for("their end", lambda: n_sockets(web) < 100, 60)
        assert get(b.url + "-/ready", 10)[0] == 200
        assert pids(b) == before
