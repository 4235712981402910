#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Random queries against Debian's prometheus and the engine, same blocks.

difftest.py PROMQLEVAL PROMETHEUS PROMTOOL [COUNT [SEED]]

Makes a block of random series with promtool, starts prometheus on it and
compares what both answer: values (to 1e-9), labels, times, order of
matrices, whether there is an error. A difference must be one of the classes
of difftest_classes.py, each a documented change after 2.42; prints how many
queries differ by each and why, and fails of any other.
"""

import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from difftest_classes import (CLASSES, duration_ms, explain, expr, key,
                              samples)

# Not asked, because it changed between 2.42 and 3.14 for nearly every query:
# - ranges and lookback are open on the left (3.0, #13904), subqueries too
#   (3.0.1, #15431): samples lie off the grid, windows are odd;
# - atan2 drops the metric name; holt_winters has another name;
# - rate and increase near zero (2.51, #13725: the series may have begun
#   inside of the window): counters stay away from zero.
# Native histograms and what 2.42 does not parse are the conformance tests'.
START = 1700000000


def make_block(promtool, path, rnd):
    """A block of two hours; returns the label values to ask for."""
    end = START + 7200
    lines = []
    metrics = [("c_total", "counter"), ("d_total", "counter"),
               ("g", "gauge"), ("h", "gauge"), ("odd", "gauge")]
    for name, kind in metrics:
        for job in ("api", "db", "web"):
            for inst in ("1", "2", "3", "4"):
                if name == "h" and inst == "3":
                    continue
                value = 0 if name == "odd" else 3000 + rnd.randrange(100)
                t = START + rnd.randrange(1, 14) + 0.5
                while t < end:
                    if kind == "counter":
                        value += rnd.randrange(50) / rnd.choice((1, 1, 3))
                        if rnd.random() < 0.01:
                            value = 1000
                    else:
                        value += rnd.randrange(-20, 21) / 4
                    text = repr(float(value))
                    if name == "odd":
                        text = rnd.choice((text, text, "NaN", "+Inf", "-Inf",
                                           "0", "-0"))
                    if rnd.random() > 0.05:
                        lines.append((name, '%s{job="%s",instance="%s",'
                                      'zone="%s"} %s %.3f' %
                                      (name, job, inst, "ab"[int(inst) % 2],
                                       text, t)))
                    if rnd.random() < 0.004:
                        t += rnd.randrange(400, 1500)
                    t += 15 + rnd.uniform(-0.003, 0.003)
    for job in ("api", "db"):
        t = START + 5.5
        counts = [float(5000 * (i + 1)) for i in range(6)]
        while t < end:
            for i in range(6):
                for k in range(i, 6):
                    counts[k] += rnd.randrange(4) if k == i else 0
            total = 0
            for i, le in enumerate(("0.1", "0.5", "1", "5", "10", "+Inf")):
                total += counts[i]
                lines.append(("lat_bucket",
                              'lat_bucket{job="%s",le="%s"} %s %.3f' %
                              (job, le, total, t)))
            t += 15
    lines.sort(key=lambda x: x[0])
    with open(path + "/in.om", "w") as f:
        last = None
        for name, line in lines:
            if name != last:
                f.write("# TYPE %s unknown\n" % name)
                last = name
            f.write(line + "\n")
        f.write("# EOF\n")
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics",
                    path + "/in.om", path + "/data"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Generator:
    """Random expressions that 2.42 parses."""

    def __init__(self, rnd):
        self.r = rnd

    def selector(self):
        r = self.r
        name = r.choice(("c_total", "d_total", "g", "h", "odd"))
        m = []
        if r.random() < 0.4:
            m.append(r.choice(('job="api"', 'job!="db"', 'job=~"a.*|db"',
                               'job!~"w.+"')))
        if r.random() < 0.3:
            m.append(r.choice(('instance="1"', 'instance=~"[12]"',
                               'instance!="4"', 'zone="a"', 'none=""')))
        return name + ("{" + ",".join(m) + "}" if m else "")

    def offset(self):
        r = self.r
        text = ""
        if r.random() < 0.1:
            text += " offset " + r.choice(("5m", "90s", "-3m", "17m"))
        if r.random() < 0.08:
            text += " @ " + r.choice(("start()", "end()",
                                      str(START + r.randrange(7200))))
        return text

    def window(self):
        return self.r.choice(("31s3ms", "1m7s1ms", "5m3s7ms", "20m1s9ms"))

    def range(self, depth):
        r = self.r
        window = self.window()
        if r.random() < 0.15 and depth > 0:
            inner, step = self.vector(depth - 1), r.choice(("13s", "1m1s", ""))
            return expr("(%s)[%s:%s]" % (inner, window, step), "subquery", "",
                        [inner], duration_ms(window), duration_ms(step))
        return expr(self.selector() + "[" + window + "]" + self.offset(),
                    "range")

    def scalar(self, depth):
        r = self.r
        k = r.random()
        if k < 0.7 or depth == 0:
            return expr(r.choice(("1", "2", "0.5", "-3", "100", "1e3", "0")),
                        "leaf")
        if k < 0.8:
            v = self.vector(depth - 1)
            return expr("scalar(%s)" % v, "call", "scalar", [v])
        if k < 0.9:
            return expr("time()", "leaf")
        a, op = self.scalar(depth - 1), r.choice("+-*/%^")
        b = self.scalar(depth - 1)
        return expr("(%s %s %s)" % (a, op, b), "binop", op, [a, b])

    def grouping(self):
        r = self.r
        return r.choice(("", " by (job)", " by (instance, zone)",
                         " without (instance)", " by ()",
                         " without (job, zone)", " by (none)"))

    def call(self, f, *args):
        return expr("%s(%s)" % (f, ", ".join(args)), "call", f, args)

    def aggregation(self, kind, op, *args):
        return expr("%s%s (%s)" % (op, self.grouping(), ", ".join(args)),
                    kind, op, args)

    def leaf(self):
        return expr(self.selector() + self.offset(), "leaf")

    def vector(self, depth):
        r = self.r
        k = r.random()
        if depth == 0 or k < 0.12:
            return self.leaf()
        if k < 0.34:
            f = r.choice(("rate", "increase", "delta", "irate", "idelta",
                          "sum_over_time", "avg_over_time", "min_over_time",
                          "max_over_time", "count_over_time",
                          "last_over_time", "stddev_over_time",
                          "stdvar_over_time", "changes", "resets", "deriv",
                          "present_over_time", "absent_over_time"))
            if f in ("rate", "increase"):
                return self.call(f, expr("%s[%s]%s" % (
                    r.choice(("c_total", "d_total",
                              'c_total{job=~"a.+|web",instance!="2"}')),
                    self.window(), self.offset()), "range"))
            return self.call(f, self.range(depth))
        if k < 0.38:
            return self.call("quantile_over_time", r.choice(
                ("0.5", "0.9", "0", "1", "1.5", "-1")), self.range(depth))
        if k < 0.41:
            return self.call("predict_linear", self.range(depth),
                             self.scalar(0))
        if k < 0.58:
            return self.aggregation("agg", r.choice(
                ("sum", "avg", "count", "min", "max", "group", "stddev",
                 "stdvar")), self.vector(depth - 1))
        if k < 0.62:
            return self.aggregation("agg", "quantile", r.choice(
                ("0.5", "0.9", "0", "1")), self.vector(depth - 1))
        if k < 0.65:
            text = r.choice(("g", "h", "odd", "c_total", 'g{zone="a"}',
                             "delta(g[5m3s7ms])", "rate(d_total[20m1s9ms])"))
            return self.aggregation("topk", r.choice(("topk", "bottomk")),
                                    r.choice(("1", "3", "0", "100")),
                                    expr(text, "leaf"))
        if k < 0.67:
            v = self.vector(depth - 1)
            return self.aggregation("agg", "count_values", '"v"', expr(
                "round(%s, 100)" % v, "call", "round", [v]))
        if k < 0.75:
            return self.call(r.choice((
                "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10",
                "sgn", "round", "sort", "sort_desc", "day_of_week", "hour",
                "minute", "month", "year", "days_in_month", "day_of_year",
                "sin", "cos", "atan", "deg", "rad", "timestamp", "absent")),
                self.vector(depth - 1))
        if k < 0.77:
            return self.call("clamp", self.vector(depth - 1), self.scalar(0),
                             self.scalar(0))
        if k < 0.79:
            return self.call(
                "label_replace", self.vector(depth - 1),
                '"%s"' % r.choice(("job", "new", "zone")), '"x$1"',
                '"%s"' % r.choice(("job", "instance")),
                '"%s"' % r.choice(("(.*)", "(a).*", "[12]")))
        if k < 0.80:
            return self.call("label_join", self.vector(depth - 1),
                             '"joined"', '"-"', '"job"', '"zone"')
        if k < 0.83:
            return self.call("histogram_quantile", r.choice(
                ("0.5", "0.9", "0.99", "0", "1")), expr(r.choice(
                    ("lat_bucket", "rate(lat_bucket[5m3s])",
                     "sum by (le) (rate(lat_bucket[5m3s]))",
                     'lat_bucket{le!="1"}', 'lat_bucket{le!="+Inf"}')),
                    "leaf"))
        if k < 0.85:
            v = self.vector(max(depth - 1, 0))
            v = expr("sum by (job) (%s)" % v, "agg", "sum", [v])
            return expr("-" + v, "call", "-", [v])
        if k < 0.91:
            a, b = self.vector(depth - 1), self.scalar(depth - 1)
            if r.random() < 0.3:
                a, b = b, a
            return self.binop(a, self.op(), "", b)
        if k < 0.94:
            return self.binop(self.vector(depth - 1),
                              r.choice(("and", "or", "unless")),
                              r.choice(("", " on (job)", " ignoring (zone)",
                                        " on ()")), self.vector(depth - 1))
        match = r.choice(("", " ignoring (zone)", " on (job, instance)",
                          " on (job) group_left ()",
                          " on (job) group_left (zone)",
                          " on (job) group_right ()",
                          " ignoring (instance, zone) group_left ()"))
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        if "group_left" in match:
            right = expr("sum by (job) (%s)" % right, "agg", "sum", [right])
        if "group_right" in match:
            left = expr("max by (job) (%s)" % left, "agg", "max", [left])
        return self.binop(left, self.op(), match, right)

    def binop(self, a, op, match, b):
        return expr("(%s %s%s %s)" % (a, op, match, b), "binop", op, [a, b])

    def op(self):
        r = self.r
        if r.random() < 0.6:
            return r.choice(("+", "-", "*", "/", "%", "^"))
        return r.choice(("==", "!=", "<", ">", "<=", ">=")) + \
            r.choice(("", " bool"))

    def query(self):
        if self.r.random() < 0.03:
            return self.scalar(2)
        return self.vector(self.r.choice((1, 2, 2, 3, 3)))


def ask(base, start, end, step, query):
    if step == 0:
        url, params = "/api/v1/query", {"query": query, "time": start}
    else:
        url, params = "/api/v1/query_range", {
            "query": query, "start": start, "end": end, "step": step}
    data = urllib.parse.urlencode(params).encode()
    try:
        with urllib.request.urlopen(base + url, data, timeout=60) as f:
            return json.load(f)["data"]
    except urllib.error.HTTPError as e:
        return {"error": json.load(e)["error"]}


def same_value(a, b):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or abs(a - b) < 1e-9


def difference(want, got, ordered):
    """None, or what differs."""
    if "error" in want or "error" in got:
        if ("error" in want) != ("error" in got):
            return "error: %s / %s" % (want.get("error"), got.get("error"))
        return None
    if want["resultType"] != got["resultType"]:
        return "type %s / %s" % (want["resultType"], got["resultType"])
    if want["resultType"] == "scalar":
        w, g = want["result"][1], got["result"][0]
        return None if same_value(w, g) else "scalar %s / %s" % (w, g)
    w = {key(s): samples(s) for s in want["result"]}
    g = {key(s): samples(s) for s in got["result"]}
    if w.keys() != g.keys():
        return "series: only there %s, only here %s" % (
            sorted(w.keys() - g.keys())[:3], sorted(g.keys() - w.keys())[:3])
    if ordered and [key(s) for s in want["result"]] != \
            [key(s) for s in got["result"]]:
        return "order"
    for k, ws in w.items():
        gs = g[k]
        if [round(x[0], 3) for x in ws] != [round(x[0], 3) for x in gs]:
            return "times of %s: %d / %d samples" % (k, len(ws), len(gs))
        for x, y in zip(ws, gs):
            if not same_value(x[1], y[1]):
                return "value of %s at %s: %s / %s" % (k, x[0], x[1], y[1])
    return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_prometheus(binary, path):
    port = free_port()
    with open(path + "/prometheus.yml", "w") as f:
        f.write("global: {}\n")
    proc = subprocess.Popen(
        [binary, "--config.file=" + path + "/prometheus.yml",
         "--storage.tsdb.path=" + path + "/data",
         "--storage.tsdb.retention.time=100y",
         "--web.listen-address=127.0.0.1:%d" % port, "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = "http://127.0.0.1:%d" % port
    for _ in range(300):
        try:
            urllib.request.urlopen(base + "/-/ready", timeout=1)
            return proc, base
        except OSError:
            time.sleep(0.1)
    proc.kill()
    raise SystemExit("prometheus does not get ready")


class Askers:
    """Both, asked the same: theirs() and ours()."""

    def __init__(self, base, promqleval, blocks):
        self.base = base
        self.promqleval = promqleval
        self.blocks = blocks
        self.process = None

    def theirs(self, query, start, end, step):
        return ask(self.base, start, end, step, query)

    def ours(self, query, start, end, step):
        if self.process is None:
            self.process = subprocess.Popen(
                [self.promqleval, self.blocks], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True)
        self.process.stdin.write("%d\t%d\t%d\t%s\n" % (
            round(start * 1000), round(end * 1000), round(step * 1000),
            query))
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if line == "":
            self.close()
            raise EOFError("promqleval died of: %s" % query)
        return json.loads(line)

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process = None


def run(askers, rnd, count):
    """Asks; (queries of each class, unexplained, answers that are errors)."""
    gen = Generator(rnd)
    explained, bad, errors = {}, 0, 0
    for _ in range(count):
        query = gen.query()
        start = START + rnd.randrange(0, 7000)
        end, step = start, 0
        if rnd.random() < 0.7:
            step = rnd.choice((7, 60, 61, 300))
            end = start + step * rnd.randrange(1, 40)
        want = askers.theirs(query, start, end, step)
        got = askers.ours(query, start, end, step)
        errors += "error" in want
        d = difference(want, got, step != 0)
        if d is None:
            continue
        names, at = explain(askers, query, start, end, step)
        for name in names:
            explained.setdefault(name, []).append(query)
        if at is not None:
            bad += 1
            print("%d..%d/%d %s\n\t%s\n\tnot explained: %s" %
                  (start, end, step, query, d, at), flush=True)
        elif os.environ.get("DIFFTEST_VERBOSE"):
            print("%d..%d/%d %s\n\t%s\n\t%s" %
                  (start, end, step, query, d, ", ".join(names)), flush=True)
    return explained, bad, errors


def main():
    promqleval, prometheus, promtool = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    rnd = random.Random(seed)
    path = tempfile.mkdtemp(prefix="difftest-")
    proc = askers = None
    try:
        make_block(promtool, path, rnd)
        # ours reads a copy: prometheus may compact its own
        shutil.copytree(path + "/data", path + "/copy")
        proc, base = start_prometheus(prometheus, path)
        askers = Askers(base, promqleval, path + "/copy")
        explained, bad, errors = run(askers, rnd, count)
    finally:
        if askers is not None:
            askers.close()
        if proc is not None:
            proc.terminate()
            proc.wait(20)
        shutil.rmtree(path, ignore_errors=True)
    for name, _, since, reason in CLASSES:
        if name in explained:
            print("%6d  %s (%s): %s" % (len(explained[name]), name,
                                        since or "no release", reason))
    print("%d queries (%d are errors), seed %d: %d differences not explained"
          % (count, errors, seed, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    sys.exit(main())
