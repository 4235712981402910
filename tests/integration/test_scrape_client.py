# SPDX-License-Identifier: ISC
"""What a scrape needs to reach a target: names, gzip, secrets, TLS."""

import gzip
import ssl
import subprocess

from brazier import Brazier, Target, config, wait_for


def job(name, address, *lines):
    text = f"  - job_name: {name}\n    static_configs: [{{targets: ['{address}']}}]\n"
    return text + "".join(f"    {line}\n" for line in lines)


def yml(*jobs):
    return "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(jobs)


def target_of(b, name):
    return [t for t in b.api("targets")["activeTargets"]
            if t["labels"]["job"] == name][0]


def test_names_gzip_and_redirects():
    def zipped():
        return 200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, \
            gzip.compress(b"zipped 1\n")

    with Target(zipped) as t, Target(lambda: (
            302, {"Location": f"http://localhost:{t.port}/metrics"}, b"")) as r, \
            Brazier(config({"name": [f"localhost:{t.port}"],
                            "moved": [r.address],
                            "nowhere": ["no-such-name.invalid:1"]})).start() as b:
        wait_for("by name", lambda: b.value('zipped{job="name"}') == 1)
        wait_for("redirected", lambda: b.value('zipped{job="moved"}') == 1)
        assert t.last_headers["Accept-Encoding"] == "gzip"
        assert t.last_headers["User-Agent"].startswith("Prometheus/")
        wait_for("unknown name", lambda: b.value('up{job="nowhere"}') == 0)
        assert "no-such-name.invalid" in target_of(b, "nowhere")["lastError"]


def test_secrets_from_files():
    with Target(lambda: "a 1\n") as t, Brazier("") as b:
        secret = b.dir / "password"
        secret.write_text("first\n")
        secret.chmod(0o644)
        b.write_config(yml(job(
            "basic", t.address, f"basic_auth: {{username: u, password_file: {secret}}}")))
        b.start()
        wait_for("scraped", lambda: b.value("a") == 1)
        # the very first request had its password
        assert b.value("min_over_time(up[1m])") == 1
        assert t.last_headers["Authorization"] == "Basic dTpmaXJzdA=="
        secret.write_text("second\n")
        wait_for("changed secret is taken up", lambda:
                 t.last_headers["Authorization"] == "Basic dTpzZWNvbmQ=", 15)


def self_signed(directory):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=target",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
         directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, capture_output=True, timeout=30)
    (directory / "cert.pem").chmod(0o644)


def test_tls():
    with Target(lambda: "a 1\n") as t, Brazier("") as b:
        self_signed(b.dir)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(b.dir / "cert.pem", b.dir / "key.pem")
        t.server.socket = context.wrap_socket(t.server.socket, server_side=True)
        ca = f"{{ca_file: {b.dir}/cert.pem}}"
        b.write_config(yml(
            job("trusted", t.address, "scheme: https", f"tls_config: {ca}"),
            job("named", f"localhost:{t.port}", "scheme: https", f"tls_config: {ca}"),
            job("careless", t.address, "scheme: https",
                "tls_config: {insecure_skip_verify: true}"),
            job("wrongname", t.address, "scheme: https",
                f"tls_config: {{ca_file: {b.dir}/cert.pem, server_name: other.test}}"),
            job("unknown", t.address, "scheme: https"),
            job("plain", t.address)))
        b.start()
        for name in ("trusted", "named", "careless"):
            wait_for(name, lambda n=name: b.value(f'up{{job="{n}"}}') == 1)
        for name, text in (("wrongname", "other.test"),
                           ("unknown", "certificate signed by unknown authority"),
                           ("plain", "")):
            wait_for(name, lambda n=name: b.value(f'up{{job="{n}"}}') == 0)
            assert text in target_of(b, name)["lastError"]


def test_bad_ca_refuses_the_reload():
    with Target(lambda: "a 1\n") as t, Brazier(config({"t": [t.address]})).start() as b:
        wait_for("scraped", lambda: b.value("a") == 1)
        bad = b.dir / "bad.pem"
        bad.write_text("no certificate\n")
        bad.chmod(0o644)
        b.write_config(yml(job("t", t.address, f"tls_config: {{ca_file: {bad}}}")))
        answer = b.ctl("reload", check=False)
        assert answer.returncode != 0 and "scrape pool t" in answer.stdout + answer.stderr
        before = t.scrapes
        wait_for("scraping goes on", lambda: t.scrapes > before)
        assert b.value("up") == 1


def test_removed_target_is_marked():
    with Target(lambda: "a 1\n") as t, Target(lambda: "b 1\n") as u, \
            Brazier(config({"t": [t.address, u.address]})).start() as b:
        wait_for("both", lambda: b.value("a") == 1 and b.value("b") == 1)
        b.write_config(config({"t": [t.address]}))
        b.ctl("reload")
        wait_for("b has ended", lambda: b.value("b") is None, 10)
        assert b.value("a") == 1
        assert len(b.query("up")) == 1
