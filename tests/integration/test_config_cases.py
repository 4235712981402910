# SPDX-License-Identifier: ISC
"""Edge cases of the configuration file: `check config` says what Debian's
promtool says, but for what has changed since its release (2.42)."""

import re
import subprocess

import pytest

from brazier import BUILD, PEERS

JOB = "scrape_configs:\n- job_name: a\n"
CASES = [
    '',
    'null\n',
    '# c\n',
    'global:\n',
    'global: {}\n',
    'scrape_configs:\n',
    'scrape_configs: []\n',
    'scrape_configs: [null]\n',
    'scrape_configs: {}\n',
    JOB + '  honor_timestamps:\n',
    JOB + '  honor_timestamps: yes\n',
    JOB + "  honor_timestamps: 'yes'\n",
    JOB + '  honor_labels: 1\n',
    JOB + '  sample_limit: 1e3\n',
    JOB + '  sample_limit: 0x10\n',
    JOB + '  sample_limit: 1_000\n',
    JOB + '  sample_limit: -1\n',
    JOB + '  sample_limit: 1.5\n',
    JOB + "  sample_limit: '5'\n",
    JOB + '  sample_limit: 010\n',
    JOB + '  metrics_path:\n',
    JOB + '  metrics_path: 5\n',
    JOB + '  metrics_path: [a]\n',
    JOB + '  metrics_path: 2001-01-01\n',
    JOB + '  metrics_path: true\n',
    JOB + '  scrape_interval: 1h30m\n',
    JOB + '  scrape_interval: 1m1h\n',
    JOB + '  scrape_interval: 0\n',
    JOB + '  scrape_interval: 0s\n',
    JOB + '  scrape_interval: -5s\n',
    JOB + '  scrape_interval: 1.5s\n',
    JOB + '  scrape_interval:\n',
    JOB + "  scrape_interval: ''\n",
    JOB + '  params: {a: b}\n',
    JOB + '  params: {a: [1, true]}\n',
    JOB + '  params: {1: [x]}\n',
    JOB + '  params:\n',
    JOB + '  static_configs: [{targets: [a]}, null]\n',
    JOB + '  static_configs: [{}]\n',
    JOB + '  static_configs: [{targets: a}]\n',
    JOB + '  static_configs: [{targets: [a/b]}]\n',
    JOB + '  static_configs: [{targets: [null, 5]}]\n',
    JOB + '  static_configs: [{foo: 1}]\n',
    JOB + '  static_configs: [{targets: [a], labels: {a: 1, b: true, c: null}}]\n',
    JOB + '  relabel_configs: [{}]\n',
    JOB + '  relabel_configs: [{action: KEEP, regex: a}]\n',
    JOB + '  relabel_configs: [{action: }]\n',
    JOB + '  relabel_configs: [{target_label: a, source_labels: b}]\n',
    JOB + "  relabel_configs: [{target_label: 'a b'}]\n",
    JOB + '  relabel_configs: [{action: hashmod, target_label: a}]\n',
    JOB + '  relabel_configs: [{action: hashmod, modulus: 8.0, target_label: a}]\n',
    JOB + "  relabel_configs: [{target_label: a, regex: '('}]\n",
    JOB + "  relabel_configs: [{target_label: a, regex: '(?<x>a)'}]\n",
    JOB + '  relabel_configs: [{target_label: a, regex: 5}]\n',
    JOB + "  relabel_configs: [{action: labelmap, regex: 'a(.*)', replacement: '$1_x'}]\n",
    JOB + "  relabel_configs: [{action: labeldrop, regex: a, separator: ';'}]\n",
    JOB + '  basic_auth:\n',
    JOB + '  basic_auth: {}\n',
    JOB + '  basic_auth: {username: a}\n  oauth2: {}\n',
    JOB + '  authorization: {type: Basic}\n',
    JOB + '  tls_config: {min_version: 5}\n',
    JOB + "  proxy_url: ':bad'\n",
    JOB + "  proxy_url: 'http://a b/'\n",
    JOB + "  proxy_url: ''\n",
    JOB + '- job_name: a\n',
    'scrape_configs: [{job_name: 5}]\n',
    'scrape_configs: [{job_name: }]\n',
    'a: 1\na: 2\n',
    'global: {scrape_interval: 1m, scrape_interval: 1m}\n',
    'x: &x {job_name: a}\n',
    'scrape_configs: [&x {job_name: a}, {<<: *x, job_name: b}]\n',
    'scrape_configs:\n- &x {job_name: a}\n- <<: *x\n',
    'scrape_configs:\n\t- job_name: a\n',
    'scrape_configs: [\n',
    "'\n",
    '- a\n',
    '5\n',
    'global: 5\n',
    '---\nglobal: {}\n---\nfoo: 1\n',
    'global: {external_labels: {a: 1, b-c: x}}\n',
    'global: {external_labels: [a]}\n',
    'global: {external_labels: {a: [1]}}\n',
    'rule_files: x\n',
    'rule_files: [a*/b]\n',
    'rule_files: [5]\n',
    'storage: {tsdb: {out_of_order_time_window: 5}}\n',
    'storage: {exemplars: {max_exemplars: x}}\n',
    "remote_write: [{url: ':'}]\n",
    'remote_write: [{}]\n',
    'remote_write: [{url: x, name: a}, {url: y, name: a}]\n',
    'alerting: {alertmanagers: [{api_version: v3}]}\n',
    'tracing: {}\n',
    'tracing:\n',
    'global: !!str x\n',
    'global: {scrape_interval: !!str 5s}\n',
    'global: {query_log_file: ~}\n',
    'ï»¿global: {}\n',
    'global: {scrape_interval: "5\\x73"}\n',
    JOB + '  body_size_limit: 5\n',
    JOB + '  body_size_limit: 0\n',
    JOB + '  body_size_limit: 5MB\n',
    JOB + '  body_size_limit: 1.5KiB\n',
    JOB + '  follow_redirects: null\n',
    JOB + '  file_sd_configs: [{files: [a.txt]}]\n',
    JOB + '  dns_sd_configs: [{}]\n',
    JOB + '  dns_sd_configs: {}\n',
    JOB + '  http_sd_configs: [{url: ftp://x}]\n',
    JOB + "  http_sd_configs: [{url: 'http:///x'}]\n",
]

# What 3.x does differently, with the reason.
CHANGED = {
    "scrape_interval: 1.5s": "durations are parsed by another routine",
    "target_label: 'a b'": "all UTF-8 names are valid",
    "(?<x>a)": "Go 1.22 knows this form of a named group",
    "b-c: x": "all UTF-8 names are valid",
    "api_version: v3": "v1 is gone",
}


def words(text):
    """The message without what is ours: the line before a check's text."""
    text = text.replace("  FAILED: ", "")
    text = re.sub(r"\^\(\?:|\^\(\?s:", "^(", text)
    return re.sub(r"(parsing YAML file \S+: )line \d+: ", r"\1", text).strip()


def check(program, path):
    r = subprocess.run([program, "check", "config", "--syntax-only", path.name],
                       cwd=path.parent, capture_output=True, text=True, timeout=30)
    return r.returncode != 0, words(r.stderr)


def test_as_promtool(tmp_path):
    if not (PEERS / "promtool").exists():
        pytest.skip("no promtool")
    different = []
    for case in CASES:
        if any(text in case for text in CHANGED):
            continue
        path = tmp_path / "c.yml"
        path.write_text(case)
        want, got = check(PEERS / "promtool", path), check(BUILD / "brazierctl", path)
        if want != got:
            different.append((case, want, got))
    assert different == []
