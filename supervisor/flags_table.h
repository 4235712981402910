/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_FLAGS_TABLE_H
#define BRAZIER_SUPERVISOR_FLAGS_TABLE_H

/*
 * Every command line flag and every feature name, once. The parser, the help
 * texts, the checks, status/flags, the completion scripts and the manual's
 * test all read these two tables and nothing else.
 *
 * FLAG_TABLE(X): X(ID, name, type, default, mode, attributes, since, values,
 *	help)
 *	default  text as a user would write it; NULL = unset
 *	values   enumerations: allowed words, comma separated; else the
 *		 placeholder of the help text or NULL
 *	since    release of the reference that first had it; "ours" = Brazier's
 *
 * FEATURE_TABLE(X): X(ID, name, state, flag)
 *	flag     for FEATURE_ALIAS: the boolean flag that it switches on
 */

/* Attributes. */
#define FA_NONE		0u
#define FA_REPEAT	1u	/* may be given more than once */
#define FA_HIDDEN	2u	/* in --help-long only */
#define FA_LIBRARY	4u	/* not in status/flags (help, version, …) */
#define FA_NO_EFFECT	8u	/* checked and shown, does nothing yet */
#define FA_DEPRECATED	16u	/* the reference has dropped it */
#define FA_OURS		32u	/* unknown to the reference */

#define FA_HN	(FA_HIDDEN | FA_NO_EFFECT)
#define FA_HD	(FA_HIDDEN | FA_DEPRECATED)

#define FLAG_TABLE(X) \
X(HELP, "help", BOOL, NULL, BOTH, FA_LIBRARY, "2.42", NULL, \
    "Show this help (see also --help-long and --help-man).") \
X(HELP_LONG, "help-long", BOOL, NULL, BOTH, FA_LIBRARY | FA_HIDDEN, "2.42", NULL, \
    "Show the help with the hidden flags.") \
X(HELP_MAN, "help-man", BOOL, NULL, BOTH, FA_LIBRARY | FA_HIDDEN, "2.42", NULL, \
    "Print a manual page.") \
X(COMPLETION_BASH, "completion-bash", BOOL, NULL, BOTH, FA_LIBRARY | FA_HIDDEN, "2.42", NULL, \
    "Print the words that may complete the command line.") \
X(COMPLETION_SCRIPT_BASH, "completion-script-bash", BOOL, NULL, BOTH, FA_LIBRARY | FA_HIDDEN, \
    "2.42", NULL, "Print a completion script for bash.") \
X(COMPLETION_SCRIPT_ZSH, "completion-script-zsh", BOOL, NULL, BOTH, FA_LIBRARY | FA_HIDDEN, \
    "2.42", NULL, "Print a completion script for zsh.") \
X(VERSION, "version", BOOL, NULL, BOTH, FA_LIBRARY, "2.42", NULL, \
    "Show the version and end.") \
X(CONFIG_FILE, "config.file", STRING, "prometheus.yml", BOTH, FA_NONE, "seed", NULL, \
    "Configuration file.") \
X(CONFIG_AUTO_RELOAD, "config.auto-reload", BOOL, "false", BOTH, FA_NONE, "3.14", NULL, \
    "Reload when the configuration or a file that it names changes.") \
X(CONFIG_AUTO_RELOAD_INTERVAL, "config.auto-reload-interval", DURATION, "30s", BOTH, \
    FA_NONE, "3.14", NULL, "How often to look for such changes; at least 1s.") \
X(WEB_LISTEN_ADDRESS, "web.listen-address", STRINGS, "0.0.0.0:9090", BOTH, FA_REPEAT, "seed", NULL, \
    "Address (host:port) for the user interface, the API and telemetry.") \
X(AUTO_GOMAXPROCS, "auto-gomaxprocs", BOOL, "true", BOTH, FA_NO_EFFECT, "3.14", NULL, \
    "Fit the number of query workers to the CPU quota of the container.") \
