# SPDX-License-Identifier: ISC
"""The command line of the real program: each flag with a good, a bad and a
repeated value, and each exit code of the start and the end. What Debian's
prometheus knows too is asked of both; their words must agree, but for the
program's name and the one text that 3.x spells in another way."""

import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import pytest

from brazier import BUILD, PEERS, Brazier, Process, config, free_port, get, wait_for

PROM = PEERS / "prometheus"
BOOL, STRING = "bool", "string"
# type: (a value that is none, what is said about it)
BAD = {
    "duration": ("1h30", 'not a valid duration string: "1h30"'),
    "godur": ("5", 'time: missing unit in duration "5"'),
    "int": ("x5", 'strconv.ParseFloat: parsing "x5": invalid syntax'),
    "int64": ("1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
    "float": ("x", 'strconv.ParseFloat: parsing "x": invalid syntax'),
    "bytes": ("5XB", "units: unknown unit XB in 5XB"),
    "level": ("loud", None), "format": ("xml", None),
    "enum": ("lzo", None), "messages": ("x", None),
}

# flag: (type, a good value, how status/flags shows it when not the same);
# what agent mode alone has, and what ends the program, is below
FLAGS = {
    "config.file": (STRING, "$DIR/prometheus.yml"),
    "config.auto-reload": (BOOL,),
    "config.auto-reload-interval": ("duration", "1m"),
    "web.listen-address": (STRING, "127.0.0.1:$PORT"),
    "auto-gomaxprocs": (BOOL,),
    "auto-gomemlimit": (BOOL,),
    "auto-gomemlimit.ratio": ("float", "0.5"),
    "auto-gomemlimit.refresh-interval": ("duration", "1m"),
    "web.config.file": (STRING, ""),
    "web.read-timeout": ("duration", "1m30s"),
    "web.max-connections": ("int", "1e2", "100"),
    "web.max-notifications-subscribers": ("int", "17"),
    "web.external-url": (STRING, "http://x.example/p/"),
    "web.route-prefix": (STRING, "p/", "/p"),
    "web.user-assets": (STRING, "/nowhere"),
    "web.enable-lifecycle": (BOOL,),
    "web.enable-admin-api": (BOOL,),
    "web.enable-remote-write-receiver": (BOOL,),
    "web.remote-write-receiver.accepted-protobuf-messages": (
        "messages", "io.prometheus.write.v2.Request"),
    "web.enable-otlp-receiver": (BOOL,),
    "web.console.templates": (STRING, "/c"),
    "web.console.libraries": (STRING, "/l"),
    "web.page-title": (STRING, "a <b> title"),
    "web.cors.origin": (STRING, "https?://.*"),
    "web.local-assets": (STRING, "/a"),
    "storage.tsdb.path": (STRING, "$DIR/data"),
    "storage.tsdb.min-block-duration": ("duration", "1h"),
    "storage.tsdb.max-block-duration": ("duration", "2d"),
    "storage.tsdb.max-block-chunk-segment-size": ("bytes", "64MB", "64MiB"),
    "storage.tsdb.wal-segment-size": ("bytes", "32MB", "32MiB"),
    "storage.tsdb.retention": ("duration", "20d"),
    "storage.tsdb.retention.time": ("duration", "21d", "3w"),
    "storage.tsdb.retention.size": ("bytes", "1.5GB", "1GiB512MiB"),
    "storage.tsdb.no-lockfile": (BOOL,),
    "storage.tsdb.use-lockfile": (BOOL,),
    "storage.tsdb.allow-overlapping-blocks": (BOOL,),
    "storage.tsdb.allow-overlapping-compaction": (BOOL,),
    "storage.tsdb.wal-compression": (BOOL,),
    "storage.tsdb.wal-compression-type": ("enum", "zstd"),
    "storage.tsdb.head-chunks-write-queue-size": ("int", "5"),
    "storage.tsdb.samples-per-chunk": ("int", "100"),
    "storage.tsdb.delayed-compaction.max-percent": ("int", "20"),
    "storage.tsdb.delay-compact-file.path": (STRING, "/x"),
    "storage.tsdb.block-reload-interval": ("duration", "2m"),
    "storage.tsdb.wal-sync-interval": ("duration", "500ms"),
    "storage.remote.flush-deadline": ("duration", "2m"),
    "storage.remote.read-sample-limit": ("int", "5e6", "5000000"),
    "storage.remote.read-concurrent-limit": ("int", "9"),
    "storage.remote.read-max-bytes-in-frame": ("int", "1000"),
    "web.search.max-limit": ("int", "0"),
    "rules.alert.for-outage-tolerance": ("duration", "2h"),
    "rules.alert.for-grace-period": ("duration", "20m"),
    "rules.alert.resend-delay": ("duration", "2m"),
    "rules.max-concurrent-evals": ("int64", "0x10", "16"),
    "scrape.adjust-timestamps": (BOOL,),
    "scrape.timestamp-tolerance": ("godur", "1.5ms"),
    "alertmanager.notification-queue-capacity": ("int", "99"),
    "alertmanager.notification-batch-size": ("int", "98"),
    "alertmanager.drain-notification-queue-on-shutdown": (BOOL,),
    "alertmanager.timeout": (STRING, "1s"),
    "query.lookback-delta": ("duration", "4m"),
    "query.timeout": ("duration", "90s", "1m30s"),
    "query.max-concurrency": ("int", "8.9", "8"),
    "query.max-samples": ("int", "1e6", "1000000"),
    "scrape.discovery-reload-interval": ("duration", "7s"),
    "enable-feature": (STRING, "promql-at-modifier"),
    "log.level": ("level", "debug"),
    "log.format": ("format", "json"),
    "user": (STRING, "nobody"),
    "control.path": (STRING, "$DIR/c.sock"),
    "memory.max-bytes": ("bytes", "1GiB"),
    "storage.head.max-bytes": ("bytes", "256MiB"),
    "query.pool-max-bytes": ("bytes", "256MiB"),
    "eval.pool-max-bytes": ("bytes", "64MiB"),
    "scrape.workers": ("int", "2"),
    "query.workers": ("int", "3"),
    "scrape.max-body-size": ("bytes", "16MiB"),
    "sandbox.landlock-abi-max": ("int", "2"),
}
AGENT = {
    "storage.agent.path": (STRING, "a"),
    "storage.agent.wal-segment-size": ("bytes", "32MB"),
    "storage.agent.wal-compression": (BOOL,),
    "storage.agent.wal-compression-type": ("enum", "zstd"),
    "storage.agent.wal-truncate-frequency": ("duration", "1h"),
    "storage.agent.retention.min-time": ("duration", "1m"),
    "storage.agent.retention.max-time": ("duration", "1h"),
    "storage.agent.checkpoint-from-in-memory-series": (BOOL,),
    "storage.agent.checkpoint-batch-size": ("int", "5"),
    "storage.agent.no-lockfile": (BOOL,),
    "storage.agent.use-lockfile": (BOOL,),
}
ENDING = {"agent", "write-documentation"}
REPEATABLE = {"web.listen-address", "enable-feature"}
# both in 2.42 and here, but not alike: repeatable since 3.x
CHANGED = {"web.listen-address"}


def run(program, *args, cwd=None):
    """(exit code, standard error, standard output)"""
    p = subprocess.run([program, *args], capture_output=True, text=True, timeout=60, cwd=cwd)
    return p.returncode, p.stderr, p.stdout


def run_all(calls):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda c: run(*c), calls))


