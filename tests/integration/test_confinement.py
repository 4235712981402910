# SPDX-License-Identifier: ISC
"""What the kernel says of each worker's confinement."""

import os
import pathlib
import subprocess

import pytest

from brazier import BUILD, Brazier, config, wait_for

SELF = config({"brazier": ["127.0.0.1:$PORT"]})


def proc_status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_workers_are_locked_in():
    with Brazier(SELF).start() as b:
        wait_for("up", lambda: b.value("up") == 1)
        workers = b.workers()
        roles = {n.split("/")[0] for n in workers}
        assert {"storage", "scrape", "query", "web", "resolver"} <= roles
        for name, pid in workers.items():
            s = proc_status(pid)
            if os.geteuid() == 0:
                assert "0" not in s["Uid"].split(), (name, s["Uid"])
                assert "0" not in s["Gid"].split(), (name, s["Gid"])
            assert s["Groups"].split() == [] or os.geteuid() != 0, name
            assert s["Seccomp"].strip() == "2", name
            assert s["NoNewPrivs"].strip() == "1", name
            for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(s[cap], 16) == 0, (name, cap, s[cap])
        listed = {w["name"]: w for w in b.status()["workers"]}
        for w in listed.values():
            assert w["seccomp"] and w["no_new_privs"], w
            assert w["landlock_abi"] >= 1 or w["missing"], w


def test_supervisor_links_no_parser():
    needed = subprocess.run(["readelf", "-d", BUILD / "brazierd"], capture_output=True,
                            text=True, check=True).stdout
    for lib in ("yaml", "curl", "ssl", "crypto", "re2", "snappy", "zstd", "lz4",
                "deflate", "jansson", "libz."):
        assert lib not in needed, needed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_runs_as_an_ordinary_user(tmp_path):
    """Everything but the switch of users holds without root."""
    import tempfile
    directory = pathlib.Path(tempfile.mkdtemp(prefix="brazier-user-"))
    os.chown(directory, 65534, 65534)
    try:
        with Brazier(SELF, directory=directory, flags=["--user="]) as b:
            argv = [a for a in b.argv() if not str(a).startswith("--user")]
            b.argv = lambda: ["setpriv", "--reuid=65534", "--regid=65534",
                              "--clear-groups", *argv]
            b.start()
            wait_for("up", lambda: b.value("up") == 1)
            for name, pid in b.workers().items():
                s = proc_status(pid)
                assert s["Seccomp"].strip() == "2" and s["NoNewPrivs"].strip() == "1", name
    finally:
        subprocess.run(["rm", "-rf", directory], check=False)