X(AUTO_GOMEMLIMIT, "auto-gomemlimit", BOOL, "true", BOTH, FA_NONE, "3.14", NULL, \
    "Divide the container's memory limit among the workers, not the machine's memory.") \
X(AUTO_GOMEMLIMIT_RATIO, "auto-gomemlimit.ratio", FLOAT, "0.9", BOTH, FA_NONE, "3.14", NULL, \
    "Share of the memory that is divided; above 0, at most 1.") \
X(AUTO_GOMEMLIMIT_REFRESH, "auto-gomemlimit.refresh-interval", DURATION, "0s", BOTH, FA_NO_EFFECT, \
    "3.14-dev", NULL, "How often to look at the memory limit again; 0s = at start only.") \
X(WEB_CONFIG_FILE, "web.config.file", STRING, "", BOTH, FA_NONE, "2.42", NULL, \
    "File with the settings for TLS, passwords and headers of the web server. This " \
    "release cannot do what such a file asks for and does not start with one.") \
X(WEB_READ_TIMEOUT, "web.read-timeout", DURATION, "5m", BOTH, FA_NONE, "seed", NULL, \
    "Longest time to read a request; idle connections end after it too.") \
X(WEB_MAX_CONNECTIONS, "web.max-connections", INT, "512", BOTH, FA_NONE, "seed", NULL, \
    "Most connections at a time, over all addresses.") \
X(WEB_MAX_SUBSCRIBERS, "web.max-notifications-subscribers", INT, "16", BOTH, FA_NO_EFFECT, "3.14", NULL, \
    "Most listeners to live notifications.") \
X(WEB_EXTERNAL_URL, "web.external-url", STRING, "", BOTH, FA_NONE, "seed", "<URL>", \
    "URL under which users reach this server, behind a reverse proxy for example. Links " \
    "in alerts and pages use it; its path prefixes all routes. Made from the host's name " \
    "and the first listen address when missing.") \
X(WEB_ROUTE_PREFIX, "web.route-prefix", STRING, "", BOTH, FA_NONE, "seed", "<path>", \
    "Prefix of all routes inside this server; the path of --web.external-url when missing.") \
X(WEB_USER_ASSETS, "web.user-assets", STRING, "", BOTH, FA_NO_EFFECT, "seed", "<path>", \
    "Directory of static files served below /user.") \
X(WEB_ENABLE_LIFECYCLE, "web.enable-lifecycle", BOOL, "false", BOTH, FA_NONE, "seed", NULL, \
    "Allow /-/reload and /-/quit.") \
X(WEB_ENABLE_ADMIN_API, "web.enable-admin-api", BOOL, "false", BOTH, FA_NO_EFFECT, "seed", NULL, \
    "Allow the administrative part of the API.") \
X(WEB_REMOTE_WRITE, "web.enable-remote-write-receiver", BOOL, "false", BOTH, FA_NO_EFFECT, "seed", NULL, \
    "Accept remote write requests.") \
X(WEB_RW_MESSAGES, "web.remote-write-receiver.accepted-protobuf-messages", ENUMS, \
    "prometheus.WriteRequest,io.prometheus.write.v2.Request", BOTH, FA_REPEAT | FA_NO_EFFECT, "3.14", \
    "prometheus.WriteRequest,io.prometheus.write.v2.Request", \
    "Remote write messages to accept.") \
X(WEB_OTLP, "web.enable-otlp-receiver", BOOL, "false", BOTH, FA_NO_EFFECT, "3.14", NULL, \
    "Accept OTLP metrics.") \
X(WEB_CONSOLE_TEMPLATES, "web.console.templates", STRING, "consoles", BOTH, FA_NO_EFFECT, "seed", NULL, \
    "Directory of console templates, served below /consoles.") \
X(WEB_CONSOLE_LIBRARIES, "web.console.libraries", STRING, "console_libraries", BOTH, FA_NO_EFFECT, "seed", NULL, \
    "Directory of console libraries.") \