def words(err):
    """Ours and theirs without the program's name."""
    err = err.replace("commandline arguments", "command line arguments")
    return re.sub(r"^(prometheus|brazierd): ", "", err, flags=re.M)


@pytest.fixture(scope="module")
def known():
    """The flags that Debian's prometheus has."""
    if not PROM.exists():
        return set()
    return set(re.findall(r"^\s+(?:-h, )?--(?:\[no-\])?([a-z][\w.-]*)",
                          run(PROM, "--help-long")[2], re.M))


def agree(known, calls):
    """The same exit code and words as Debian's prometheus, where it has the
    flag; calls are (flag, arguments, expected code, expected words)."""
    ours = run_all([(BUILD / "brazierd", *args) for _, args, _, _ in calls])
    both = [c for c in calls if c[0] in known]
    theirs = dict(zip((c[1] for c in both), run_all([(PROM, *c[1]) for c in both])))
    wrong = []
    for (flag, args, code, text), got in zip(calls, ours):
        if got[0] != code or (text is not None and text not in got[1]):
            wrong.append((args, code, text, got[:2]))
        # a wrong value: the usage, on standard output
        if code == 2 and not got[2].startswith("usage: "):
            wrong.append((args, "no usage"))
        if args in theirs and (got[0], words(got[1])) != (
                theirs[args][0], words(theirs[args][1])):
            wrong.append((args, theirs[args][:2], got[:2]))
    assert wrong == []
    return len(both)


