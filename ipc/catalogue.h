/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_CATALOGUE_H
#define BRAZIER_IPC_CATALOGUE_H

/*
 * Every message of Brazier, in one table. From it come the enum, the names,
 * the checks on receipt (direction, length, descriptors, state, queue), the
 * counters, the fuzz targets and the table in ARCHITECTURE.md.
 *
 * Columns
 *	id	 number on the wire; never reused
 *	name	 IPC_<name>
 *	from, to sets of roles
 *	payload  struct of ipc/message.h at the start of the data
 *	rule	 EXACT: the struct and nothing more; AT_LEAST: bytes follow
 *	fds	 fewest and most descriptors on the message
 *	states	 of the receiving worker: BOOT before it is attached, UP, RUN
 *		 after RUN, STOP after STOP
 *	queue	 most messages of this row that may wait in the sender
 *	ctl	 who may send it over the control socket: NONE, READ (root, the
 *		 service user, brazierd's user) or ADMIN (root, brazierd's user)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/role.h"
#include "ipc/message.h"

#define IPC_MSG_MAX	65536	/* bytes of data in one message */
#define IPC_FDS_MAX	250	/* descriptors on one message */

#define IPC_R(r)	(1u << ROLE_##r)
#define R_SUP		IPC_R(SUPERVISOR)
#define R_CONFIG	IPC_R(CONFIG)
#define R_STORAGE	IPC_R(STORAGE)
#define R_RESOLVER	IPC_R(RESOLVER)
#define R_SCRAPE	IPC_R(SCRAPE)
#define R_WEB		IPC_R(WEB)
#define R_CTL		IPC_R(CTL)
#define R_WORKER	(((1u << ROLE_COUNT) - 1) & ~(R_SUP | R_CTL))
/* who appends samples, reads the head, asks readers, dials by name */
#define R_CLIENT	(R_SCRAPE | IPC_R(RULES) | IPC_R(REMOTE))
#define R_READER	(IPC_R(QUERY) | IPC_R(EVAL))
#define R_ASKER		(R_WEB | IPC_R(RULES))
#define R_DIALER	(R_SCRAPE | IPC_R(DISCOVERY) | IPC_R(NOTIFY) | IPC_R(REMOTE))
#define R_ANY		((1u << ROLE_COUNT) - 1)

enum ipc_state {
	IPC_BOOT = 1, IPC_UP = 2, IPC_RUNNING = 4, IPC_STOPPING = 8,
	IPC_LIVE = IPC_UP | IPC_RUNNING | IPC_STOPPING,
	IPC_ALL = IPC_BOOT | IPC_LIVE
};

enum ipc_rule { IPC_EXACT, IPC_AT_LEAST };
enum ipc_ctl { IPC_CTL_NONE, IPC_CTL_READ, IPC_CTL_ADMIN };

