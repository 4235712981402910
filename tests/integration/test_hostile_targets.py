# SPDX-License-Identifier: ISC
"""Targets that mean harm: the scrape fails, and nothing else does.

Each hostile target is a job of its own beside two good ones, in one server.
Afterwards: the error that Prometheus gives for it, every process alive and
the same as before, none near its memory limit, and the good targets scraped
in time all the while.
"""

import contextlib
import gzip
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from brazier import PEERS, Brazier, Prometheus, Target, wait_for

SECONDS = 14

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


class Raw:
    """A target that is a function on the connected socket."""

    def __init__(self, serve):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.serve = serve
        self.over = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        with c, contextlib.suppress(OSError):
            while c.recv(65536):
                if self.serve(c, self) is not True:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.over = True
        self.socket.close()


def whole(body, *headers):
    """Serves one body with its length."""
    head = HEAD + b"".join(h + b"\r\n" for h in headers)
    head += b"Content-Length: %d\r\n\r\n" % len(body)

    def serve(c, t):
        c.sendall(head)
        c.sendall(body)
        return True
    return serve


def endless(c, t):
    c.sendall(HEAD + b"\r\n")
    line = b"".join(b'endless{i="%d"} 1\n' % i for i in range(4000))
    while not t.over:
        c.sendall(line)


def drip(c, t):
    c.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not t.over:
        c.sendall(b"a")
        time.sleep(0.2)


def silent(c, t):
    while not t.over:
        time.sleep(0.2)


def long_header(c, t):
    c.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not t.over:
        c.sendall(b"x" * 65536)


def short(c, t):
    c.sendall(HEAD + b"Content-Length: 1000\r\n\r\na 1\n")


def rubbish():
    return bytes((i * 7919 + i // 251) % 255 + 1 for i in range(200000))


def bomb():
    """64 MiB of one line's beginning in 64 KiB."""
    return gzip.compress(b"a" * (64 << 20), 9)


def wide():
    labels = ",".join(f'l{i}="{i}"' for i in range(100))
    return "".join(f'wide{{{labels},n="{i}"}} 1\n' for i in range(2000)).encode()


class Churn:
    """So many series in a scrape, and other ones the next time."""

    def __init__(self, n):
        self.round = 0
        self.body = "".join(f'churn{{i="{i:07}",round="ROUND"}} 1\n' for i in range(n)).encode()

    def __call__(self, c, t):
        self.round += 1
        return whole(self.body.replace(b"ROUND", b"%05d" % self.round))(c, t)


DEADLINE = r"context deadline exceeded"
REDIRECTS = r"stopped after 10 redirects"

# name: (server, error pattern, None = scraped; settings of the job)
CASES = {
    "long_line": (whole(b'x{a="' + b"y" * (10 << 20) + b'"} 1\n'), None, ""),
    "long_rubbish": (whole(b"z" * (10 << 20)), r".+", ""),
    "rubbish": (whole(rubbish()), r".+", ""),
    # a zero byte ends the text for Prometheus too
    "zeros": (whole(bytes(1 << 20)), None, ""),
    "endless": (endless, DEADLINE + r"|body size limit exceeded", ""),
    "endless_limited": (endless, r"^body size limit exceeded$", "body_size_limit: 1MB"),
    "bomb": (whole(bomb(), b"Content-Encoding: gzip"), r"^body size limit exceeded$",
             "body_size_limit: 16MB"),
    "bomb_default": (whole(bomb(), b"Content-Encoding: gzip"), r".+", ""),
    "not_gzip": (whole(b"a 1\nb 2\nc 3\n", b"Content-Encoding: gzip"), r"^gzip: invalid header$", ""),
    "short_gzip": (whole(b"a 1\n", b"Content-Encoding: gzip"), r"^unexpected EOF$", ""),
    "cut_gzip": (whole(gzip.compress(b"a 1\n" * 100000)[:100], b"Content-Encoding: gzip"),
                 r"^gzip: corrupt input$", ""),
    "drip": (drip, DEADLINE, ""),
    "silent": (silent, DEADLINE, ""),
    "long_header": (long_header, r"server response headers exceeded \d+ bytes; aborted", ""),
    "short": (short, r"unexpected EOF", ""),
    "wide": (whole(wide()), None, ""),
    "wide_limited": (whole(wide()), r"^label_limit exceeded \(metric: wide, number of labels: "
                     r"10[0-9], limit: 50\)$", "label_limit: 50"),
    "long_labels": (whole(b"".join(b'm{i="%d",l="%s"} 1\n' % (i, b"v" * (1 << 20))
                                   for i in range(10))), None, ""),
    "too_long_label": (whole(b'm{l="' + b"v" * (1 << 24) + b'"} 1\n'),
                       r"^label of 16777216 bytes, at most 16777215 are allowed$", ""),
    "long_labels_limited": (whole(b'm{l="' + b"v" * (1 << 20) + b'"} 1\n'),
                            r"^label_value_length_limit exceeded \(metric: m, label name: l, "
                            r'value: "v{50}", length: 1048576, limit: 100\)$',
                            "label_value_length_limit: 100"),
    "samples_limited": (whole(wide()), r"^sample limit exceeded$", "sample_limit: 10"),
    "same_twice": (whole(b"a 1\n" * 1000), None, ""),
    "bad_escape": (whole(b'a{b="\\'), r".+", ""),
    "utf8": (whole(b'a{b="\xff\xfe"} 1\n'), r"^invalid UTF-8 label value: ", ""),
}


def job(name, address, settings=""):
    text = f"  - job_name: {name}\n    static_configs: [{{targets: ['{address}']}}]\n"
    return text + (f"    {settings}\n" if settings else "")


def data_limit(pid):
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    m = re.search(r"^Max data size\s+(\d+)", text, re.M)
    return int(m.group(1)) if m else None


def data_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmData:\s+(\d+)", text, re.M).group(1)) * 1024


class Watch:
    """Samples VmData of all workers against RLIMIT_DATA."""

    def __init__(self, b):
        self.b, self.worst, self.over = b, {}, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            for name, pid in self.b.workers().items():
                with contextlib.suppress(OSError, AttributeError, TypeError):
                    share = data_bytes(pid) / data_limit(pid)
                    self.worst[name] = max(share, self.worst.get(name, 0))
            time.sleep(0.2)

    def end(self):
        self.over = True
        self.thread.join()
        return self.worst


GOOD_INTERVAL = 2
GOOD_SERVER = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"good 1\\n")
    def log_message(self, *a):
        pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_address[1], flush=True)