def test_table_is_whole():
    """Every flag of the program has its row here."""
    names = set(re.findall(r"^\s+(?:-h, )?--(?:\[no-\])?([a-z][\w.-]*)",
                           run(BUILD / "brazierd", "--help-long")[2], re.M))
    library = {n for n in names if re.match(r"help|version$|completion-", n)}
    names = {n for n in names if not n.endswith(".")}  # the words of another flag's help
    assert names - library == set(FLAGS) | set(AGENT) | ENDING


def test_bad_values(known):
    calls = []
    for flag, row in (FLAGS | AGENT).items():
        if row[0] == BOOL:
            calls.append((flag, (f"--{flag}=true",), 1, "unexpected true"))
        elif row[0] == STRING:
            calls.append((flag, (f"--{flag}",), 1, f"expected argument for flag '--{flag}'"))
        else:
            value, text = BAD[row[0]]
            if row[0] in ("level", "format"):
                continue  # below: 3.x has other words
            calls.append((flag, (f"--{flag}={value}",), 2, text))
    both = agree(known, calls)
    print(len(calls), "flags,", both, "of them as Debian's prometheus")
    for flag, value, text in (
            ("log.level", "loud", "unrecognized log level loud"),
            ("log.format", "xml", "unrecognized log format xml")):
        code, err, out = run(BUILD / "brazierd", f"--{flag}={value}")
        assert (code, text in err, out[:6]) == (2, True, "usage:"), err


def test_repeated_values(known):
    calls = []
    for flag, row in (FLAGS | AGENT).items():
        args = (f"--{flag}",) * 2 if row[0] == BOOL else (f"--{flag}={row[1]}",) * 2
        if flag in REPEATABLE:
            continue
        text = None if row[0] == "messages" else f"flag '{flag}' cannot be repeated"
        calls.append((flag, args, 2, text))
    for flag in sorted(f for f, row in (FLAGS | AGENT).items() if row[0] == BOOL):
        calls.append((flag, (f"--{flag}", f"--no-{flag}"), 2, "cannot be repeated"))
    agree(known - CHANGED, calls)
    # "~" refuses to start, so that nothing goes on
    for flag in REPEATABLE:
        good = f"--{flag}={FLAGS[flag][1]}"
        code, err, _ = run(BUILD / "brazierd", good, good, "--query.timeout=~")
        assert code == 2 and "repeated" not in err


