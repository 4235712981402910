/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_WORKER_H
#define BRAZIER_IPC_WORKER_H

/*
 * The frame that every worker shares: a role is its main.c with one const
 * struct worker_role, and worker_main() does the rest, always in this order:
 *
 *	attach (ATTACH on descriptor 3)
 *	→ start()	what must be opened or made before the doors close
 *	→ drop user, Landlock, seccomp, check that it holds
 *	→ ATTACHED	only from here on input is read
 *	→ loop: PEER_UP/DOWN, PREPARE → COMMIT|ABORT, RUN, … STOP → STOPPED
 *
 * A loop that neither turns nor works for half a minute is taken for hung and
 * its process is killed (supervisor/watchdog.c): callbacks that wait must not
 * wait that long without waking up.
 *
 * Workers ignore INT, TERM, HUP: they end on STOP or when the supervisor's
 * channel closes. All callbacks run in the one loop; ctx is the role's own
 * struct, given to worker_main.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/role.h"
#include "common/base/str.h"
#include "ipc/channel.h"

struct event_base;
struct metrics;
struct worker;

/* Which peers a role has, and what it hears from them. */
struct worker_peer {
	enum role			 role;
	const struct ipc_handler	*handlers;
	size_t				 n_handlers;
};

struct worker_role {
	enum role	 role;
	/* Messages of this role from the supervisor beyond the frame's own
	 * (the handlers' ctx is the role's, as on all channels). */
	const struct ipc_handler *handlers;
	size_t		 n_handlers;
	const struct worker_peer *peers;
	size_t		 n_peers;

	/* Before lock-in: w is ready (flags, descriptors, loop). NULL = none. */
	int	(*start)(void *ctx, struct worker *w, struct err *err);
	/* After lock-in, before the first input. NULL = none. */
	int	(*locked)(void *ctx, struct err *err);

	/*
	 * Builds generation `gen` from this role's blob beside what is in
	 * force; blob lives until the return. 0 = accepted, -1 = refused (err
	 * goes to who asked for the reload), 1 = worker_prepared() will be
	 * called later. NULL = nothing to build, accepted.
	 */
	int	(*prepare)(void *ctx, uint32_t gen, struct str blob,
		    struct err *err);
	/* Cannot fail: swaps. */
	void	(*commit)(void *ctx, uint32_t gen);
	void	(*abort)(void *ctx, uint32_t gen);

	/* RUN: the whole is ready, begin. */
	void	(*run)(void *ctx);
	/* STOP: finish in time, then call worker_stopped(). NULL = at once. */
	void	(*stop)(void *ctx, uint32_t deadline_ms);

	/*
	 * A channel that closes is told only when the supervisor has said why
	 * its process ended, or after a second.
	 */
	bool	 waits_for_cause;
	/* The channel is the frame's; it is freed after peer_down returns. */
	void	(*peer_up)(void *ctx, struct ipc_channel *ch);
	/* why in words; cause from the supervisor, or CRASH when only the
	 * channel was seen to close. Called once a channel. */
	void	(*peer_down)(void *ctx, struct ipc_channel *ch,
		    enum peer_cause cause, const char *why);
};

/* Runs the worker; returns the exit status of main(). */
int	 worker_main(const struct worker_role *role, void *ctx);

struct event_base *worker_base(struct worker *w);
struct metrics *worker_metrics(struct worker *w);
struct ipc_channel *worker_supervisor(struct worker *w);
uint32_t worker_instance(const struct worker *w);
uint32_t worker_n_instances(const struct worker *w);
/* RLIMIT_DATA, 0 = none. */
uint64_t worker_memory_limit(const struct worker *w);
uint32_t worker_generation(const struct worker *w);

/*
 * Flags by name, as text ("15s", "true", ""), and options of ours (keys that
 * begin with "brazier."). Empty when there is none of that name. The typed
 * ones are fatal on a text that does not parse: the supervisor has checked.
 */
struct str worker_flag(const struct worker *w, const char *name);
bool	 worker_flag_bool(const struct worker *w, const char *name);
int64_t	 worker_flag_int(const struct worker *w, const char *name);
int64_t	 worker_flag_duration_ms(const struct worker *w, const char *name);
/* The Go dialect ("2ms", "1.5s"), in nanoseconds. */
int64_t	 worker_flag_go_duration_ns(const struct worker *w,
	    const char *name);
int64_t	 worker_flag_bytes(const struct worker *w, const char *name);
/* True when one of --enable-feature's names is this one. */
bool	 worker_feature(const struct worker *w, const char *name);
/* Walks all of them: index from 0; false at the end. */
bool	 worker_flag_at(const struct worker *w, size_t i, struct str *name,
	    struct str *value);

/*
 * Options the supervisor sets (bytes and counts in decimal):
 *	brazier.head.max-bytes		ceiling of the head arena (storage)
 *	brazier.query.limit-bytes	byte account of one query (query, eval)
 *	brazier.start-time-ms		of the server
 *	brazier.hostname, brazier.cwd	for web
 *	brazier.queries-active.slot	ours in queries.active (query, eval)
 *	brazier.page-size …
 * Descriptors by tag:
 *	data-dir	O_RDONLY|O_DIRECTORY of the data directory (storage)
 *	listener	a bound and listening socket (web; may come repeatedly)
 *	queries-active	the active-query tracker (query)
 */

/* Takes the first descriptor with that tag; -1 when there is none left. */
int	 worker_take_fd(struct worker *w, const char *tag);

/* The answer to a prepare() that returned 1. */
void	 worker_prepared(struct worker *w, uint32_t gen, const struct err *err);
/* This worker can do its work (sent once; storage after replay). A role
 * whose start() is all it needs never calls it: the frame does, after
 * ATTACHED, unless the role is storage. */
void	 worker_ready(struct worker *w);
/* Everything is finished: STOPPED is sent, the loop ends. */
void	 worker_stopped(struct worker *w);
/* Ends this worker as broken: logs, exit status 1. */
void	 worker_fail(struct worker *w, const struct err *err);

/* The open channels to one role, by instance; NULL when it is down. */
struct ipc_channel *worker_peer(struct worker *w, enum role role,
	    uint32_t instance);

#endif
