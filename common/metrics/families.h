/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_METRICS_FAMILIES_H
#define BRAZIER_COMMON_METRICS_FAMILIES_H

/*
 * The families of own metrics: id, name, type, shape, help. shape is the
 * list of quantiles of a summary or of upper bounds of a histogram, without
 * +Inf. Sorted by name within a group; printed sorted by name.
 */

#define METRICS_Q_COMMON	"0.5,0.9,0.99"
#define METRICS_Q_INTERVAL	"0.01,0.05,0.5,0.9,0.99"
#define METRICS_B_HTTP		"0.1,0.2,0.4,1,3,8,20,60,120"
#define METRICS_B_SIZE		"100,1000,10000,100000,1e+06,1e+07,1e+08,1e+09"

#define METRICS_FAMILIES(X) \
	X(BUILD_INFO, "prometheus_build_info", GAUGE, "", "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.") \
	X(READY, "prometheus_ready", GAUGE, "", "Whether Prometheus startup was fully completed and the server is ready for normal operation.") \
	X(RELOAD_OK, "prometheus_config_last_reload_successful", GAUGE, "", "Whether the last configuration reload attempt was successful.") \
	X(RELOAD_TIME, "prometheus_config_last_reload_success_timestamp_seconds", GAUGE, "", "Timestamp of the last successful configuration reload.") \
	X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, "", "Total user and system CPU time spent in seconds.") \
	X(PROCESS_FDS, "process_open_fds", GAUGE, "", "Number of open file descriptors.") \
	X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, "", "Maximum number of open file descriptors.") \
	X(PROCESS_RSS, "process_resident_memory_bytes", GAUGE, "", "Resident memory size in bytes.") \
	X(PROCESS_START, "process_start_time_seconds", GAUGE, "", "Start time of the process since unix epoch in seconds.") \
	X(PROCESS_VSIZE, "process_virtual_memory_bytes", GAUGE, "", "Virtual memory size in bytes.") \
	X(PROCESS_VMAX, "process_virtual_memory_max_bytes", GAUGE, "", "Maximum amount of virtual memory available in bytes.") \
	X(WORKER_CPU, "brazier_worker_cpu_seconds_total", COUNTER, "", "CPU time of each worker process.") \
	X(WORKER_PSS, "brazier_worker_proportional_memory_bytes", GAUGE, "", "Memory of each worker process, shared pages divided among their users.") \
	X(WORKER_RESTARTS, "brazier_worker_restarts_total", COUNTER, "", "Restarts of workers by cause.") \
	X(WORKER_UP, "brazier_worker_up", GAUGE, "", "Whether the worker is attached.") \
	X(LOG_LOST, "brazier_log_lines_lost_total", COUNTER, "", "Log lines that were lost because the log channel was full.") \
	X(IPC_VIOLATIONS, "brazier_ipc_violations_total", COUNTER, "", "Messages that broke the protocol.") \
	X(IPC_RECEIVED, "brazier_ipc_messages_received_total", COUNTER, "", "Messages received over channels, by catalogue row.") \
	X(METRICS_LOST, "brazier_metrics_lost", GAUGE, "", "Series of own metrics that did not fit their region.") \
	X(HTTP_REQUESTS, "prometheus_http_requests_total", COUNTER, "", "Counter of HTTP requests.") \
	X(HTTP_DURATION, "prometheus_http_request_duration_seconds", HISTOGRAM, METRICS_B_HTTP, "Histogram of latencies for HTTP requests.") \
	X(HTTP_SIZE, "prometheus_http_response_size_bytes", HISTOGRAM, METRICS_B_SIZE, "Histogram of response size for HTTP requests.") \
	X(LISTENER_ACCEPTED, "net_conntrack_listener_conn_accepted_total", COUNTER, "", "Total number of connections opened to the listener of a given name.") \
	X(LISTENER_CLOSED, "net_conntrack_listener_conn_closed_total", COUNTER, "", "Total number of connections closed that were made to the listener of a given name.") \
	X(DIALER_ATTEMPTED, "net_conntrack_dialer_conn_attempted_total", COUNTER, "", "Total number of connections attempted by the given dialer a given name.") \
	X(DIALER_CLOSED, "net_conntrack_dialer_conn_closed_total", COUNTER, "", "Total number of connections closed which originated from the dialer of a given name.") \
	X(DIALER_ESTABLISHED, "net_conntrack_dialer_conn_established_total", COUNTER, "", "Total number of connections successfully established by the given dialer a given name.") \
	X(DIALER_FAILED, "net_conntrack_dialer_conn_failed_total", COUNTER, "", "Total number of connections failed to dial by the dialer a given name.") \
	X(ENGINE_QUERIES, "prometheus_engine_queries", GAUGE, "", "The current number of queries being executed or waiting.") \
	X(ENGINE_QUERIES_MAX, "prometheus_engine_queries_concurrent_max", GAUGE, "", "The max number of concurrent queries.") \
	X(ENGINE_DURATION, "prometheus_engine_query_duration_seconds", SUMMARY, METRICS_Q_COMMON, "Query timings") \
	X(ENGINE_SAMPLES, "prometheus_engine_query_samples_total", COUNTER, "", "The total number of samples loaded by all queries.") \
	X(ENGINE_LOG_ENABLED, "prometheus_engine_query_log_enabled", GAUGE, "", "State of the query log.") \
	X(ENGINE_LOG_FAILURES, "prometheus_engine_query_log_failures_total", COUNTER, "", "The number of query log failures.") \
	X(SD_DISCOVERED, "prometheus_sd_discovered_targets", GAUGE, "", "Current number of discovered targets.") \
	X(TARGET_INTERVAL, "prometheus_target_interval_length_seconds", SUMMARY, METRICS_Q_INTERVAL, "Actual intervals between scrapes.") \
	X(TARGET_SYNC_LENGTH, "prometheus_target_sync_length_seconds", SUMMARY, METRICS_Q_INTERVAL, "Actual interval to sync the scrape pool.") \
	X(TARGET_SYNC_FAILED, "prometheus_target_sync_failed_total", COUNTER, "", "Total number of target sync failures.") \
	X(TARGET_RELOAD_LENGTH, "prometheus_target_reload_length_seconds", SUMMARY, METRICS_Q_INTERVAL, "Actual interval to reload the scrape pool with a given configuration.") \
	X(TARGET_METADATA_BYTES, "prometheus_target_metadata_cache_bytes", GAUGE, "", "The number of bytes that are currently used for storing metric metadata in the cache") \
	X(TARGET_METADATA_ENTRIES, "prometheus_target_metadata_cache_entries", GAUGE, "", "Total number of metric metadata entries in the cache") \
	X(POOL_LABEL_LIMIT, "prometheus_target_scrape_pool_exceeded_label_limits_total", COUNTER, "", "Total number of times scrape pools hit the label limits, during sync or config reload.") \
	X(POOL_TARGET_LIMIT_HIT, "prometheus_target_scrape_pool_exceeded_target_limit_total", COUNTER, "", "Total number of times scrape pools hit the target limit, during sync or config reload.") \
	X(POOL_RELOADS_FAILED, "prometheus_target_scrape_pool_reloads_failed_total", COUNTER, "", "Total number of failed scrape pool reloads.") \
	X(POOL_RELOADS, "prometheus_target_scrape_pool_reloads_total", COUNTER, "", "Total number of scrape pool reloads.") \
	X(POOL_SYNCS, "prometheus_target_scrape_pool_sync_total", COUNTER, "", "Total number of syncs that were executed on a scrape pool.") \
	X(POOL_TARGET_LIMIT, "prometheus_target_scrape_pool_target_limit", GAUGE, "", "Maximum number of targets allowed in this scrape pool.") \
	X(POOL_TARGETS, "prometheus_target_scrape_pool_targets", GAUGE, "", "Current number of targets in this scrape pool.") \
	X(POOLS_FAILED, "prometheus_target_scrape_pools_failed_total", COUNTER, "", "Total number of scrape pool creations that failed.") \
	X(POOLS, "prometheus_target_scrape_pools_total", COUNTER, "", "Total number of scrape pool creation attempts.") \
	X(SCRAPES_CACHE_FLUSH, "prometheus_target_scrapes_cache_flush_forced_total", COUNTER, "", "How many times a scrape cache was flushed due to getting big while scrapes are failing.") \
	X(SCRAPES_BODY_LIMIT, "prometheus_target_scrapes_exceeded_body_size_limit_total", COUNTER, "", "Total number of scrapes that hit the body size limit") \
	X(SCRAPES_SAMPLE_LIMIT, "prometheus_target_scrapes_exceeded_sample_limit_total", COUNTER, "", "Total number of scrapes that hit the sample limit and were rejected.") \
	X(SCRAPES_DUPLICATE, "prometheus_target_scrapes_sample_duplicate_timestamp_total", COUNTER, "", "Total number of samples rejected due to duplicate timestamps but different values.") \
	X(SCRAPES_OUT_OF_BOUNDS, "prometheus_target_scrapes_sample_out_of_bounds_total", COUNTER, "", "Total number of samples rejected due to timestamp falling outside of the time bounds.") \
	X(SCRAPES_OUT_OF_ORDER, "prometheus_target_scrapes_sample_out_of_order_total", COUNTER, "", "Total number of samples rejected due to not being out of the expected order.") \
	X(SCRAPES_SKIPPED, "brazier_target_scrapes_skipped_total", COUNTER, "", "Scrapes that were skipped, by reason.") \
	X(APPEND_PENDING, "brazier_append_pending_batches", GAUGE, "", "Batches that storage has not acknowledged yet.") \
	X(TSDB_SAMPLES, "prometheus_tsdb_head_samples_appended_total", COUNTER, "", "Total number of appended samples.") \
	X(TSDB_OUT_OF_ORDER, "prometheus_tsdb_out_of_order_samples_total", COUNTER, "", "Total number of out of order samples ingestion failed attempts due to out of order being disabled.") \
	X(TSDB_OUT_OF_BOUND, "prometheus_tsdb_out_of_bound_samples_total", COUNTER, "", "Total number of out of bound samples ingestion failed attempts with out of order support disabled.") \
	X(TSDB_TOO_OLD, "prometheus_tsdb_too_old_samples_total", COUNTER, "", "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.") \
	X(TSDB_SERIES, "prometheus_tsdb_head_series", GAUGE, "", "Total number of series in the head block.") \
	X(TSDB_SERIES_CREATED, "prometheus_tsdb_head_series_created_total", COUNTER, "", "Total number of series created in the head") \
	X(TSDB_SERIES_REMOVED, "prometheus_tsdb_head_series_removed_total", COUNTER, "", "Total number of series removed in the head") \
	X(TSDB_SERIES_NOT_FOUND, "prometheus_tsdb_head_series_not_found_total", COUNTER, "", "Total number of requests for series that were not found.") \
	X(TSDB_SERIES_REFUSED, "brazier_head_series_refused_total", COUNTER, "", "New series refused because the head reached its ceiling.") \
	X(TSDB_HEAD_BYTES, "brazier_head_bytes", GAUGE, "", "Bytes of the head arena in use.") \
	X(TSDB_HEAD_MAX_BYTES, "brazier_head_max_bytes", GAUGE, "", "Ceiling of the head arena.") \
	X(TSDB_CHUNKS, "prometheus_tsdb_head_chunks", GAUGE, "", "Total number of chunks in the head block.") \
	X(TSDB_CHUNKS_CREATED, "prometheus_tsdb_head_chunks_created_total", COUNTER, "", "Total number of chunks created in the head") \
	X(TSDB_CHUNKS_REMOVED, "prometheus_tsdb_head_chunks_removed_total", COUNTER, "", "Total number of chunks removed in the head") \
	X(TSDB_MMAP_CHUNKS, "prometheus_tsdb_mmap_chunks_total", COUNTER, "", "Total number of chunks that were memory-mapped.") \
	X(TSDB_MIN_TIME, "prometheus_tsdb_head_min_time", GAUGE, "", "Minimum time bound of the head block. The unit is decided by the library consumer.") \
	X(TSDB_MAX_TIME, "prometheus_tsdb_head_max_time", GAUGE, "", "Maximum timestamp of the head block. The unit is decided by the library consumer.") \
	X(TSDB_MIN_TIME_S, "prometheus_tsdb_head_min_time_seconds", GAUGE, "", "Minimum time bound of the head block.") \
	X(TSDB_MAX_TIME_S, "prometheus_tsdb_head_max_time_seconds", GAUGE, "", "Maximum timestamp of the head block.") \
	X(TSDB_LOWEST_TIME, "prometheus_tsdb_lowest_timestamp", GAUGE, "", "Lowest timestamp value stored in the database. The unit is decided by the library consumer.") \
	X(TSDB_LOWEST_TIME_S, "prometheus_tsdb_lowest_timestamp_seconds", GAUGE, "", "Lowest timestamp value stored in the database.") \
	X(TSDB_CLEAN_START, "prometheus_tsdb_clean_start", GAUGE, "", "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean") \
	X(TSDB_BLOCKS, "prometheus_tsdb_blocks_loaded", GAUGE, "", "Number of currently loaded data blocks") \
	X(TSDB_WAL_CORRUPTIONS, "prometheus_tsdb_wal_corruptions_total", COUNTER, "", "Total number of WAL corruptions.") \
	X(TSDB_WAL_REPLAY, "prometheus_tsdb_data_replay_duration_seconds", GAUGE, "", "Time taken to replay the data on disk.") \
	X(TSDB_WAL_FAILED, "prometheus_tsdb_wal_writes_failed_total", COUNTER, "", "Total number of write log writes that failed.") \
	X(TSDB_WAL_FSYNC, "prometheus_tsdb_wal_fsync_duration_seconds", SUMMARY, METRICS_Q_COMMON, "Duration of write log fsync.") \
	X(TSDB_WAL_FLUSHES, "prometheus_tsdb_wal_page_flushes_total", COUNTER, "", "Total number of page flushes.") \
	X(TSDB_WAL_PAGES, "prometheus_tsdb_wal_completed_pages_total", COUNTER, "", "Total number of completed pages.") \
	X(TSDB_WAL_SEGMENT, "prometheus_tsdb_wal_segment_current", GAUGE, "", "Write log segment index that TSDB is currently writing to.") \
	X(TSDB_WAL_BYTES, "prometheus_tsdb_wal_storage_size_bytes", GAUGE, "", "Size of the write log directory.") \
	X(TSDB_WAL_SAVED, "prometheus_tsdb_wal_record_bytes_saved_total", COUNTER, "", "Total number of bytes saved by the optional record compression.") \
	X(TSDB_WAL_PARTS, "prometheus_tsdb_wal_record_part_writes_total", COUNTER, "", "Total number of record parts written before flushing.") \
	X(TSDB_WAL_PART_BYTES, "prometheus_tsdb_wal_record_parts_bytes_written_total", COUNTER, "", "Total number of record part bytes written before flushing.") \
	X(TSDB_CHUNK_CORRUPTIONS, "prometheus_tsdb_mmap_chunk_corruptions_total", COUNTER, "", "Total number of memory-mapped chunk corruptions.") \
	X(TSDB_SYMBOL_BYTES, "prometheus_tsdb_symbol_table_size_bytes", GAUGE, "", "Size of symbol table in memory for loaded blocks") \
	X(TSDB_STORAGE_BYTES, "prometheus_tsdb_storage_blocks_bytes", GAUGE, "", "The number of bytes that are currently used for local storage by all blocks.") \
	X(TSDB_RETENTION_BYTES, "prometheus_tsdb_retention_limit_bytes", GAUGE, "", "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled") \
	X(TSDB_RETENTION_SECONDS, "prometheus_tsdb_retention_limit_seconds", GAUGE, "", "How long to retain samples in storage.") \
	X(TSDB_READERS_KILLED, "brazier_head_readers_killed_total", COUNTER, "", "Query processes that were ended because they held the head too long.")

enum metrics_family {
#define X(id, name, type, shape, help) METRIC_##id,
	METRICS_FAMILIES(X)
#undef X
	METRICS_FAMILY_COUNT
};

enum metrics_type {
	METRICS_COUNTER, METRICS_GAUGE, METRICS_SUMMARY, METRICS_HISTOGRAM
};

struct metrics_family_row {
	const char		*name;
	enum metrics_type	 type;
	const char		*shape;
	const char		*help;
};
extern const struct metrics_family_row metrics_families[METRICS_FAMILY_COUNT];

#endif
