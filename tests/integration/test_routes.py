# SPDX-License-Identifier: ISC
"""Routes with little behind them: rules and alerts while there are none, what
is not in this release, and the order of targets of several scrape workers."""

import json

import pytest

from brazier import Brazier, config, get, wait_for

LATER = ["query_exemplars?query=up", "metadata", "targets/metadata", "targets/relabel_steps",
         "scrape_pools/config", "status/tsdb/blocks", "status/self_metrics", "features",
         "notifications", "notifications/live", "openapi.yaml", "search/metric_names"]


@pytest.fixture(scope="module")
def server():
    jobs = {f"job{i:02}": [f"127.0.0.1:{p}" for p in range(1, 6)] for i in reversed(range(12))}
    with Brazier(config(jobs, "10s"), ["--scrape.workers=4"]).start() as b:
        yield b


def ask(b, path, method=None):
    status, body = get(b.url + "api/v1/" + path, method=method)
    return status, json.loads(body)


def test_targets_are_in_the_order_of_pools(server):
    want = [f"job{i:02}" for i in range(12) for _ in range(5)]
    first = None
    for _ in range(5):
        targets = server.api("targets")["activeTargets"]
        assert [t["scrapePool"] for t in targets] == want
        urls = [t["scrapeUrl"] for t in targets]
        assert first in (None, urls)
        first = urls


def test_no_rules(server):
    assert ask(server, "rules") == (200, {"status": "success", "data": {"groups": []}})
    assert ask(server, "rules?type=alert")[0] == 200
    assert ask(server, "alerts") == (200, {"status": "success", "data": {"alerts": []}})
    assert ask(server, "rules?type=x") == (400, {
        "status": "error", "errorType": "bad_data",
        "error": 'invalid parameter "type": not supported value "x"'})


def test_rules_that_nobody_evaluates():
    with Brazier("rule_files: [rules.yml]\n") as b:
        (b.dir / "rules.yml").write_text("groups: []\n")
        b.start()
        for path in ("rules", "alerts"):
            status, body = ask(b, path)
            assert status == 200 and "evaluates no rules" in body["warnings"][0]


def test_later(server):
    for path in LATER:
        status, body = ask(server, path)
        assert status == 404 and body["errorType"] == "not_found", path
        assert body["error"] == "/api/v1/" + path.split("?")[0] + " is not in this release"
    assert ask(server, "admin/tsdb/snapshot", "POST") == (500, {
        "status": "error", "errorType": "unavailable", "error": "admin APIs disabled"})
    for path, text in (
            ("api/v1/write", b"remote write receiver needs to be enabled with "
                             b"--web.enable-remote-write-receiver\n"),
            ("api/v1/otlp/v1/metrics", b"otlp write receiver needs to be enabled with "
                                       b"--web.enable-otlp-receiver\n"),
            ("api/v1/read", b"/api/v1/read is not in this release\n")):
        assert get(server.url + path, method="POST") == (404, text)
    assert get(server.url + "federate") == (404, b"/federate is not in this release\n")


def test_later_with_flags():
    flags = ["--web.enable-admin-api", "--web.enable-remote-write-receiver",
             "--web.enable-otlp-receiver"]
    with Brazier(config({}), flags).start() as b:
        wait_for("ready", lambda: get(b.url + "-/ready")[0] == 200)
        status, body = ask(b, "admin/tsdb/snapshot", "POST")
        assert status == 404 and body["error"] == "/api/v1/admin/tsdb/snapshot is not in this release"
        for path in ("api/v1/write", "api/v1/otlp/v1/metrics"):
            status, text = get(b.url + path, method="POST")
            assert status == 404 and text == f"/{path} is not in this release\n".encode()