X(WEB_PAGE_TITLE, "web.page-title", STRING, \
    "Prometheus Time Series Collection and Processing Server", BOTH, FA_NONE, "seed", NULL, \
    "Title of the pages.") \
X(WEB_CORS_ORIGIN, "web.cors.origin", STRING, ".*", BOTH, FA_NONE, "seed", NULL, \
    "Regular expression, anchored at both ends, of origins that may read answers.") \
X(WEB_LOCAL_ASSETS, "web.local-assets", STRING, "", BOTH, FA_DEPRECATED | FA_NO_EFFECT, "2.42", NULL, \
    "Debian's name for the directory of the web files; they are part of the program here.") \
X(TSDB_PATH, "storage.tsdb.path", STRING, "data/", SERVER, FA_NONE, "seed", NULL, \
    "Data directory.") \
X(TSDB_MIN_BLOCK, "storage.tsdb.min-block-duration", DURATION, "2h", SERVER, FA_HIDDEN, "seed", NULL, \
    "Time range of a block when it is first written.") \
X(TSDB_MAX_BLOCK, "storage.tsdb.max-block-duration", DURATION, NULL, SERVER, FA_HN, "seed", "<duration>", \
    "Longest time range of a compacted block; a tenth of the retention time when missing.") \
X(TSDB_CHUNK_SEGMENT, "storage.tsdb.max-block-chunk-segment-size", BYTES, NULL, SERVER, FA_HN, "seed", NULL, \
    "Largest chunk file in a block.") \
X(TSDB_WAL_SEGMENT, "storage.tsdb.wal-segment-size", BYTES, NULL, SERVER, FA_HIDDEN, "seed", NULL, \
    "Size at which a new file of the write-ahead log begins, 10MB to 256MB.") \
X(TSDB_RETENTION, "storage.tsdb.retention", DURATION, NULL, SERVER, FA_DEPRECATED, "seed", NULL, \
    "Old name of --storage.tsdb.retention.time.") \
X(TSDB_RETENTION_TIME, "storage.tsdb.retention.time", DURATION, NULL, SERVER, FA_NO_EFFECT, "seed", NULL, \
    "How long samples are kept. 15d if neither this nor a size is given. " \
    "Units: y, w, d, h, m, s, ms.") \
X(TSDB_RETENTION_SIZE, "storage.tsdb.retention.size", BYTES, NULL, SERVER, FA_NO_EFFECT, "seed", NULL, \
    "How many bytes of blocks are kept. The unit is required: B, KB, MB, GB, TB, PB, EB, " \
    "powers of 1024.") \
X(TSDB_NO_LOCKFILE, "storage.tsdb.no-lockfile", BOOL, "false", SERVER, FA_NONE, "seed", NULL, \
    "Do not lock the data directory.") \
X(TSDB_USE_LOCKFILE, "storage.tsdb.use-lockfile", BOOL, "true", SERVER, FA_DEPRECATED, "2.42", NULL, \
    "Debian's opposite of --storage.tsdb.no-lockfile.") \
X(TSDB_OVERLAP_BLOCKS, "storage.tsdb.allow-overlapping-blocks", BOOL, "true", SERVER, FA_HD, "seed", NULL, \
    "Always on.") \
X(TSDB_OVERLAP_COMPACTION, "storage.tsdb.allow-overlapping-compaction", BOOL, "true", SERVER, FA_HN, "3.14", NULL, \
    "Compact blocks that overlap.") \
X(TSDB_WAL_COMPRESSION, "storage.tsdb.wal-compression", BOOL, "true", SERVER, FA_HIDDEN, "seed", NULL, \
    "Compress the write-ahead log.") \
