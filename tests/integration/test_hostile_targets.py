# SPDX-License-Identifier: ISC
"""Targets that mean harm: the scrape fails, and nothing else does.

Each hostile target is a job of its own beside two good ones, in one server.
Afterwards: the error that Prometheus gives for it, every process alive and
the same as before, none near its memory limit, and the good targets scraped
every second all the while.
"""

import contextlib
import gzip
import pathlib
import re
import socket
import threading
import time

from brazier import Brazier, Target, wait_for

SECONDS = 12

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
    """200,000 series in a scrape, and other ones the next time."""

    def __init__(self):
        self.round = 0

    def __call__(self, c, t):
        self.round += 1
        body = "".join(f'churn{{round="{self.round}",i="{i}"}} 1\n'
                       for i in range(200000)).encode()
        return whole(body)(c, t)


DEADLINE = r"context deadline exceeded"

# name: (server, error pattern, None = scraped; settings of the job)
CASES = {
    "long_line": (whole(b'x{a="' + b"y" * (10 << 20) + b'"} 1\n'), r".+", ""),
    "long_rubbish": (whole(b"z" * (10 << 20)), r".+", ""),
    "rubbish": (whole(rubbish()), r".+", ""),
    # a zero byte ends the text for Prometheus too
    "zeros": (whole(bytes(1 << 20)), None, ""),
    "endless": (endless, DEADLINE + r"|body size limit exceeded", ""),
    "endless_limited": (endless, r"^body size limit exceeded$", "body_size_limit: 1MB"),
    "bomb": (whole(bomb(), b"Content-Encoding: gzip"), r"^body size limit exceeded$",
             "body_size_limit: 16MB"),
    "bomb_default": (whole(bomb(), b"Content-Encoding: gzip"), r".+", ""),
    "not_gzip": (whole(b"a 1\n", b"Content-Encoding: gzip"), r"gzip: invalid header|EOF", ""),
    "drip": (drip, DEADLINE, ""),
    "silent": (silent, DEADLINE, ""),
    "long_header": (long_header, r"server response headers exceeded \d+ bytes; aborted", ""),
    "short": (short, r"unexpected EOF", ""),
    "wide": (whole(wide()), None, ""),
    "wide_limited": (whole(wide()), r"^label_limit exceeded \(metric: wide, number of labels: "
                     r"10[0-9], limit: 50\)$", "label_limit: 50"),
    "long_labels": (whole(b'm{l="' + b"v" * (1 << 20) + b'"} 1\n'), r".+", ""),
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


def check_good(b, seconds):
    """The good targets were scraped every second, but for what a busy machine
    may cost."""
    for name in ("good0", "good1"):
        n = b.value(f'count_over_time(up{{job="{name}"}}[{seconds}s])')
        ok = b.value(f'sum_over_time(up{{job="{name}"}}[{seconds}s])')
        assert n >= seconds / 3 and ok >= n / 2, (name, n, ok)


def test_hostile_targets():
    redirect = Target(lambda: (302, {"Location": f"http://{redirect.address}/metrics"}, b""))
    with contextlib.ExitStack() as stack:
        stack.enter_context(redirect)
        good = [stack.enter_context(Target(lambda: "good 1\n")) for _ in range(2)]
        text = "global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n"
        for i, t in enumerate(good):
            text += job(f"good{i}", t.address)
        text += job("redirects", redirect.address)
        for name, (serve, _, settings) in CASES.items():
            text += job(name, stack.enter_context(Raw(serve)).address, settings)
        b = stack.enter_context(Brazier(text).start())
        wait_for("good", lambda: b.value('sum(up{job=~"good."})') == 2)
        before, watch = b.workers(), Watch(b)
        time.sleep(SECONDS)
        worst = watch.end()
        print({k: f"{v:.0%}" for k, v in worst.items()})
        errors = {t["labels"]["job"]: t["lastError"] for t in b.api("targets")["activeTargets"]}
        for name, e in sorted(errors.items()):
            print(f"{name:20} {e[:150]}")
        assert b.workers() == before, b.process.output()[-3000:]
        assert all(v < 0.9 for v in worst.values())
        check_good(b, SECONDS - 2)
        assert re.search(r"stopped after 10 redirects", errors["redirects"])
        for name, (_, pattern, _) in CASES.items():
            up = b.value(f'up{{job="{name}"}}')
            if pattern is None:
                assert up == 1 and errors[name] == "", (name, errors[name])
            else:
                assert up == 0 and re.search(pattern, errors[name]), (name, errors[name])
        assert b.value('count(wide{job="wide"})') == 2000
        assert b.value('a{job="same_twice"}') == 1
        assert b.value('scrape_samples_scraped{job="same_twice"}') == 1000
        assert b.stop() == 0


def test_new_series_in_every_scrape():
    """200,000 new ones each time: the others are scraped on time."""
    with Target(lambda: "good 1\n") as g0, Target(lambda: "good 1\n") as g1, \
            Raw(Churn()) as churn:
        text = ("global: {scrape_interval: 1s}\nscrape_configs:\n" + job("good0", g0.address) +
                job("good1", g1.address) + job("churn", churn.address, "scrape_interval: 3s\n    scrape_timeout: 3s"))
        with Brazier(text).start() as b:
            wait_for("good", lambda: b.value('sum(up{job=~"good."})') == 2)
            before, watch = b.workers(), Watch(b)
            time.sleep(SECONDS)
            worst = watch.end()
            print({k: f"{v:.0%}" for k, v in worst.items()})
            assert b.workers() == before, b.process.output()[-3000:]
            assert all(v < 0.9 for v in worst.values())
            check_good(b, SECONDS - 2)
            wait_for("churn", lambda: b.value("count(churn)") == 200000, 10, 0.3)