def test_good_values(tmp_path, known):
    """All at once: the server starts, and shows what was given."""
    with Brazier(config({}), directory=tmp_path) as b:
        def args(names):
            out, want = [], {}
            for flag in names:
                row = FLAGS[flag]
                if row[0] == BOOL:
                    out.append(f"--{flag}")
                    want[flag] = "true"
                    continue
                value = row[1].replace("$DIR", str(tmp_path)).replace("$PORT", str(b.port))
                want[flag] = row[2] if len(row) > 2 else value
                out.append(f"--{flag}={value}")
            return out, want

        given, want = args(FLAGS)
        if os.geteuid() != 0:
            given.remove("--user=nobody")
            del want["user"]
        b.argv = lambda: [BUILD / "brazierd", *given]
        b.url += "p/"
        b.start()
        shown = b.api("status/flags")
        assert {k: shown.get(k) for k in want} == want
        assert not any(k.startswith(("help", "completion", "version")) for k in shown)
        # what was not given has its default
        assert shown["storage.agent.path"] == "data-agent/" and shown["agent"] == "false"
        assert b.stop() == 0
        if not known:
            return
        given, want = args([f for f in FLAGS if f in known])
        p = Process([PROM, *given], tmp_path / "prom.log", cwd=tmp_path)
        try:
            wait_for("prometheus", lambda: get(b.url + "-/ready", 2)[0] == 200, 60)
            theirs = b.api("status/flags")
        finally:
            p.end()
        assert len(want) > 30
        assert {k: theirs.get(k) for k in want} == want
        # the defaults of the agent's and of our own flags aside, no other is missing here
        assert set(theirs) - set(shown) == set()


def test_flags_of_the_other_mode(known):
    """3, with the list of those given, in one pair of brackets."""
    calls = []
    for flag, row in AGENT.items():
        arg = f"--{flag}" if row[0] == BOOL else f"--{flag}={row[1]}"
        calls.append((flag, (arg,), 3, f'only be used in agent mode: ["--{flag}"]'))
    server = [f for f in FLAGS if re.match(
        r"storage\.(tsdb|remote\.read)|rules\.|query\.[lmt]|web\.search|"
        r"alertmanager\.(not|drain)", f)]
    for flag in server:
        row = FLAGS[flag]
        arg = f"--{flag}" if row[0] == BOOL else f"--{flag}={row[1]}"
        calls.append((flag, ("--enable-feature=agent", arg), 3,
                      f'not be used in agent mode: ["--{flag}"]'))

    def said(err):
        return "\n".join(x for x in err.splitlines() if not re.match(r"(ts|time)=", x))

    ours = run_all([(BUILD / "brazierd", *c[1]) for c in calls])
    theirs = run_all([(PROM, *c[1]) if c[0] in known else ("true",) for c in calls])
    for (flag, _, code, text), got, want in zip(calls, ours, theirs):
        assert got[0] == code and text in got[1], got
        if flag in known:
            assert (want[0], said(want[1])) == (got[0], said(got[1]))
    both = run(BUILD / "brazierd", "--agent", "--query.timeout=1m", "--storage.tsdb.path=x")
    assert both[0] == 3 and '["--storage.tsdb.path" "--query.timeout"]' in both[1]