X(TSDB_WAL_COMPRESSION_TYPE, "storage.tsdb.wal-compression-type", ENUM, "snappy", SERVER, FA_HIDDEN, "3.14", \
    "snappy,zstd,lz4", \
    "How the write-ahead log is compressed. Records in lz4 are Brazier's own: Prometheus " \
    "skips them without a word.") \
X(TSDB_WRITE_QUEUE, "storage.tsdb.head-chunks-write-queue-size", INT, "0", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Queue of head chunks on their way to the disk; 0 = none.") \
X(TSDB_SAMPLES_PER_CHUNK, "storage.tsdb.samples-per-chunk", INT, "120", SERVER, FA_HIDDEN, "3.14", NULL, \
    "Samples that a chunk of the head aims at.") \
X(TSDB_DELAYED_PERCENT, "storage.tsdb.delayed-compaction.max-percent", INT, "10", SERVER, FA_HN, "3.14", NULL, \
    "Longest delay of a compaction, in percent of the head's chunk range.") \
X(TSDB_DELAY_FILE, "storage.tsdb.delay-compact-file.path", STRING, "", SERVER, FA_NO_EFFECT, "3.14", NULL, \
    "JSON file that names uploaded blocks; others are not compacted.") \
X(TSDB_BLOCK_RELOAD, "storage.tsdb.block-reload-interval", DURATION, "1m", SERVER, FA_HN, "3.14", NULL, \
    "How often the data directory is searched for new blocks.") \
X(TSDB_WAL_SYNC, "storage.tsdb.wal-sync-interval", DURATION, "1s", SERVER, FA_OURS, "ours", NULL, \
    "Most that a power cut can lose: the write-ahead log is synced this often.") \
X(AGENT_PATH, "storage.agent.path", STRING, "data-agent/", AGENT, FA_NO_EFFECT, "seed", NULL, \
    "Data directory of the agent.") \
X(AGENT_WAL_SEGMENT, "storage.agent.wal-segment-size", BYTES, NULL, AGENT, FA_HN, "seed", NULL, \
    "Size at which a new file of the write-ahead log begins, 10MB to 256MB.") \
X(AGENT_WAL_COMPRESSION, "storage.agent.wal-compression", BOOL, "true", AGENT, FA_NO_EFFECT, "seed", NULL, \
    "Compress the agent's write-ahead log.") \
X(AGENT_WAL_COMPRESSION_TYPE, "storage.agent.wal-compression-type", ENUM, "snappy", AGENT, FA_HN, "3.14", \
    "snappy,zstd", "How the agent's write-ahead log is compressed.") \
X(AGENT_TRUNCATE, "storage.agent.wal-truncate-frequency", DURATION, NULL, AGENT, FA_HN, "seed", NULL, \
    "How often the agent's write-ahead log is cut.") \
X(AGENT_RETENTION_MIN, "storage.agent.retention.min-time", DURATION, "5m", AGENT, FA_NO_EFFECT, "seed", NULL, \
    "Age below which the agent deletes no sample.") \
X(AGENT_RETENTION_MAX, "storage.agent.retention.max-time", DURATION, "4h", AGENT, FA_NO_EFFECT, "seed", NULL, \
    "Age above which the agent deletes samples, sent or not.") \
X(AGENT_CHECKPOINT_MEM, "storage.agent.checkpoint-from-in-memory-series", BOOL, "false", AGENT, FA_NO_EFFECT, \
    "3.14", NULL, "Build checkpoints from the live series instead of old files.") \
X(AGENT_CHECKPOINT_BATCH, "storage.agent.checkpoint-batch-size", INT, "1000", AGENT, FA_NO_EFFECT, "3.14", NULL, \
    "Series a step when a checkpoint is built.") \
X(AGENT_NO_LOCKFILE, "storage.agent.no-lockfile", BOOL, "false", AGENT, FA_NO_EFFECT, "seed", NULL, \
    "Do not lock the agent's data directory.") \
X(AGENT_USE_LOCKFILE, "storage.agent.use-lockfile", BOOL, "true", AGENT, FA_DEPRECATED | FA_NO_EFFECT, "2.42", NULL, \
    "Debian's opposite of --storage.agent.no-lockfile.") \
X(REMOTE_FLUSH, "storage.remote.flush-deadline", DURATION, "1m", BOTH, FA_NO_EFFECT, "seed", "<duration>", \
    "Longest wait for remote write queues to empty at a stop or reload.") \
X(REMOTE_READ_SAMPLES, "storage.remote.read-sample-limit", INT, "5e7", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Most samples in an answer to a remote read, streamed answers excepted; 0 = no limit.") \
X(REMOTE_READ_CONCURRENT, "storage.remote.read-concurrent-limit", INT, "10", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Most remote reads at a time; 0 = no limit.") \
X(REMOTE_READ_FRAME, "storage.remote.read-max-bytes-in-frame", INT, "1048576", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Largest frame of a streamed answer to a remote read, in bytes.") \
X(WEB_SEARCH_LIMIT, "web.search.max-limit", INT, "10000", SERVER, FA_NO_EFFECT, "3.14", NULL, \
    "Largest limit that a request to the search API may ask for; 0 = no cap.") \
