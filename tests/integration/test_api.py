# SPDX-License-Identifier: ISC
"""The HTTP API beside Debian's prometheus: same requests, same data.

What is compared is what a client sees: status, the headers that mean
something, the body. Where the reference's newer releases differ from
Debian's, the newer answer is spelled out here.
"""

import contextlib
import gzip
import http.client
import json
import time
import urllib.parse
import zlib

import pytest

from brazier import Brazier, Prometheus, Target, config, wait_for

START = int(time.time()) - 20
AT = START + 5
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HEADERS = ("Content-Type", "Content-Encoding", "Allow", "Location",
           "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
           "Access-Control-Expose-Headers")


def exposition():
    lines = [f'a_total{{i="{i}"}} {i * 10}' for i in range(5)]
    lines += ['g{x="a"} 1.5', 'g{x="b"} NaN', 'g{x="c"} +Inf', "big 1e21",
              'h_bucket{le="+Inf"} 2', 'h_bucket{le="1.0"} 1', "h_count 2", "h_sum 3"]
    return "# TYPE a_total counter\n" + "".join(
        f"{line} {START}000\n" for line in lines)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        encoding = headers.get("Content-Encoding")
        self.body = (gzip.decompress(body) if encoding == "gzip" and body else
                     zlib.decompress(body) if encoding == "deflate" and body else
                     body)

    @property
    def json(self):
        return json.loads(self.body)


def ask(port, method, path, headers=None, data=None):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        conn.request(method, path, body=data,
                     headers={"Accept-Encoding": "identity", **(headers or {})})
        r = conn.getresponse()
        headers = {}
        for k, v in r.getheaders():
            headers[k] = f"{headers[k]}, {v}" if k in headers else v
        return Answer(r.status, headers, r.read())
    finally:
        conn.close()


@contextlib.contextmanager
def beside(*flags, prefix="", samples=True):
    """Both servers over one target, once both have stored what it has."""
    with Target(exposition) as t, contextlib.ExitStack() as stack:
        cfg = config({"t": [t.address]})
        b = stack.enter_context(Brazier(cfg, flags))
        b.url += prefix
        b.start(wait=False)
        p = stack.enter_context(Prometheus(cfg, flags, prefix=prefix))
        b.wait_ready()
        for s in (b, p) if samples else ():
            wait_for("the target's samples", lambda s=s: s.query(
                "h_count", time=AT))
        yield p, b


@pytest.fixture(scope="module")
def pair():
    with beside() as both:
        yield both


@pytest.fixture(scope="module")
def brazier(pair):
    return pair[1]


def compare(pair, method, path, headers=None, data=None, body=True):
    p, b = (ask(s.port, method, path, headers, data) for s in pair)
    request = (method, path, headers, data)
    assert b.status == p.status, (request, b.body, p.body)
    for h in HEADERS:
        assert b.headers.get(h) == p.headers.get(h), (request, h)
    if body and method != "HEAD":
        assert b.body == p.body, request
    return b


def api(path, **params):
    return f"/api/v1/{path}?{urllib.parse.urlencode(params, doseq=True)}"


EXPRESSIONS = (
    "1", "1+1", "a_total", "g", "big", "nan()", "up{", "rate(a_total[5m])",
    "a_total[5m]", '"str"', "sum(a_total) by (i)", "histogram_quantile(0.5,h_bucket)",
    "foo(", "1/0", "time()", 'absent(zz{a="b"})', '{x=~".*"}', "topk(2, a_total)",
    'label_replace(a_total,"a","$1","b","(")', '"\x01<&>\u2028\xe9"')


def test_instant_queries(pair):
    for expr in EXPRESSIONS:
        compare(pair, "GET", api("query", query=expr, time=AT))
        compare(pair, "POST", "/api/v1/query", FORM,
                urllib.parse.urlencode({"query": expr, "time": AT}))


