# SPDX-License-Identifier: ISC
"""Starting brazierd and its peers on free ports of 127.0.0.1, and asking them.

Everything started here is ended by pid when its object is closed.
"""

import contextlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
PEERS = ROOT / "build/peers/usr/bin"


def free_port():
    """A port below those the kernel gives to outgoing connections: while a
    server is down between two lives, nobody must get its port."""
    while True:
        port = random.randrange(10240, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# Bounds say what a machine at rest needs; this is how much slower one may be.
PATIENCE = float(os.environ.get("PATIENCE", "4"))


def wait_for(what, check, seconds=20.0, step=0.05):
    """Waits until check() is true and returns it; fails with `what`."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return last
        except (OSError, urllib.error.URLError, ValueError, KeyError) as e:
            last = e
        time.sleep(step)
    raise AssertionError(f"{what}: not within {seconds} s (last: {last!r})")


def get(url, timeout=10.0, data=None, method=None):
    """(status, body bytes) of a request, error statuses included."""
    if isinstance(data, dict):
        data = urllib.parse.urlencode(data).encode()
    req = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(req, timeout=timeout) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


class Server:
    """Something with Prometheus's HTTP API at self.url."""

    url = ""

    def api(self, path, timeout=10.0, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        status, body = get(f"{self.url}api/v1/{path}?{query}", timeout)
        answer = json.loads(body)
        if answer["status"] != "success":
            raise ValueError(f"{path} {params}: {status} {answer}")
        return answer["data"]

    def query(self, expr, **params):
        return self.api("query", query=expr, **params)["result"]

    def value(self, expr):
        """The one value of an instant query, None when there is none."""
        result = self.query(expr)
        assert len(result) <= 1, (expr, result)
        return float(result[0]["value"][1]) if result else None

    def samples(self, selector, at=None):
        """{series as sorted JSON: {t_ms: value text}} of a range selector."""
        params = {} if at is None else {"time": at}
        out = {}
        for s in self.query(selector, **params):
            key = json.dumps(s["metric"], sort_keys=True)
            out[key] = {round(t * 1000): v for t, v in s["values"]}
        return out


class Process:
    """A child process in a group of its own, with its output in a file."""

    def __init__(self, argv, log, cwd=None, env=None):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, cwd=cwd, env=env, start_new_session=True)
        self.pid = self.popen.pid

    def output(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def end(self, sig=signal.SIGTERM, seconds=30):
        if self.popen.poll() is None:
            self.popen.send_signal(sig)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill_group()
                raise
        return self.popen.returncode

    def kill_group(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(10)
        # the others hold the listener until they too are gone
        wait_for("the group's end", lambda: not self.group_lives(), 30, 0.002)

    def group_lives(self):
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rsplit(") ", 1)[1].split()[:3]
                if int(group) == self.pid and state not in "ZX":
                    return True
        return False


class Brazier(Server):
    """brazierd with a directory of its own."""

    def __init__(self, config, flags=(), directory=None, user=None):
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="brazier-test-"))
        self.own_dir = directory is None
        self.dir.chmod(0o755)
        self.data = self.dir / "data"
        self.config = self.dir / "prometheus.yml"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.flags = list(flags)
        self.user = user
        self.process = None
        self.write_config(config)

    def write_config(self, text):
        self.config.write_text(text.replace("$PORT", str(self.port)))
        self.config.chmod(0o644)

    def argv(self):
        argv = [BUILD / "brazierd", f"--config.file={self.config}",
                f"--storage.tsdb.path={self.data}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--control.path={self.dir}/control.sock",
                "--web.enable-lifecycle", *self.flags]
        if os.geteuid() == 0 and not any(str(f).startswith("--user") for f in self.flags):
            argv.append("--user=nobody")
        return argv

    def start(self, wait=True):
        self.process = Process(self.argv(), self.dir / "log")
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=20):
        def ready():
            if self.process.popen.poll() is not None:
                raise AssertionError("brazierd ended:\n" + self.process.output()[-4000:])
            return get(self.url + "-/ready", 2)[0] == 200
        try:
            wait_for("ready", ready, seconds)
        except AssertionError:
            print(self.process.output()[-6000:])
            raise

    def ctl(self, *args, check=True):
        p = subprocess.run([BUILD / "brazierctl", "-s", f"{self.dir}/control.sock",
                            *args], capture_output=True, text=True, timeout=30)
        if check and p.returncode != 0:
            raise AssertionError(f"brazierctl {args}: {p.returncode} {p.stdout}{p.stderr}")
        return p

    def status(self):
        return json.loads(self.ctl("-j", "status").stdout)

    def workers(self):
        """{"scrape/0": pid, …} of the workers, found as children."""
        out = {}
        for p in pathlib.Path("/proc").iterdir():
            if not p.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                stat = (p / "stat").read_text()
                name, rest = re.match(r"\d+ \((.*)\) (.*)", stat, re.S).groups()
                fields = rest.split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    out.setdefault(name, []).append(int(p.name))
        return {f"{n}/{i}": pid for n, pids in out.items()
                for i, pid in enumerate(sorted(pids))}

    def stop(self, sig=signal.SIGTERM):
        return self.process.end(sig)

    def kill_tree(self):
        self.process.kill_group()

    def close(self):
        if self.process is not None and self.process.popen.poll() is None:
            try:
                self.process.end(seconds=20)
            except subprocess.TimeoutExpired:
                pass
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None and self.process is not None:
            print("---- log of brazierd ----")
            print(self.process.output()[-8000:])
        self.close()


