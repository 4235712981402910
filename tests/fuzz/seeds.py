# SPDX-License-Identifier: ISC
"""Writes seeds for the fuzz targets: texts of each grammar, and a WAL and
head chunks that waltool has written, whose checksums no fuzzer would guess.

    python3 tests/fuzz/seeds.py WALTOOL DIR      → DIR/fuzz_NAME/…
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

WAL_PAGE = 32768

CONFIGS = [
    "global:\n  scrape_interval: 15s\n  external_labels: {a: b}\nscrape_configs:\n"
    "  - job_name: x\n    static_configs:\n      - targets: ['h:1', \"h:2\"]\n"
    "        labels: {c: d}\n    relabel_configs:\n      - source_labels: [__address__]\n"
    "        regex: '(.*):.*'\n        target_label: e\n        replacement: $1\n"
    "        action: replace\n",
    "scrape_configs:\n- job_name: y\n  scheme: https\n  basic_auth: {username: u, "
    "password_file: p}\n  tls_config: {ca_file: c, insecure_skip_verify: true}\n"
    "  params: {match: [a, b]}\n  sample_limit: 10\n  body_size_limit: 1MB\n"
    "  file_sd_configs: [{files: ['*.json'], refresh_interval: 1m}]\n",
    "rule_files: [r/*.yml]\nalerting:\n  alertmanagers:\n  - static_configs:\n"
    "    - targets: [a:9093]\nremote_write:\n- url: http://r/w\n"
    "  queue_config: {capacity: 5}\nstorage: {tsdb: {out_of_order_time_window: 5m}}\n",
]
EXPOSITIONS = [
    "# HELP a b \\\\ c\n# TYPE a counter\na{x=\"1\",y=\"\\\"\\n\"} 1.5e3 1700000000000\na 2\n",
    "# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
    "{\"u.t\",\"l.n\"=\"v\"} NaN\ns{quantile=\"0.5\"} -Inf\n",
    "# TYPE c counter\n# UNIT c_seconds seconds\nc_total 1 1.5 # {trace_id=\"a\"} 0.5 1.4\n"
    "c_created 3\n# EOF\n",
]
REQUESTS = [
    "GET /api/v1/query?query=up%7Ba%3D%22b%22%7D HTTP/1.1\r\nHost: a\r\n"
    "Accept-Encoding: gzip\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nquery=upGET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    "Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:9\r\nConnection: close, x\r\n\r\n",
]
PATTERNS = [
    b"foo(bar|baz)\xfffoobar\xfffoobaz", b".*abc.*\xffxabcx", b"(?i)ab|cd\xffAB",
    b"a|b|c|\xff\xffa", b"abc.*\xffabcd\xffab", b".+\xffa\nb", b"[a-c]x?[0-9]{1,2}\xffa12",
    b"\\Qa.b\\E\xffa.b", b"^foo$\xfffoo", b"\xc3\xb6+\xff\xc3\xb6\xc3\xb6",
]
QUERIES = [
    'sum by (a) (rate(m{x=~"a.*",y!="b"}[5m] offset 1m)) / on (a) group_left (c) n',
    "histogram_quantile(0.9, sum without (le) (h_bucket @ start())) > bool 1e3",
    "max_over_time((a + -b ^ 2)[1h:30s] @ 5) or vector(1) unless absent(c)",
    'label_replace(up, "a", "$1", "b", "(.*)") == 0x1F and topk(3, {"u.t"})',
]


def records(segment):
    """The uncompressed records of a WAL segment."""
    out, rec, pos = [], b"", 0
    while pos + 7 <= len(segment):
        if WAL_PAGE - pos % WAL_PAGE < 7 or segment[pos] == 0:
            pos += WAL_PAGE - pos % WAL_PAGE
            continue
        kind, n = struct.unpack(">BH", segment[pos:pos + 3])
        part = segment[pos + 7:pos + 7 + n]
        rec = part if kind & 7 in (1, 2) else rec + part
        pos += 7 + n
        if kind & 7 in (1, 4) and not kind & ~7:
            out.append(rec)
    return out


def storage_seeds(waltool):
    wal, chunks = [], []
    with tempfile.TemporaryDirectory() as top:
        for codec in ("none", "snappy", "lz4"):
            data = pathlib.Path(top) / codec
            data.mkdir()
            subprocess.run([waltool, "write", data, codec, "5"], check=True,
                           stdout=subprocess.DEVNULL)
            for f in sorted((data / "wal").iterdir()):
                segment = f.read_bytes()
                wal.append(b"\x00" + segment[:4000])
                wal += [b"\x40" + r[:1500] for r in records(segment)[:100:9]]
            for f in sorted((data / "chunks_head").iterdir()):
                chunks.append(f.read_bytes()[:4000])
    wal += [bytes([0x80 | k]) + b"\x10\x08\x05" + bytes(range(60)) for k in range(4)]
    return wal, chunks


def main(waltool, top):
    wal, chunks = storage_seeds(waltool)
    seeds = {
        "config": [c.encode() for c in CONFIGS],
        "exposition": [bytes([k]) + e.encode() for e in EXPOSITIONS for k in (0, 1)],
        "http": [bytes([k]) + r.encode() for r in REQUESTS for k in (2, 31)],
        "labels": [b"\x00" + p for p in PATTERNS] +
                  [b"\x01" + b"".join(b"\x07\x03a%02d\x02vv" % (i % 37) for i in range(90))],
        "promql_parse": [q.encode() for q in QUERIES],
        "wal": wal,
        "head_chunks": chunks,
    }
    for name, texts in seeds.items():
        folder = pathlib.Path(top) / f"fuzz_{name}"
        folder.mkdir(parents=True, exist_ok=True)
        for i, text in enumerate(texts):
            (folder / str(i)).write_bytes(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