def test_range_queries(pair):
    for expr in EXPRESSIONS:
        params = api("query_range", query=expr, start=AT - 10, end=AT, step=5)
        p, b = (ask(s.port, "GET", params) for s in pair)
        assert b.status == p.status, expr
        # newer releases name the parameter here too
        assert b.body.replace(b'invalid parameter \\"query\\": ', b"") == \
            p.body, expr
    for bad in ("start=1", "end=1&step=1", "start=2&end=1&step=1", "start=a&end=1&step=1",
                "start=1&end=b&step=1", "start=0&end=11001&step=1", "start=0&end=11000&step=1",
                "start=1&end=2&step=0", "start=1&end=2&step=-1", "start=1&end=2&step=x",
                "start=1&end=2&step=NaN", "start=0&end=10&step=0.0001", "start=1&end=1&step=1e10",
                "start=1&end=1&step=99999999999", "start=1&end=2&step=1&timeout=x"):
        compare(pair, "GET", "/api/v1/query_range?query=1&" + bad)


def test_times_and_durations(pair):
    for t in ("1.5", "-1", "1e3", "+5", "1.0004", "1435781451.781",
              "2015-07-01T20:10:51.781Z", "2015-07-01T20:10:51.781+02:00"):
        compare(pair, "GET", api("query", query="time()", time=t))
    for t in ("abc", " 1", "2015-07-01", "0x10", "--1"):
        p, b = (ask(s.port, "GET", api("query", query="1", time=t)) for s in pair)
        assert (b.status, b.body) == (p.status, p.body.replace(b"Invalid", b"invalid"))
    for d in ("abc", "1s", "0", "-1", "1", "5m3s", "1e10", "9999999999999", "NaN"):
        p, b = (ask(s.port, "GET", api("query", query="1", time=5, timeout=d))
                for s in pair)
        assert b.status == p.status, d
        if b.status == 503:
            assert b.json == {
                "status": "error", "errorType": "timeout",
                "error": "query timed out in query execution"}
        else:
            assert b.body == p.body, d


def test_forms(pair):
    for ctype in ("application/x-www-form-urlencoded", "text/plain", "application/json",
                  "application/x-www-form-urlencoded; charset=utf-8"):
        for body in ("query=1&time=5", "query=%2B1&time=5", "", "query=a&query=b&time=5"):
            for path in ("/api/v1/query", "/api/v1/query?query=2&time=6"):
                if b"resultType" in ask(pair[0].port, "POST", path,
                                        {"Content-Type": ctype}, body).body:
                    compare(pair, "POST", path, {"Content-Type": ctype}, body,
                            body="time" in path or "form" in ctype)
    # a body over the limit is cut off there; the client may not read why
    with contextlib.suppress(OSError):
        assert ask(pair[1].port, "POST", "/api/v1/query", FORM,
                   "query=" + "1" * (11 << 20)).status == 413


def test_metadata(pair):
    for params in ("", "?match[]=a_total", "?match[]={", "?match[]={}", "?start=5&end=1",
                   "?match[]=a_total&match[]=g", f"?start={START - 100}&end={START + 100}",
                   "?match[]=rate(a_total[5m])", "?match[]=" + urllib.parse.quote('{x=~".*"}'),
                   "?match%5B%5D=g", "?limit=", "?limit=0", "?limit=1000",
                   f"?match[]=a_total&start={START + 10000}&end={START + 20000}"):
        compare(pair, "GET", "/api/v1/labels" + params)
        compare(pair, "GET", "/api/v1/label/i/values" + params)
        compare(pair, "GET", "/api/v1/series" + params)
        compare(pair, "POST", "/api/v1/series", FORM, params[1:])
        if "=" in params:
            compare(pair, "POST", "/api/v1/labels", FORM, params[1:])
    for name in ("__name__", "i", "nope", "job"):
        compare(pair, "GET", f"/api/v1/label/{name}/values")