class Prometheus(Server):
    """Debian's prometheus, unpacked."""

    def __init__(self, config, flags=(), data=None, prefix=""):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="prometheus-test-"))
        self.data = pathlib.Path(data) if data else self.dir / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/{prefix}"
        (self.dir / "prometheus.yml").write_text(config.replace("$PORT", str(self.port)))
        self.process = Process(
            [PEERS / "prometheus", f"--config.file={self.dir}/prometheus.yml",
             f"--storage.tsdb.path={self.data}",
             f"--web.listen-address=127.0.0.1:{self.port}", *flags],
            self.dir / "log", cwd=self.dir)

        def ready():
            if self.process.popen.poll() is not None:
                raise AssertionError(self.process.output()[-4000:])
            return get(self.url + "-/ready", 2)[0] == 200
        wait_for("prometheus ready", ready, 60)

    def close(self):
        self.process.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class NodeExporter:
    """Debian's node_exporter on a free port."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="node-test-"))
        self.port = free_port()
        self.process = Process(
            [PEERS / "prometheus-node-exporter",
             f"--web.listen-address=127.0.0.1:{self.port}",
             "--no-collector.textfile"], self.dir / "log")
        wait_for("node_exporter", lambda: get(
            f"http://127.0.0.1:{self.port}/metrics", 5)[0] == 200)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.end()
        shutil.rmtree(self.dir, ignore_errors=True)


class Target:
    """An HTTP target whose body is what `body()` returns at the time."""

    def __init__(self, body):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.scrapes += 1
                outer.last_headers = dict(self.headers)
                answer = outer.body()
                status = 200
                headers = {"Content-Type": "text/plain; version=0.0.4"}
                if isinstance(answer, tuple):
                    status, headers, answer = answer
                if isinstance(answer, str):
                    answer = answer.encode()
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.body = body
        self.scrapes = 0
        self.last_headers = {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def config(jobs, interval="1s", extra=""):
    """A configuration: {job name: [addresses]}."""
    text = f"global:\n  scrape_interval: {interval}\n{extra}scrape_configs:\n"
    for job, targets in jobs.items():
        quoted = ", ".join(f'"{t}"' for t in targets)
        text += (f"  - job_name: {job}\n    static_configs:\n"
                 f"      - targets: [{quoted}]\n")
    return text