X(RULES_OUTAGE, "rules.alert.for-outage-tolerance", DURATION, "1h", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Longest outage after which the pending time of alerts is restored.") \
X(RULES_GRACE, "rules.alert.for-grace-period", DURATION, "10m", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Shortest time from restoring an alert's pending time to its firing.") \
X(RULES_RESEND, "rules.alert.resend-delay", DURATION, "1m", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Shortest time before an alert is sent again.") \
X(RULES_CONCURRENT, "rules.max-concurrent-evals", INT64, "4", SERVER, FA_NO_EFFECT, "3.14", NULL, \
    "Most independent rules evaluated at a time.") \
X(SCRAPE_ADJUST, "scrape.adjust-timestamps", BOOL, "true", BOTH, FA_HIDDEN, "seed", NULL, \
    "Move scrape timestamps by up to the tolerance, so that they compress better.") \
X(SCRAPE_TOLERANCE, "scrape.timestamp-tolerance", GO_DURATION, "2ms", BOTH, FA_HIDDEN, "seed", NULL, \
    "That tolerance; never more than 1% of the scrape interval.") \
X(AM_QUEUE, "alertmanager.notification-queue-capacity", INT, "10000", SERVER, FA_NO_EFFECT, "seed", NULL, \
    "Most alerts that wait for an Alertmanager.") \
X(AM_BATCH, "alertmanager.notification-batch-size", INT, "256", SERVER, FA_NO_EFFECT, "3.14", NULL, \
    "Most alerts in one message to an Alertmanager.") \
X(AM_DRAIN, "alertmanager.drain-notification-queue-on-shutdown", BOOL, "true", SERVER, FA_NO_EFFECT, "3.14", NULL, \
    "Send the alerts that wait before ending.") \
X(AM_TIMEOUT, "alertmanager.timeout", STRING, NULL, SERVER, FA_HD, "2.42", NULL, \
    "No effect.") \
X(QUERY_LOOKBACK, "query.lookback-delta", DURATION, "5m", SERVER, FA_NONE, "seed", NULL, \
    "How far back an expression looks for the sample of an instant.") \
X(QUERY_TIMEOUT, "query.timeout", DURATION, "2m", SERVER, FA_NONE, "seed", NULL, \
    "Longest time a query may take.") \
X(QUERY_CONCURRENCY, "query.max-concurrency", INT, "20", SERVER, FA_NONE, "seed", NULL, \
    "Most queries at a time.") \
X(QUERY_SAMPLES, "query.max-samples", INT, "50000000", SERVER, FA_NONE, "seed", NULL, \
    "Most samples that a query may hold in memory.") \
X(SCRAPE_SD_INTERVAL, "scrape.discovery-reload-interval", DURATION, "5s", BOTH, FA_HN, "2.42", NULL, \
    "Shortest time between two updates of the target groups.") \
X(ENABLE_FEATURE, "enable-feature", STRINGS, "", BOTH, FA_REPEAT, "seed", NULL, \
    "Names of features to enable, separated by commas.") \
X(AGENT, "agent", BOOL, "false", BOTH, FA_NO_EFFECT, "3.14", NULL, \
    "Run as an agent: discover, scrape and remote write only.") \
X(LOG_LEVEL, "log.level", LOG_LEVEL, "info", BOTH, FA_NONE, "seed", "debug,info,warn,error", \
    "Least severity of log lines that are written: debug, info, warn or error.") \
X(LOG_FORMAT, "log.format", LOG_FORMAT, "logfmt", BOTH, FA_NONE, "seed", "logfmt,json", \
    "Format of log lines: logfmt or json.") \
X(WRITE_DOCUMENTATION, "write-documentation", BOOL, "false", BOTH, FA_HIDDEN, "3.14", NULL, \
    "Print the flags as a Markdown table and end.") \
X(USER, "user", STRING, NULL, BOTH, FA_OURS, "ours", "<name>", \
    "User of the workers when started as root; _brazier when missing.") \
X(CONTROL_PATH, "control.path", STRING, "", BOTH, FA_OURS, "ours", "<path>", \
    "Control socket; control.sock in the data directory when missing.") \
X(MEMORY_MAX, "memory.max-bytes", BYTES, NULL, BOTH, FA_OURS, "ours", NULL, \
    "Memory that is divided among the workers; the container's or machine's when missing.") \
X(HEAD_MAX, "storage.head.max-bytes", BYTES, NULL, SERVER, FA_OURS, "ours", NULL, \
    "Ceiling of the head; beyond it new series are refused. Half of the memory when missing.") \
X(QUERY_POOL_MAX, "query.pool-max-bytes", BYTES, NULL, SERVER, FA_OURS, "ours", NULL, \
    "Memory of all query workers together; a quarter of the memory when missing.") \
X(EVAL_POOL_MAX, "eval.pool-max-bytes", BYTES, NULL, SERVER, FA_OURS, "ours", NULL, \
    "Memory of the workers that evaluate rules; a twentieth of the memory when missing.") \
X(SCRAPE_WORKERS, "scrape.workers", INT, "0", BOTH, FA_OURS, "ours", NULL, \
    "Scrape workers; 0 = as many as CPUs, at most 4.") \
X(QUERY_WORKERS, "query.workers", INT, "0", SERVER, FA_OURS, "ours", NULL, \
    "Query workers; 0 = the smaller of --query.max-concurrency and twice the CPUs, at least 4.") \
X(SCRAPE_MAX_BODY, "scrape.max-body-size", BYTES, "256MiB", BOTH, FA_OURS, "ours", NULL, \
    "Largest answer of a target after decompression when body_size_limit is not set.") \
X(LANDLOCK_ABI_MAX, "sandbox.landlock-abi-max", INT, "0", BOTH, FA_OURS | FA_HIDDEN, "ours", NULL, \
    "Use no newer interface of Landlock than this, for tests; 0 = the newest.")

/*
 * ACTIVE: works; NOT_YET: told at start; ALWAYS: on without it; NO_OP;
 * ALIAS: another way to write a flag.
 */
#define FEATURE_TABLE(X) \
X(AGENT, "agent", ALIAS, FLAG_AGENT) \
X(EXEMPLAR_STORAGE, "exemplar-storage", NOT_YET, FLAG_COUNT) \
X(EXPAND_EXTERNAL_LABELS, "expand-external-labels", ALWAYS, FLAG_COUNT) \
X(MEMORY_SNAPSHOT, "memory-snapshot-on-shutdown", NOT_YET, FLAG_COUNT) \
X(PROMQL_AT, "promql-at-modifier", ALWAYS, FLAG_COUNT) \
X(PROMQL_NEGATIVE_OFFSET, "promql-negative-offset", ALWAYS, FLAG_COUNT) \
X(PER_STEP_STATS, "promql-per-step-stats", ACTIVE, FLAG_COUNT) \
X(REMOTE_WRITE_RECEIVER, "remote-write-receiver", ALIAS, FLAG_WEB_REMOTE_WRITE) \
X(EXTRA_SCRAPE_METRICS, "extra-scrape-metrics", NOT_YET, FLAG_COUNT) \
X(NEW_SD_MANAGER, "new-service-discovery-manager", ALWAYS, FLAG_COUNT) \
X(AUTO_GOMAXPROCS, "auto-gomaxprocs", ALIAS, FLAG_AUTO_GOMAXPROCS) \
X(NO_DEFAULT_PORT, "no-default-scrape-port", ALWAYS, FLAG_COUNT) \
X(NATIVE_HISTOGRAMS, "native-histograms", NO_OP, FLAG_COUNT) \
X(OTLP_RECEIVER, "otlp-write-receiver", ALIAS, FLAG_WEB_OTLP) \
X(AUTO_GOMEMLIMIT, "auto-gomemlimit", ALIAS, FLAG_AUTO_GOMEMLIMIT) \
X(UTF8_NAMES, "utf8-names", ALWAYS, FLAG_COUNT) \
X(EXPERIMENTAL_FUNCTIONS, "promql-experimental-functions", ACTIVE, FLAG_COUNT) \
X(CREATED_TIMESTAMP, "created-timestamp-zero-ingestion", NOT_YET, FLAG_COUNT) \
X(CONCURRENT_RULES, "concurrent-rule-eval", NOT_YET, FLAG_COUNT) \
X(METADATA_WAL, "metadata-wal-records", NOT_YET, FLAG_COUNT) \
X(DELAYED_COMPACTION, "delayed-compaction", NOT_YET, FLAG_COUNT) \
X(DELAYED_NAME_REMOVAL, "promql-delayed-name-removal", ACTIVE, FLAG_COUNT) \
X(AUTO_RELOAD, "auto-reload-config", ALIAS, FLAG_CONFIG_AUTO_RELOAD) \
X(OOO_HISTOGRAMS, "ooo-native-histograms", ALWAYS, FLAG_COUNT) \
X(OLD_UI, "old-ui", NOT_YET, FLAG_COUNT) \
X(OTLP_CUMULATIVE, "otlp-deltatocumulative", NOT_YET, FLAG_COUNT) \
X(OTLP_DELTA, "otlp-native-delta-ingestion", NOT_YET, FLAG_COUNT) \
X(DURATION_EXPR, "promql-duration-expr", ALWAYS, FLAG_COUNT) \
X(TYPE_AND_UNIT, "type-and-unit-labels", ACTIVE, FLAG_COUNT) \
X(UNCACHED_IO, "use-uncached-io", NOT_YET, FLAG_COUNT) \
X(EXTENDED_RANGE, "promql-extended-range-selectors", ACTIVE, FLAG_COUNT) \
X(ST_STORAGE, "st-storage", NOT_YET, FLAG_COUNT) \
X(BINOP_FILL, "promql-binop-fill-modifiers", ACTIVE, FLAG_COUNT) \
X(XOR2, "xor2-encoding", NOT_YET, FLAG_COUNT) \
X(FAST_STARTUP, "fast-startup", NOT_YET, FLAG_COUNT) \
X(ST_SYNTHESIS, "st-synthesis", NOT_YET, FLAG_COUNT) \
X(USE_START_TIMESTAMPS, "use-start-timestamps", NOT_YET, FLAG_COUNT) \
X(SEARCH_API, "search-api", NOT_YET, FLAG_COUNT) \
X(HISTOGRAMS_ST, "histograms-st-encoding", NOT_YET, FLAG_COUNT)

#endif
