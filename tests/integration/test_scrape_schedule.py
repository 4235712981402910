# SPDX-License-Identifier: ISC
"""Timestamps and stale markers of a scrape, beside Debian's prometheus.

Both scrape the same target once a second. Its answers are told apart by
counting them for each scraper, so both see the same sequence of bodies.
"""

import contextlib
import http.server
import threading
import time

from brazier import Brazier, Prometheus, Target, config, wait_for

SECONDS = 14


class Sequence:
    """A target whose n-th answer to each scraper is body(n)."""

    def __init__(self, body):
        outer = self
        self.counts = {}
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                # Debian's prometheus says Prometheus/2.42.0, ours 3.x
                who = self.headers["User-Agent"]
                with outer.lock:
                    n = outer.counts[who] = outer.counts.get(who, -1) + 1
                answer = body(n).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def body(n):
    """The n-th body: every value is n, and most series come and go."""
    lines = [f"n {n}"]
    if n % 4 < 2:
        lines.append(f'pairs{{a="b"}} {n}')
    if n % 3 == 0:
        lines.append(f"thirds {n}")
    if n % 2:
        # its own time: no marker when it goes
        lines.append(f"own {n} {int(time.time()) * 1000 - 5000}")
    if n % 6 == 5:
        lines.append("} rubbish")     # the scrape fails: markers for all
    return "\n".join(lines) + "\n"


def history(server, at):
    """{scrape number: {what stood there after it}}, by the time of `up`.

    A series is present at a scrape's time when an instant query at that time
    finds it: a stale marker, and nothing else this soon, takes it away.
    """
    ups = next(iter(server.samples(f'up{{job="seq"}}[{SECONDS}s]', at).values()))
    out = []
    for t in sorted(ups):
        found = {}
        for s in server.query('{job="seq",__name__=~"n|pairs|thirds|up|scrape_samples_.*'
                              '|scrape_series_added"}', time=t / 1000):
            found[s["metric"]["__name__"]] = s["value"][1]
        out.append((t, found))
    return out


def test_markers_as_prometheus():
    with Sequence(body) as target:
        text = config({"seq": [target.address]})
        with Prometheus(text) as p, Brazier(text).start() as b:
            wait_for("both up", lambda: b.value("n") and p.value("n"))
            time.sleep(SECONDS)
            at = time.time()
            ours, theirs = history(b, at), history(p, at)
            own = b.samples(f'own[{SECONDS}s]', at), p.samples(f'own[{SECONDS}s]', at)
            assert b.value("own") is not None and p.value("own") is not None
    def by_number(h):
        first = next(i for i, (_, found) in enumerate(h) if found["up"] == "1")
        number = int(h[first][1]["n"]) - first
        out = {number + i: found for i, (_, found) in enumerate(h)}
        for n, found in out.items():
            # 2.42 still knows what only the failed scrape before had added
            if n % 6 == 1:
                del found["scrape_series_added"]
        return out
    ours, theirs = by_number(ours), by_number(theirs)
    both = sorted(set(ours) & set(theirs))
    for n in both:
        print(n, ours[n], ours[n] == theirs[n])
    assert len(both) >= 6
    assert all(ours[n] == theirs[n] for n in both)
    assert any("thirds" not in ours[n] for n in both)
    failed = [n for n in both if ours[n]["up"] == "0"]
    # what was read before the error has its last sample still
    assert failed and all(ours[n]["n"] == str(n - 1) for n in failed)
    for samples in own:
        assert all(t % 1000 == 0 for s in samples.values() for t in s)


def test_distances_are_the_interval():
    """Aligned timestamps, also while other targets keep the worker busy."""
    big = "".join(f'big{{i="{i}"}} {i}\n' for i in range(20000))
    with Target(lambda: big) as t1, Target(lambda: "a 1\n") as t2:
        text = config({"big": [t1.address], "small": [t2.address]}, "500ms")
        with Brazier(text, ["--scrape.workers=1"]).start() as b:
            wait_for("up", lambda: b.value("sum(up)") == 2)
            time.sleep(8)
            ups = b.samples("up[8s]")
            assert b.value("count(big)") == 20000
    for series, samples in ups.items():
        times = sorted(samples)
        print(series, [y - x for x, y in zip(times, times[1:])])
        assert len(times) >= 12
        # beyond the tolerance of 2 ms (a busy machine) it is the real time,
        # never one shortly before its place on the grid
        phases = [t % 500 for t in times]
        grid = max(phases, key=phases.count)
        late = [(p - grid) % 500 for p in phases]
        assert late.count(0) > len(times) / 3
        # (one so late that it looks early, on a very busy machine)
        assert sum(not (d == 0 or 2 <= d < 400) for d in late) <= 1


def test_gone_target_gets_markers():
    """A target that a reload removes: markers after its last samples."""
    with Target(lambda: "here 1\n") as t, Target(lambda: "other 1\n") as o:
        both = config({"t": [t.address], "o": [o.address]})
        with Brazier(both).start() as b:
            wait_for("both", lambda: b.value("here") == 1 and b.value("other") == 1)
            b.write_config(config({"o": [o.address]}))
            assert b.ctl("reload").returncode == 0
            # the lookback alone would show it for minutes
            wait_for("here is stale", lambda: b.value("here") is None)
            assert b.value('up{job="t"}') is None
            assert b.value('scrape_samples_scraped{job="t"}') is None
            assert b.value("other") == 1


def test_changed_relabelling_marks_what_is_not_named():
    text = config({"t": ["$T"]})
    rule = ("    metric_relabel_configs:\n"
            "      - {source_labels: [x], target_label: y}\n")
    with Target(lambda: 'a{x="1"} 1\nb 2\n') as t:
        text = text.replace("$T", t.address)
        with Brazier(text).start() as b:
            wait_for("a", lambda: b.value("a") == 1)
            b.write_config(text + rule)
            assert b.ctl("reload").returncode == 0
            wait_for("new name", lambda: b.value('a{y="1"}') == 1)
            wait_for("old name is stale", lambda: b.value('a{y=""}') is None, 6)
            assert b.value("b") == 2
            # a changed interval names the same series: nothing goes stale
            before = b.value("count_over_time(b[10s])")
            b.write_config((text + rule).replace("scrape_interval: 1s",
                                                 "scrape_interval: 700ms"))
            assert b.ctl("reload").returncode == 0
            time.sleep(2.5)
            assert b.value("b") == 2
            assert b.value("count_over_time(b[10s])") > before
