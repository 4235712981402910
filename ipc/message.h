/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_MESSAGE_H
#define BRAZIER_IPC_MESSAGE_H

/*
 * Payloads of the catalogue's messages: structs of fixed-width integers,
 * naturally aligned, without padding. Where a row says AT_LEAST the struct is
 * followed by bytes that its comment describes ("+ …"), read with
 * common/base/wire.h; the reader must end exactly at the end (wire_end).
 */

#include <stdint.h>

#define MSG_CHECK(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type " has another size")

/* A message without fixed part. */
struct msg_none { uint8_t none[0]; };
MSG_CHECK(msg_none, 0);

/* CREDIT: sent by the channel itself (ipc/channel.h). */
struct msg_credit {
	uint64_t bytes;
};
MSG_CHECK(msg_credit, 8);

/*
 * ATTACH + count × (str key, str value): all flags by name, then options of
 * ours whose keys begin with "brazier." (ipc/worker.h); + count × str: the
 * tags of the descriptors. fds: one per tag; the first two are always "log"
 * (the log channel) and "metrics" (this process's region).
 */
struct msg_attach {
	uint32_t role;		/* enum role */
	uint32_t instance;	/* 0 … n-1 */
	uint32_t n_instances;	/* how many of this role there are */
	uint32_t generation;	/* of the configuration in force, 0 = none */
	uint32_t uid, gid;	/* to switch to; 0 = stay */
	uint64_t memory_limit_bytes;	/* RLIMIT_DATA, 0 = none */
};
MSG_CHECK(msg_attach, 32);

/* ATTACHED + str: what the kernel lacks, "" if nothing. */
struct msg_attached {
	uint32_t landlock_abi;	/* in force, 0 = none */
	uint32_t seccomp;	/* 1 = filter installed */
	uint32_t uid, gid;
};
MSG_CHECK(msg_attached, 16);

/* PEER_UP, fd: the channel to the peer. */
struct msg_peer {
	uint32_t role;
	uint32_t instance;
	uint32_t n_instances;
	uint32_t pid;
};
MSG_CHECK(msg_peer, 16);

/* PEER_DOWN + str: the cause in words. */
enum peer_cause {
	PEER_CAUSE_STOP = 0,	/* ended as asked */
	PEER_CAUSE_EXIT,	/* ended by itself */
	PEER_CAUSE_CRASH,	/* signal */
	PEER_CAUSE_KILLED,	/* SIGKILL from outside, or ours */
	PEER_CAUSE_LIMIT,	/* a memory or CPU limit */
	PEER_CAUSE_VIOLATION,	/* broke the protocol or its sandbox */
	PEER_CAUSE_NO_MEMORY	/* its own limit: "needs more memory than …" */
};
struct msg_peer_down {
	uint32_t role;
	uint32_t instance;
	uint32_t cause;		/* enum peer_cause */
	uint32_t zero;
};
MSG_CHECK(msg_peer_down, 16);

/*
 * PEER_LOST: what PEER_UP said of the peer. The supervisor connects the two
 * again unless one of them has ended.
 */
struct msg_peer_lost {
	uint32_t role;
	uint32_t instance;
	uint32_t pid;
	uint32_t zero;
};
MSG_CHECK(msg_peer_lost, 16);

/*
 * PREPARE, fd: sealed blob of this role (none when the role has none);
 * COMMIT; ABORT; COMMITTED. The generation is in the message's header.
 * PREPARED + str: why not ("" = accepted).
 */
struct msg_prepared {
	uint32_t ok;
	uint32_t zero;
};
MSG_CHECK(msg_prepared, 8);

/* PROGRESS: WAL replay, as /api/v1/status/walreplay shows it. */
struct msg_progress {
	int64_t min, max, current;	/* segment numbers */
};
MSG_CHECK(msg_progress, 24);

/* STOP: finish within the time, then STOPPED and exit. */
struct msg_stop {
	uint32_t deadline_ms;
	uint32_t zero;
};
MSG_CHECK(msg_stop, 8);

/* OPEN + str path + str reason. The answer's id is the request's. */
enum open_flags {
	OPEN_APPEND_LOG = 1	/* a log file of ours to append to, created */
};
struct msg_open {
	uint32_t flags;		/* enum open_flags */
	uint32_t zero;
	uint64_t max_bytes;	/* refuse larger files; 0 = 64 MiB */
};
MSG_CHECK(msg_open, 16);

/* OPENED + str error text ("open x: no such file or directory"), fd if ok. */
struct msg_opened {
	int32_t	 os;		/* 0 or errno */
	uint32_t zero;
	int64_t	 size_bytes;
	int64_t	 mtime_ns;
};
MSG_CHECK(msg_opened, 24);