# what is wrong: (arguments, exit code, words, does 2.42 end in the same way)
ENDS = {
    "help": (["--help"], 0, "usage: ", True),
    "help, short": (["-h"], 0, "usage: ", True),
    "long help": (["--help-long"], 0, "usage: ", True),
    "version": (["--version"], 0, ", version ", True),
    "version and a mistake": (["--version", "--x"], 0, ", version ", True),
    "documentation": (["--write-documentation"], 0, "--config.file", False),
    "unknown flag": (["--x"], 1, "unknown long flag '--x'", True),
    "unknown short flag": (["-x"], 1, "unknown short flag '-x'", True),
    "stray word": (["x"], 1, "unexpected x", True),
    "behind --": (["--", "--config.file=x"], 1, "unexpected --config.file=x", True),
    "arguments file": (["@/nonexistent"], 1, "open /nonexistent: no such file", True),
    "a value with no-": (["--no-config.file"], 1, "unknown long flag '--no-config.file'", True),
    "features": (["--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion"], 1,
                 "Error parsing feature list: ", False),
    "search limit": (["--web.search.max-limit=-1"], 1,
                     "--web.search.max-limit must be non-negative; got -1", False),
    "checkpoint batch": (["--agent", "--storage.agent.checkpoint-batch-size=0"], 1,
                         "--storage.agent.checkpoint-batch-size must be greater than 0.", False),
    "agent mode": (["--agent"], 1, "no agent mode yet", False),
    "memory ratio": (["--auto-gomemlimit.ratio=0"], 1,
                     "must be greater than 0 and less than or equal to 1.", False),
    "external URL": (["--web.external-url='x'"], 2, "URL must not begin or end with quotes", True),
    "external URL's port": (["--web.external-url=http://x:y"], 2, 'invalid port ":y" after host',
                            True),
    "address without port": (["--web.listen-address=foo"], 2,
                             'parse external URL "": address foo: missing port in address', True),
    "CORS": (["--web.cors.origin=("], 2,
             'could not compile CORS regex string "(": error parsing regexp: missing closing ): ',
             True),
    "no configuration": (["--config.file=$DIR/none.yml"], 2, "none.yml: no such file or directory",
                         True),
    "bad configuration": (["--config.file=$DIR/bad.yml"], 2, "field nonsense not found", True),
    "bad scrape file": (["--config.file=$DIR/scrape.yml"], 2, "field nonsense not found", False),
    "address in use": (["--web.listen-address=127.0.0.1:$USED"], 1,
                       "Unable to start web listener", True),
    "web configuration": (["--web.config.file=$DIR/none.yml"], 1,
                          "Unable to validate web configuration file", True),
    "segment size": (["--storage.tsdb.wal-segment-size=1MB"], 1,
                     "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB",
                     True),
    "chunk segment size": (["--storage.tsdb.max-block-chunk-segment-size=1KB"], 1,
                           "flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB",
                           True),
    # Debian's query log fails before and panics
    "data directory": (["--storage.tsdb.path=$DIR/bad.yml"], 1, "opening storage failed: ", False),
}


@pytest.fixture
def directory():
    """One that the service user may enter as well."""
    with tempfile.TemporaryDirectory(prefix="brazier-flags-") as name:
        os.chmod(name, 0o777)
        yield pathlib.Path(name)


@pytest.mark.parametrize("what", ENDS)
def test_exit_codes(what, directory):
    args, code, text, same = ENDS[what]
    (directory / "ok.yml").write_text("global: {}\n")
    (directory / "bad.yml").write_text("nonsense: 1\n")
    (directory / "scrape.yml").write_text("scrape_config_files: [bad.yml]\n")
    with socket.create_server(("127.0.0.1", 0)) as used:
        args = [a.replace("$DIR", str(directory)).replace(
            "$USED", str(used.getsockname()[1])) for a in args]
        for flag, value in (("config.file", directory / "ok.yml"),
                            ("storage.tsdb.path", directory / "data"),
                            ("web.listen-address", f"127.0.0.1:{free_port()}")):
            if not any(a.startswith((f"--{flag}", "--agent")) for a in args):
                args.insert(0, f"--{flag}={value}")
        ours = list(args)
        if os.geteuid() == 0:
            ours.insert(0, "--user=nobody")
        got = run(BUILD / "brazierd", *ours, cwd=directory)
        assert got[0] == code and text in got[1] + got[2], got
        if same and PROM.exists():
            want = run(PROM, *args, cwd=directory)
            assert want[0] == code and text in want[1] + want[2], want


def test_endings():
    """0 for what is asked for; a second signal ends at once."""
    def quit_by_web(b):
        assert get(b.url + "-/quit", method="POST")[0] == 200

    for how in (lambda b: b.process.popen.send_signal(signal.SIGTERM),
                lambda b: b.process.popen.send_signal(signal.SIGINT), quit_by_web,
                lambda b: b.ctl("stop")):
        with Brazier(config({})).start() as b:
            how(b)
            assert b.process.popen.wait(60) == 0
            assert "See you next time!" in b.process.output()


def test_numbers_of_queries():
    """None, or less than none, at a time: it serves one."""
    for n in ("0", "-1"):
        with Brazier(config({}), [f"--query.max-concurrency={n}"]).start() as b:
            assert b.value("vector(1)") == 1
            assert json.loads(b.ctl("-j", "status").stdout)["workers"]