/*	   id  name		from	       to		 payload	     rule      fds     states queue  ctl    what it says */
#define IPC_CATALOGUE(X) \
	X(  1, CREDIT,		R_ANY,	       R_ANY,		 msg_credit,	     EXACT,    0,   0, ALL,    64, NONE,  "that many bytes have been handled") \
	X(  2, ATTACH,		R_SUP,	       R_WORKER,	 msg_attach,	     AT_LEAST, 2,  64, BOOT,    1, NONE,  "who you are, all flags, your descriptors") \
	X(  3, ATTACHED,	R_WORKER,      R_SUP,		 msg_attached,	     AT_LEAST, 0,   0, ALL,     1, NONE,  "locked in, and how") \
	X(  4, PEER_UP,		R_SUP,	       R_WORKER,	 msg_peer,	     EXACT,    1,   1, LIVE,   64, NONE,  "a channel to a peer") \
	X(  5, PEER_DOWN,	R_SUP,	       R_WORKER,	 msg_peer_down,	     AT_LEAST, 0,   0, LIVE,   64, NONE,  "a peer has ended, and why") \
	X(  6, PREPARE,		R_SUP,	       R_WORKER,	 msg_none,	     EXACT,    0,   1, LIVE,    4, NONE,  "build this generation beside the old one") \
	X(  7, PREPARED,	R_WORKER,      R_SUP,		 msg_prepared,	     AT_LEAST, 0,   0, ALL,     4, NONE,  "built, or why not") \
	X(  8, COMMIT,		R_SUP,	       R_WORKER,	 msg_none,	     EXACT,    0,   0, LIVE,    4, NONE,  "this generation is in force") \
	X(  9, COMMITTED,	R_WORKER,      R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,     4, NONE,  "done") \
	X( 10, ABORT,		R_SUP,	       R_WORKER,	 msg_none,	     EXACT,    0,   0, LIVE,    4, NONE,  "throw the prepared generation away") \
	X( 11, READY,		R_WORKER,      R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,     1, NONE,  "can do its work (storage: replay is over)") \
	X( 12, RUN,		R_SUP,	       R_WORKER,	 msg_none,	     EXACT,    0,   0, LIVE,    1, NONE,  "begin") \
	X( 13, STOP,		R_SUP,	       R_WORKER,	 msg_stop,	     EXACT,    0,   0, ALL,     2, NONE,  "finish and end") \
	X( 14, STOPPED,		R_WORKER,      R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,     1, NONE,  "finished") \
	X( 15, PROGRESS,	R_STORAGE,     R_SUP,		 msg_progress,	     EXACT,    0,   0, ALL,    16, NONE,  "how far the WAL replay is") \
	X( 16, OPEN,		R_WORKER,      R_SUP,		 msg_open,	     AT_LEAST, 0,   0, ALL,   256, NONE,  "open a file for me, and why") \
	X( 17, OPENED,		R_SUP,	       R_WORKER,	 msg_opened,	     AT_LEAST, 0,   1, LIVE,  256, NONE,  "here it is, or why not") \
	X( 18, GLOB,		R_WORKER,      R_SUP,		 msg_none,	     AT_LEAST, 0,   0, ALL,   256, NONE,  "which files match this pattern") \
	X( 19, GLOBBED,		R_SUP,	       R_WORKER,	 msg_none,	     AT_LEAST, 0,   0, LIVE,  256, NONE,  "these") \
	X( 20, WATCH,		R_WORKER,      R_SUP,		 msg_none,	     AT_LEAST, 0,   0, ALL,   256, NONE,  "tell me when this file changes") \
	X( 21, CHANGED,		R_SUP,	       R_WORKER,	 msg_none,	     AT_LEAST, 0,   0, LIVE,  256, NONE,  "it has changed") \
	X( 22, LOAD,		R_SUP,	       R_CONFIG,	 msg_load,	     AT_LEAST, 0,   0, LIVE,    2, NONE,  "read and check this configuration") \
	X( 23, BLOB,		R_CONFIG,      R_SUP,		 msg_blob,	     EXACT,    1,   1, ALL,    32, NONE,  "one role's part of it") \
	X( 24, LOADED,		R_CONFIG,      R_SUP,		 msg_loaded,	     AT_LEAST, 0,   0, ALL,     2, NONE,  "all parts sent, or what is wrong and where") \
	X( 25, RELOAD,		R_WEB | R_CTL, R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,    16, ADMIN, "load the configuration again") \
	X( 26, RELOADED,	R_SUP,	       R_WEB | R_CTL,	 msg_reloaded,	     AT_LEAST, 0,   0, LIVE,   16, NONE,  "done, or why not") \
	X( 27, QUIT,		R_WEB | R_CTL, R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,    16, ADMIN, "stop the server") \
	X( 28, KILL_READER,	R_STORAGE,     R_SUP,		 msg_kill_reader,    EXACT,    0,   0, ALL,    64, NONE,  "this reader holds its epoch too long") \
	X( 29, METRICS_REGION,	R_SUP,	       R_WEB,		 msg_metrics_region, EXACT,    1,   1, LIVE,  128, NONE,  "own metrics of a process") \
	X( 30, METRICS_GONE,	R_SUP,	       R_WEB,		 msg_metrics_region, EXACT,    0,   0, LIVE,  128, NONE,  "that process has ended") \
	X( 31, SERVER_STATE,	R_SUP,	       R_WEB,		 msg_server_state,   EXACT,    0,   0, LIVE,  128, NONE,  "ready, stopping, replay, last reload") \
	X( 32, CTL_STATUS,	R_CTL,	       R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,     4, READ,  "state of all processes, please") \
	X( 33, CTL_REPLY,	R_SUP | R_WEB, R_CTL | R_SUP,	 msg_ctl_reply,	     AT_LEAST, 0,   0, ALL,    64, NONE,  "a piece of the answer") \
	X( 34, QUERIES_GET,	R_CTL | R_SUP, R_SUP | R_WEB,	 msg_none,	     EXACT,    0,   0, ALL,     4, READ,  "queries running and waiting, please") \
	X( 35, QUERY_KILL,	R_CTL | R_SUP, R_SUP | R_WEB,	 msg_query_kill,     EXACT,    0,   0, ALL,    16, ADMIN, "end one of them") \
	X( 36, PING,		R_SUP,	       R_WORKER,	 msg_none,	     EXACT,    0,   0, LIVE,    2, NONE,  "are you there") \
	X( 37, PONG,		R_WORKER,      R_SUP,		 msg_none,	     EXACT,    0,   0, ALL,     2, NONE,  "yes") \
	X( 38, PEER_LOST,	R_WORKER,      R_SUP,		 msg_peer_lost,	     EXACT,    0,   0, ALL,    64, NONE,  "the channel to this peer has closed, we both live") \
	X( 40, SERIES,		R_CLIENT,      R_STORAGE,	 msg_none,	     AT_LEAST, 0,   1, LIVE, 4096, NONE,  "label sets of the sender's own series numbers") \
	X( 41, SAMPLES,		R_CLIENT,      R_STORAGE,	 msg_samples,	     AT_LEAST, 0,   0, LIVE, 4096, NONE,  "part of a batch; the last part commits it") \
	X( 42, FORGET,		R_CLIENT,      R_STORAGE,	 msg_forget,	     AT_LEAST, 0,   0, LIVE, 4096, NONE,  "these numbers are free again") \
	X( 43, ACK,		R_STORAGE,     R_CLIENT,	 msg_ack,	     EXACT,    0,   0, LIVE, 4096, NONE,  "the batch is in the WAL and visible; what was refused") \
	X( 50, READER_JOIN,	R_READER,      R_STORAGE,	 msg_none,	     EXACT,    1,   1, LIVE,    1, NONE,  "my epoch page") \
	X( 51, HEAD_MAP,	R_STORAGE,     R_READER,	 msg_head_map,	     EXACT,    1,   1, LIVE,    2, NONE,  "the head, read-only") \
	X( 52, CHUNKS_FILE_ADD,	R_STORAGE,     R_READER,	 msg_chunks_file,    EXACT,    1,   1, LIVE, 1024, NONE,  "a file of full head chunks, new or longer") \
	X( 53, CHUNKS_FILE_DROP, R_STORAGE,    R_READER,	 msg_chunks_file,    EXACT,    0,   0, LIVE, 1024, NONE,  "no chunk refers to it any more") \
	X( 54, BLOCK_ADD,	R_STORAGE,     R_READER,	 msg_block,	     AT_LEAST, 1, 250, LIVE, 1024, NONE,  "a block to read") \
	X( 55, BLOCK_DROP,	R_STORAGE,     R_READER,	 msg_block,	     AT_LEAST, 0,   0, LIVE, 1024, NONE,  "that block is gone") \
	X( 60, QUERY_RING,	R_READER,      R_ASKER,		 msg_query_ring,     EXACT,    2,   2, LIVE,    1, NONE,  "my reply ring and control page") \
	X( 61, QUERY,		R_ASKER,       R_READER,	 msg_query,	     AT_LEAST, 0,   1, LIVE,    2, NONE,  "one request") \
	X( 62, REPLY,		R_READER,      R_ASKER,		 msg_reply,	     EXACT,    0,   0, LIVE,  256, NONE,  "a piece of the body lies in the ring") \
	X( 63, REPLY_MORE,	R_ASKER,       R_READER,	 msg_none,	     EXACT,    0,   0, LIVE,  256, NONE,  "the ring has room again") \
	X( 70, TARGETS_GET,	R_WEB,	       R_SCRAPE,	 msg_targets_get,    AT_LEAST, 0,   0, LIVE,   64, NONE,  "your targets, please") \
	X( 71, TARGETS,		R_SCRAPE,      R_WEB,		 msg_targets,	     EXACT,    1,   1, LIVE,   64, NONE,  "JSON fragments of them") \
	X( 80, RESOLVE,		R_DIALER,      R_RESOLVER,	 msg_resolve,	     AT_LEAST, 0,   0, LIVE, 4096, NONE,  "addresses of a name, please") \
	X( 81, RESOLVED,	R_RESOLVER,    R_DIALER,	 msg_resolved,	     AT_LEAST, 0,   0, LIVE, 4096, NONE,  "these, or why not")

enum ipc_type {
#define X(id, name, ...) IPC_##name = id,
	IPC_CATALOGUE(X)
#undef X
	IPC_TYPE_MAX = 128
};

struct ipc_row {
	const char	*name;		/* NULL: no such message */
	uint32_t	 from, to;	/* sets of roles */
	uint32_t	 size;		/* of the fixed part */
	enum ipc_rule	 rule;
	uint16_t	 fds_min, fds_max;
	uint8_t		 states;	/* set of enum ipc_state */
	uint32_t	 queue;
	enum ipc_ctl	 ctl;
	const char	*what;
};

/* NULL for a number without a row. */
const struct ipc_row *ipc_row(unsigned type);

/*
 * What is wrong with a message on receipt, NULL if nothing. from and to are
 * the roles of the channel's two ends, state that of the receiver.
 */
const char *ipc_check(unsigned type, enum role from, enum role to,
	    enum ipc_state state, size_t n_bytes, size_t n_fds);

#endif