/* GLOB + str pattern + str reason. GLOBBED + str error + count × str path. */

/* WATCH + str path. CHANGED + str path, each time the file has changed. */

/* LOAD + str path of the configuration file. */
struct msg_load {
	uint32_t check_only;	/* nothing will be committed */
	uint32_t initial;	/* first load: rule and scrape files too */
};
MSG_CHECK(msg_load, 8);

/* BLOB, fd: the sealed blob of one role. */
struct msg_blob {
	uint32_t role;
	uint32_t zero;
};
MSG_CHECK(msg_blob, 8);

/*
 * LOADED + str error text + count × str paths of log files that workers may
 * write + count × str warnings + count × str paths of all files that were read
 * (for auto reload).
 */
struct msg_loaded {
	uint32_t ok;
	uint32_t exit_code;	/* what the start ends with if not ok */
};
MSG_CHECK(msg_loaded, 8);

/* RELOADED + str error text. */
struct msg_reloaded {
	uint32_t ok;
	uint32_t generation;
};
MSG_CHECK(msg_reloaded, 8);

/* KILL_READER: a process that holds its epoch too long. */
struct msg_kill_reader {
	uint32_t role;
	uint32_t instance;
	uint64_t held_ms;
};
MSG_CHECK(msg_kill_reader, 16);

/* METRICS_REGION, fd: read-only region of a process. METRICS_GONE. */
struct msg_metrics_region {
	uint32_t role;
	uint32_t instance;
	uint32_t pid;
	uint32_t zero;
};
MSG_CHECK(msg_metrics_region, 16);

/* SERVER_STATE: what web must know of the whole. */
struct msg_server_state {
	uint32_t ready;		/* 1 once the start is done */
	uint32_t stopping;
	uint32_t reload_ok;
	uint32_t zero;
	int64_t	 reload_ms;	/* of the last good (re)load */
	int64_t	 start_ms;
	int64_t	 replay_min, replay_max, replay_current;
	int64_t	 corruptions;
};
MSG_CHECK(msg_server_state, 64);

/* CTL_REPLY + bytes of text (JSON); more = another follows. */
struct msg_ctl_reply {
	uint32_t ok;
	uint32_t more;
};
MSG_CHECK(msg_ctl_reply, 8);

/* QUERY_KILL */
struct msg_query_kill {
	uint64_t query;
};
MSG_CHECK(msg_query_kill, 8);

/* --- append protocol: ipc/append.h tells the story --- */

/*
 * SERIES + count × (u32 id, u32 n_labels, n × (str name, str value)); with a
 * descriptor the same lies in a sealed memfd and the message is empty.
 */

enum samples_flags {
	SAMPLES_COMMIT = 1,	/* last message of the batch */
	SAMPLES_RESEND = 2,	/* was sent before; stored ones count as stored */
	SAMPLES_SAME_TIME = 4	/* no dt column: all at base_ms */
};
/*
 * SAMPLES + columns: n × f64 value, n × u32 id and, unless SAME_TIME,
 * n × i32 milliseconds after base_ms; packed, little endian.
 */
struct msg_samples {
	uint64_t seq;		/* of the batch, from 1, rising by 1 */
	int64_t	 base_ms;
	uint32_t n;
	uint32_t flags;		/* enum samples_flags */
};
MSG_CHECK(msg_samples, 24);

/* FORGET + n × u32 ids that will not be used again. */
struct msg_forget {
	uint32_t n;
	uint32_t zero;
};
MSG_CHECK(msg_forget, 8);

/* How many samples were refused for one reason, and the first of them. */
struct msg_refused {
	uint32_t count;
	uint32_t id;
	int64_t	 t_ms;
};
MSG_CHECK(msg_refused, 16);

/* ACK: the batch is in the WAL and visible. */
struct msg_ack {
	uint64_t seq;
	uint32_t stored;	/* RESENT ones that were there count too */
	uint32_t new_series;
	struct msg_refused out_of_order, duplicate, out_of_bounds, too_old,
	    limit;		/* limit: head ceiling, new series refused */
};
MSG_CHECK(msg_ack, 96);

/* --- readers of the head --- */

/* READER_JOIN, fd: the reader's epoch page (memfd, 4096 bytes, writable). */

/* HEAD_MAP, fd: the arena, read-only. */
struct msg_head_map {
	uint64_t size_bytes;	/* to map */
	uint64_t incarnation;	/* of storage; another one = other refs */
};
MSG_CHECK(msg_head_map, 16);

