/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_RESOLVER_LOOKUP_H
#define BRAZIER_WORKERS_RESOLVER_LOOKUP_H

/*
 * Names → addresses: what hosts.h knows at once, the rest from name servers
 * over evdns, A and AAAA side by side. Answers are kept as long as their
 * time to live says (within bounds), failures for some seconds; requests for
 * a name that is being asked for wait for the same answer.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "workers/resolver/hosts.h"

struct event_base;
struct lookup;		/* the whole */
struct lookup_waiter;	/* one request that waits */

struct lookup_answer {
	const char		*error;	/* "" when there are addresses */
	struct addresses	 addresses;
	uint32_t		 ttl_s;
};

/* Called once for each lookup_start that returned a waiter. */
typedef void lookup_done_fn(void *arg, const struct lookup_answer *a);

struct lookup_options {
	/* Files; NULL = /etc/resolv.conf and /etc/hosts. */
	const char	*resolv_conf;
	const char	*hosts_file;
	/* For tests: the only name server, "127.0.0.1:5353". */
	const char	*server;
};

/* Reads the files: call it before the sandbox closes. */
struct lookup *lookup_new(struct event_base *base,
	    const struct lookup_options *o, struct err *err);
/* Waiters are dropped without a call. */
void	 lookup_free(struct lookup *l);

/*
 * Answers at once into *now and returns NULL, or returns a waiter whose fn
 * is called later, at the latest after timeout_ms. Errors are worded as Go's
 * ("lookup x: no such host"); their texts live until the next call.
 */
struct lookup_waiter *lookup_start(struct lookup *l, struct str name,
	    uint32_t timeout_ms, lookup_done_fn *fn, void *arg,
	    struct lookup_answer *now);
/* Nobody wants the answer any more. */
void	 lookup_cancel(struct lookup_waiter *w);

/* Names that are kept or asked for. */
size_t	 lookup_n_entries(const struct lookup *l);

#endif
