# SPDX-License-Identifier: ISC
"""The main job: what is scraped is stored and can be asked for."""

import json
import time
import urllib.parse

from brazier import Brazier, Target, config, get, wait_for

SELF = config({"brazier": ["127.0.0.1:$PORT"]})


def test_monitors_itself():
    with Brazier(SELF).start() as b:
        wait_for("up", lambda: b.value("up") == 1)
        wait_for("rate of own counters", lambda: (b.value(
            "sum(rate(prometheus_tsdb_head_samples_appended_total[30s]))") or 0) > 0)
        assert b.value("prometheus_ready") == 1
        assert b.api("targets")["activeTargets"][0]["health"] == "up"
        assert "brazier" in b.api("scrape_pools")["scrapePools"]
        assert "up" in b.api("label/__name__/values")
        assert {"job", "instance", "__name__"} <= set(b.api("labels"))
        assert b.api("series", **{"match[]": "up"}) == [
            {"__name__": "up", "instance": f"127.0.0.1:{b.port}", "job": "brazier"}]
        now = time.time()
        matrix = b.api("query_range", query="up", start=now - 5, end=now, step=1)
        assert matrix["resultType"] == "matrix" and matrix["result"]
        for path in ("flags", "config", "buildinfo", "runtimeinfo", "tsdb"):
            assert b.api("status/" + path)
        assert "job_name: brazier" in b.api("status/config")["yaml"]
        assert b.api("status/flags")["storage.tsdb.path"] == str(b.data)
        status, body = get(b.url)
        assert status == 200 and b"<html" in body.lower()
        assert b.stop() == 0
        assert "See you next time!" in b.process.output()


def test_post_and_errors():
    with Brazier(SELF).start() as b:
        wait_for("up", lambda: b.value("up") == 1)
        status, body = get(b.url + "api/v1/query", data={"query": "up"})
        assert status == 200 and json.loads(body)["data"]["resultType"] == "vector"
        status, body = get(b.url + "api/v1/query?query=" + urllib.parse.quote("up{"))
        assert status == 400
        assert json.loads(body)["errorType"] == "bad_data"
        assert "parse error" in json.loads(body)["error"]
        status, body = get(b.url + "api/v1/query_range?query=up&start=0&end=1000000&step=1")
        assert status == 400 and "exceeded maximum resolution" in body.decode()
        assert get(b.url + "api/v1/nothing")[0] == 404
        assert get(b.url + "api/v1/query", method="DELETE")[0] == 405
        assert get(b.url + "-/healthy") == (200, b"Prometheus Server is Healthy.\n")
        assert get(b.url + "-/ready") == (200, b"Prometheus Server is Ready.\n")
        assert get(b.url + "-/reload")[0] == 405


def test_synthetic_series_and_staleness():
    lines = ["a_total 1\n", "b{x=\"1\"} 2\n"]
    with Target(lambda: "".join(lines)) as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("a_total", lambda: b.value("a_total") == 1)
        assert b.value("scrape_samples_scraped") == 2
        assert b.value("scrape_samples_post_metric_relabeling") == 2
        assert b.value("scrape_duration_seconds") > 0
        del lines[1]
        wait_for("b is stale", lambda: b.value("b") is None, 5)
        lines.append("c 3\n")
        wait_for("c", lambda: b.value("c") == 3, 5)
        lines.append("}{ rubbish\n")
        wait_for("up is 0", lambda: b.value("up") == 0, 5)
        # what was read before the rubbish is not marked, as with Prometheus
        assert b.value("c") == 3
        target = b.api("targets")["activeTargets"][0]
        assert target["health"] == "down" and target["lastError"]


def test_relabelling_and_limits():
    body = "keep 1\ndrop_me 2\nlabels{job=\"theirs\",a=\"b\"} 3\n"
    text = """global:
  scrape_interval: 1s
scrape_configs:
  - job_name: relabel
    static_configs:
      - targets: ["%s"]
        labels: {env: test}
    relabel_configs:
      - {source_labels: [env], target_label: stage, replacement: "x-$1"}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: drop_.*, action: drop}
  - job_name: limited
    sample_limit: 2
    static_configs:
      - targets: ["%s"]
"""
    with Target(lambda: body) as t, \
            Brazier(text % (t.address, t.address)).start() as b:
        wait_for("keep", lambda: b.value('keep{job="relabel",stage="x-test"}') == 1)
        assert b.value("drop_me") is None
        assert b.value('labels{exported_job="theirs",job="relabel"}') == 3
        wait_for("limited", lambda: b.value('up{job="limited"}') == 0)
        down = [x for x in b.api("targets")["activeTargets"]
                if x["labels"]["job"] == "limited"][0]
        assert down["lastError"] == "sample limit exceeded"