/* CHUNKS_FILE_ADD, fd: a chunks_head file; again when it has grown. */
struct msg_chunks_file {
	uint32_t file;		/* number in its name */
	uint32_t zero;
	uint64_t size_bytes;
};
MSG_CHECK(msg_chunks_file, 16);

/*
 * BLOCK_ADD + str ulid, fds: index, tombstones (if there are any: one more
 * than n_segments + 1), then the chunk segments in order. BLOCK_DROP + str
 * ulid.
 */
struct msg_block {
	int64_t	 mint_ms, maxt_ms;
	uint32_t n_segments;
	uint32_t zero;
};
MSG_CHECK(msg_block, 24);

/* --- queries: web → query --- */

/* QUERY_RING, fds: the reply ring (read-only), the control page. */
struct msg_query_ring {
	uint64_t ring_bytes;	/* a power of two */
};
MSG_CHECK(msg_query_ring, 8);

enum query_kind {
	QUERY_INSTANT, QUERY_RANGE, QUERY_SERIES, QUERY_LABELS,
	QUERY_LABEL_VALUES, QUERY_TSDB_STATUS, QUERY_FORMAT, QUERY_PARSE
};
enum query_encoding { QUERY_ENC_IDENTITY, QUERY_ENC_GZIP, QUERY_ENC_DEFLATE };
/* Who asks, for the query log. */
enum query_origin {
	QUERY_FROM_HTTP,	/* address without port, method, path */
	QUERY_FROM_RULES	/* file, group, "" */
};
/*
 * QUERY + str argument of the path (label name; "" else) + 3 × str (what
 * enum query_origin says) + count × (str name, str value): the request's
 * parameters in their order, decoded. Parameters that do not fit travel in a
 * sealed memfd (the fd) and count is 0.
 */
struct msg_query {
	uint32_t kind;		/* enum query_kind */
	uint32_t encoding;	/* enum query_encoding */
	int64_t	 now_ms;	/* time of the request */
	int64_t	 deadline_ns;	/* CLOCK_MONOTONIC */
	int64_t	 asked_ns;	/* CLOCK_MONOTONIC: when it began to wait */
	uint32_t origin;	/* enum query_origin */
	uint32_t zero;
};
MSG_CHECK(msg_query, 40);

/*
 * REPLY: bytes [offset, offset+len) of the ring (offsets only grow; position
 * = offset modulo ring) are ready. The first one of a request carries the
 * status, the last one the costs. + bytes: none.
 */
enum reply_flags {
	REPLY_FIRST = 1,
	REPLY_LAST = 2,
	REPLY_ABORT = 4		/* with LAST: the body is not complete */
};
struct msg_reply {
	uint64_t offset;
	uint32_t len_bytes;
	uint32_t flags;		/* enum reply_flags */
	uint32_t http_status;
	uint32_t encoding;	/* enum query_encoding of the body */
	int64_t	 total_bytes;	/* of the body if known, else -1 */
	uint64_t cpu_ns;
	uint64_t peak_bytes;
};
MSG_CHECK(msg_reply, 48);

/* REPLY_MORE: web has taken bytes; the position stands in the page. */

/* --- targets: web → scrape --- */

enum targets_state { TARGETS_ANY, TARGETS_ACTIVE, TARGETS_DROPPED };
/* TARGETS_GET + str scrape pool or "". */
struct msg_targets_get {
	uint32_t state;		/* enum targets_state */
	uint32_t zero;
};
MSG_CHECK(msg_targets_get, 8);
/*
 * TARGETS, fd: sealed memfd of three JSON fragments behind one another: the
 * objects of activeTargets, those of droppedTargets (comma separated, no
 * brackets), and the "pool":n members of droppedTargetCounts.
 */
struct msg_targets {
	uint64_t active_bytes;
	uint64_t dropped_bytes;
	uint64_t counts_bytes;
};
MSG_CHECK(msg_targets, 24);

/* --- resolver --- */

enum resolve_kind { RESOLVE_ADDRESS, RESOLVE_SRV };
/* RESOLVE + str name. */
struct msg_resolve {
	uint32_t kind;		/* enum resolve_kind */
	uint32_t timeout_ms;
};
MSG_CHECK(msg_resolve, 8);
/*
 * RESOLVED + str error + count × (u32 family 4|6, u32 port (SRV), str address
 * as text, str target name (SRV)).
 */
struct msg_resolved {
	uint32_t ok;
	uint32_t ttl_s;
};
MSG_CHECK(msg_resolved, 8);

#endif