s.serve_forever()
"""


@contextlib.contextmanager
def good_targets():
    """Two good targets' jobs; in a process of their own, which the bad ones of
    this process do not hold up."""
    with subprocess.Popen([sys.executable, "-c", GOOD_SERVER], stdout=subprocess.PIPE) as p:
        try:
            address = f"127.0.0.1:{int(p.stdout.readline())}"
            # the smallest interval that a loaded machine keeps
            when = f"scrape_interval: {GOOD_INTERVAL}s\n    scrape_timeout: {GOOD_INTERVAL}s"
            yield "".join(job(f"good{i}", address, when) for i in range(2))
        finally:
            p.kill()


def check_good(b, seconds):
    """The good targets were scraped, as often as they should have been; half
    as often is enough for a machine that others use too (QUIET=1: it is not)."""
    want = seconds // GOOD_INTERVAL - 1
    if not os.environ.get("QUIET"):
        want //= 2
    for name in ("good0", "good1"):
        n = b.value(f'count_over_time(up{{job="{name}"}}[{seconds}s])')
        ok = b.value(f'sum_over_time(up{{job="{name}"}}[{seconds}s])')
        assert n >= want, (name, n, ok)
        assert ok == n if os.environ.get("QUIET") else ok >= n / 2, (name, n, ok)


def test_hostile_targets():
    redirect = Target(lambda: (302, {"Location": f"http://{redirect.address}/metrics"}, b""))
    with contextlib.ExitStack() as stack:
        stack.enter_context(redirect)
        text = "global: {scrape_interval: 2s, scrape_timeout: 1900ms}\nscrape_configs:\n"
        text += stack.enter_context(good_targets())
        text += job("redirects", redirect.address)
        for name, (serve, _, settings) in CASES.items():
            text += job(name, stack.enter_context(Raw(serve)).address, settings)
        b = stack.enter_context(Brazier(text, ["--scrape.max-body-size=128MB"]).start())
        wait_for("good", lambda: b.value('sum(up{job=~"good."})') == 2)
        before, watch = b.workers(), Watch(b)
        start = time.monotonic()
        # a loaded machine may cut off by time what would fail in another way
        seen = errors_of(b, CASES | {"redirects": (None, REDIRECTS, "")}, 90)
        time.sleep(max(0, start + SECONDS - time.monotonic()))
        worst = watch.end()
        print({k: f"{v:.0%}" for k, v in worst.items()})
        assert b.workers() == before, b.process.output()[-3000:]
        assert all(v < 0.9 for v in worst.values())
        check_good(b, SECONDS - 2)
        # not what was cut off by time in the very last scrape
        for name, (_, pattern, _) in CASES.items():
            if pattern is not None:
                assert b.value(f'max_over_time(up{{job="{name}"}}[5m])') == 0, name
        assert b.value('max(count_over_time(wide{job="wide"}[5m]))') > 0
        assert len(b.query('last_over_time(wide{job="wide"}[5m])')) == 2000
        assert b.value('last_over_time(a{job="same_twice"}[5m])') == 1
        assert b.value('max_over_time(scrape_samples_scraped{job="same_twice"}[5m])') == 1000
        assert b.stop() == 0
        if (PEERS / "prometheus").exists():
            as_prometheus(text, seen)


def errors_of(server, wanted, seconds):
    """{job: all errors seen}, once each job has shown the one it should."""
    seen = {}

    def all_seen():
        for t in server.api("targets", 60)["activeTargets"]:
            if t["health"] != "unknown":
                seen.setdefault(t["labels"]["job"], set()).add(t["lastError"])
        return not missing()

    def missing():
        return [n for n, (_, pattern, _) in wanted.items() if not any(
            e == "" if pattern is None else re.search(pattern, e) for e in seen.get(n, ()))]

    try:
        wait_for("errors", all_seen, seconds, 0.3)
    except AssertionError:
        raise AssertionError({n: seen.get(n) for n in missing()}) from None
    return seen


# Debian's 2.42 is not asked: endless ones, which it would read on into memory,
# and what is ours (the largest body, the largest label).
NOT_ASKED = {"endless", "endless_limited", "bomb_default", "long_header", "too_long_label"}
# Since 3.x these errors show what was read; what was cut off and what is wrong
# look the same to our decompressor.
REWORDED = {"bad_escape", "long_rubbish", "rubbish", "utf8", "cut_gzip"}


def as_prometheus(text, ours):
    """Debian's prometheus has the same errors for the same targets."""
    text = text[:text.index("  - job_name: ")] + "".join(
        "  - job_name: " + j for j in text.split("  - job_name: ")[1:]
        if j.split("\n")[0] not in NOT_ASKED | REWORDED)
    with Prometheus(text) as p:
        different = {}

        def same():
            for t in p.api("targets", 60)["activeTargets"]:
                name = t["labels"]["job"]
                if t["health"] != "unknown" and t["lastError"] in ours[name]:
                    different[name] = None
                elif different.setdefault(name, "") is not None:
                    different[name] = (t["lastError"][:300], [e[:300] for e in ours[name]])
            return different and all(v is None for v in different.values())

        try:
            wait_for("the same errors", same, 30, 0.3)
        except AssertionError:
            raise AssertionError({n: v for n, v in different.items() if v}) from None