def test_limits_as_newer_releases(brazier):
    def get(path):
        a = ask(brazier.port, "GET", "/api/v1/" + path)
        return a.status, a.json
    truncated = ["results truncated due to limit"]
    assert get("labels?limit=1") == (200, {
        "status": "success", "data": ["__name__"], "warnings": truncated})
    assert get("label/i/values?limit=2") == (200, {
        "status": "success", "data": ["0", "1"], "warnings": truncated})
    assert len(get("series?limit=3&match[]=a_total")[1]["data"]) == 3
    status, answer = get(f"query?query=a_total&limit=2&time={AT}")
    assert len(answer["data"]["result"]) == 2 and answer["warnings"] == truncated
    for path in ("labels", "label/i/values", "series", "query"):
        more = "&match[]=up" if path == "series" else "&query=up"
        status, answer = get(f"{path}?limit=x{more}")
        assert status == 400 and answer["errorType"] == "bad_data", path
        assert answer["error"] == \
            'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'
        status, answer = get(f"{path}?limit=-1{more}")
        assert answer["error"] == 'invalid parameter "limit": limit must be non-negative'
    assert get("label/bad-name/values") == (200, {"status": "success", "data": []})
    assert get("status/tsdb?limit=0")[0] == 400
    assert get("status/tsdb?limit=10001")[1]["error"] == "limit must not exceed 10000"
    assert len(get("status/tsdb?limit=1")[1]["data"]["seriesCountByMetricName"]) == 1
    status, answer = get("parse_query?query=a%7Bb%3D%22c%22%7D")
    assert status == 200 and answer["data"]["type"] == "vectorSelector"


