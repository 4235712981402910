# SPDX-License-Identifier: ISC
"""A name that comes into /etc/hosts is found without a restart.

Root only: the server runs in a mount namespace of its own, where /etc/hosts
is a file of ours.
"""

import os
import re
import subprocess

import pytest

from brazier import Brazier, Process, Target, config, wait_for

NAME = "came-later.brazier.test"


class Apart(Brazier):
    """With /etc/hosts from self.dir/hosts."""

    def start(self, wait=True):
        self.hosts = self.dir / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.process = Process(
            ["unshare", "-m", "sh", "-c",
             'mount --bind "$0" /etc/hosts && exec "$@"', self.hosts,
             *self.argv()], self.dir / "log")
        if wait:
            self.wait_ready()
        return self


def may_unshare():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="needs a mount namespace")
def test_hosts_change():
    with Target(lambda: "a 1\n") as t, Apart(config({
            "named": [f"{NAME}:{t.port}"], "plain": [t.address]})).start() as b:
        wait_for("the plain one", lambda: b.value('up{job="plain"}') == 1)
        wait_for("an answer", lambda: b.value('up{job="named"}') == 0)
        pids = b.workers()
        with open(b.hosts, "a") as f:
            f.write(f"127.0.0.1 {NAME}\n")
        wait_for("the named one", lambda: b.value('up{job="named"}') == 1, 30)
        now = b.workers()
        assert {k for k in now if now[k] != pids.get(k)} == {"resolver/0"}
        restarts = {w["role"]: w["restarts"] for w in b.status()["workers"]}
        assert restarts["resolver"] == 0, restarts
        assert re.search("Resolver file has changed", b.process.output())