def test_new_series_in_every_scrape():
    """A million new ones each time, until the head is full: then new ones are
    refused, which the log blames on their job, the known ones go on, and so
    do all processes."""
    n = 1000000
    churn = Churn(n)
    with Raw(churn) as t, good_targets() as good:
        text = "scrape_configs:\n" + good + job(
            "churn", t.address, "scrape_interval: 5s\n    scrape_timeout: 5s")
        with Brazier(text, ["--storage.head.max-bytes=256MB", "--memory.max-bytes=3GB"]).start() as b:
            wait_for("good", lambda: b.value('sum(up{job=~"good."})') == 2, 60)
            before, watch, start = b.workers(), Watch(b), time.monotonic()
            wait_for("refusals", lambda: re.search(
                r'msg="New series refused" .*job=churn .*err="head is full: no room for new series"',
                b.process.output()), 120, 0.3)
            full, rounds = time.time(), churn.round
            wait_for("more of it", lambda: churn.round >= rounds + 3, 180, 0.3)
            # sampled after the head was full: known series go on
            wait_for("good ones", lambda: b.value(
                f'count(timestamp(good) > {full + GOOD_INTERVAL})') == 2, 60, 0.3)
            worst = watch.end()
            errors = {t["lastError"] for t in b.api("targets", 60)["activeTargets"]
                      if t["labels"]["job"] == "churn"}
            print({k: f"{v:.0%}" for k, v in worst.items()}, "rounds:", churn.round, errors)
            check_good(b, int(time.monotonic() - start))
            assert b.workers() == before
            assert all(v < 0.95 for v in worst.values())
            assert not re.search("New series refused.*job=good", b.process.output())
            assert b.stop() == 0


def test_large_labels():
    """Label sets that no message of ours holds: stored, found again after the
    death of all processes, and by Prometheus in the directory."""
    sizes = {"one": 1 << 20, "ten": 10 << 20, "most": (1 << 24) - 1, "small": 10, "edge": 65500}
    body = "".join(f'large{{which="{k}",l="{k * (n // len(k))}"}} 1\n' for k, n in sizes.items())
    body += "".join(f'many{{i="{i}",l="{"v" * 2000}"}} 1\n' for i in range(1000))
    with Raw(whole(body.encode())) as t, \
            Brazier("scrape_configs:\n" + job("large", t.address,
                                              "scrape_interval: 1s\n    scrape_timeout: 1s")) as b:
        def check(server):
            wait_for("all", lambda: server.value('count({job="large",l!=""})') == 1005, 60)
            found = server.api("series", **{"match[]": "large", "start": 0})
            assert {s["which"]: len(s["l"]) for s in found} == {
                k: n // len(k) * len(k) for k, n in sizes.items()}
            assert all(s["l"] == s["which"] * (sizes[s["which"]] // len(s["which"])) for s in found)

        b.start()
        before = b.workers()
        check(b)
        assert b.value("scrape_samples_scraped") == 1005
        # storage comes back and is told again
        os.kill(before["storage/0"], signal.SIGKILL)
        wait_for("storage", lambda: b.workers().get("storage/0", before["storage/0"]) !=
                 before["storage/0"] and b.value("up") == 1, 60)
        check(b)
        b.kill_tree()
        t.over = True
        b.start()
        check(b)
        assert b.stop() == 0
        if (PEERS / "prometheus").exists():
            with Prometheus("global: {}\n", data=b.data) as p:
                check(p)