def shape(v):
    if isinstance(v, dict):
        return {k: shape(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(v[0])] if v else []
    return "number" if isinstance(v, (int, float)) and not isinstance(v, bool) \
        else type(v).__name__


def test_status_has_the_reference_s_shape(pair):
    newer = {"runtimeinfo": {"hostname", "serverTime", "GOMEMLIMIT"}}
    for name in ("buildinfo", "runtimeinfo", "tsdb", "walreplay", "config"):
        p, b = (shape(ask(s.port, "GET", "/api/v1/status/" + name).json) for s in pair)
        for extra in newer.get(name, ()):
            del b["data"][extra]
        assert b == p, name
    p, b = (ask(s.port, "GET", "/api/v1/status/flags").json["data"] for s in pair)
    for flag in ("web.cors.origin", "query.timeout", "storage.tsdb.retention.time"):
        assert b[flag] == p[flag]
    for query in ("", "?state=active", "?state=dropped", "?state=any", "?scrapePool=t",
                  "?scrapePool=zz"):
        p, b = (shape(ask(s.port, "GET", "/api/v1/targets" + query).json) for s in pair)
        assert "droppedTargetCounts" in b["data"]
        del b["data"]["droppedTargetCounts"]
        for t in b["data"]["activeTargets"]:
            for label in [x for x in t["discoveredLabels"] if "_histograms" in x]:
                del t["discoveredLabels"][label]
        assert b == p, query
    compare(pair, "GET", "/api/v1/scrape_pools")
    for path in ("alertmanagers", "rules", "rules?type=alert", "rules?type=x", "alerts"):
        compare(pair, "GET", "/api/v1/" + path)


def test_paths_and_methods(pair):
    for path in ("/nothing", "/api", "/api/v1/nothing", "//metrics", "/a/../metrics", "/-/healthy/",
                 "/metrics/", "/api/v1/", "/api/v1/Query?query=1", "/api/v1/query/?query=1",
                 "/api/v1//query?query=1", "/Version", "/-/healthy", "/-/ready", "/-/reload",
                 "/-/quit", "/assets/nothing", "/user/x", "/debug/x", "/%2e%2e/metrics", "/agent"):
        compare(pair, "GET", path)
    for method in ("HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH", "TRACE", "FOO"):
        for path in ("/", "/metrics", "/version", "/nothing", "/api/v1/nothing",
                     "/api/v1/label/job/values", "/api/v1/targets", "/api/v1/status/flags",
                     "/api/v1/query/", "/Version"):
            compare(pair, method, path)
        for path in ("/-/healthy", "/-/ready"):
            p, b = (ask(s.port, method, path) for s in pair)
            assert b.status == p.status, (method, path)
    # removed in newer releases
    a = ask(pair[1].port, "DELETE", "/api/v1/series?match[]=up")
    assert a.status == 405 and a.headers["Allow"] == "GET, OPTIONS, POST"


def test_cors(pair):
    for origin in ({}, {"Origin": ""}, {"Origin": "http://a.b"}):
        for method, path in (("GET", "/api/v1/query?query=%221%22&time=1"),
                             ("GET", "/api/v1/query?query={"), ("OPTIONS", "/api/v1/query"),
                             ("OPTIONS", "/api/v1/nothing"), ("GET", "/version")):
            a = compare(pair, method, path, origin, body=path != "/version")
            # newer releases echo the origin that the expression lets in
            assert a.headers.get("Access-Control-Allow-Origin") == (
                origin.get("Origin") or None if "api" in path else None)
            assert ("Origin" in a.headers.get("Vary", "")) == ("api" in path)


def test_cors_of_some():
    with Brazier(config({}), ["--web.cors.origin=https?://(a|b)\\.c"]).start() as b:
        def allowed(origin):
            return ask(b.port, "GET", "/api/v1/labels", {"Origin": origin}).headers.get(
                "Access-Control-Allow-Origin")
        assert allowed("http://a.c") == "http://a.c"
        assert allowed("http://axc") is None
        assert allowed("http://a.c.evil") is None


def test_compression(pair):
    path = api("query", query="a_total", time=AT)
    for accept in ("gzip", "deflate", "deflate, gzip", "gzip;q=0.5", "br, gzip;q=1, deflate",
                   "GZIP", " gzip ,deflate", "identity", "zstd", ""):
        compare(pair, "GET", path, {"Accept-Encoding": accept})
        compare(pair, "GET", "/api/v1/query?query={", {"Accept-Encoding": accept})
    assert "Accept-Encoding" in ask(pair[1].port, "GET", path).headers["Vary"]


def test_pages(brazier):
    for path in ("/query", "/alerts", "/rules", "/config", "/flags", "/status", "/targets",
                 "/service-discovery", "/tsdb-status"):
        a = ask(brazier.port, "GET", path)
        assert a.status == 200 and b"<html" in a.body, path
        assert "script-src 'self'" in a.headers["Content-Security-Policy"]
        assert a.headers["X-Content-Type-Options"] == "nosniff"
    for path, to in (("/", "/query"), ("/graph?g0.expr=up", "/query?g0.expr=up")):
        a = ask(brazier.port, "GET", path)
        assert (a.status, a.headers["Location"]) == (302, to)


@pytest.mark.parametrize("flags, prefix, home", [
    (("--web.external-url=http://x/prom",), "prom/", "/prom/query"),
    (("--web.external-url=http://x:9/y", "--web.route-prefix=/pp"), "pp/", "/y/query"),
    (("--web.external-url=http://x/prom", "--web.route-prefix=/"), "", "/prom/query")])
def test_prefix(flags, prefix, home):
    with beside(*flags, prefix=prefix, samples=False) as pair:
        for path in ("/prom/nothing", "/prom/version/", "/pp/nothing", "/pp/Version",
                     "/prom/api/v1/query?query=1&time=1", "/-/ready", "/promx",
                     "/pp/api/v1/query?query=1&time=1", "/prom/prom", "//metrics/x",
                     "/api/v1/query?query=1&time=1", "/a/../prom/-/ready",
                     "/prom/api/v1/query/?query=1"):
            compare(pair, "GET", path)
        for method in ("HEAD", "OPTIONS", "POST", "DELETE"):
            compare(pair, method, "/")
            compare(pair, method, "/nothing")
        a = ask(pair[1].port, "GET", "/" + prefix)
        assert (a.status, a.headers["Location"]) == (302, home)
        if prefix:
            a = compare(pair, "GET", "/")
            assert (a.status, a.headers["Location"]) == (302, "/" + prefix[:-1])
            a = compare(pair, "GET", "/" + prefix[:-1])
            assert (a.status, a.headers["Location"]) == (301, "/" + prefix)
