/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_WEB_ROUTES_H
#define BRAZIER_WORKERS_WEB_ROUTES_H

/* The table of everything that answers under a path. */

#include "workers/web/web.h"

enum route_flags {
	ROUTE_READY = 1,	/* 503 until the server is ready */
	ROUTE_CORS = 2,
	ROUTE_COMPRESS = 4,
	ROUTE_NO_AGENT = 8,	/* 422 in agent mode */
	ROUTE_API = ROUTE_READY | ROUTE_CORS | ROUTE_COMPRESS,
	ROUTE_DATA = ROUTE_API | ROUTE_NO_AGENT
};

struct route {
	const char	*pattern;	/* ":name" is one part, "*" the rest */
	unsigned	 methods;	/* set of enum http_method */
	unsigned	 flags;
	web_handler	*handler;
	int		 kind;		/* enum query_kind, -1 = none */
};

/* The call is over: metrics of its route. */
void	 routes_count(const struct call *c);

enum route_match { ROUTE_NONE, ROUTE_OTHER_METHOD, ROUTE_FOUND };

/*
 * Looks a path up. ROUTE_OTHER_METHOD: *allow_out has the methods it has.
 * arg_out: what ":name" or "*" stood for, borrowed from path.
 */
enum route_match routes_find(struct str path, unsigned method,
	    const struct route **out, struct str *arg_out,
	    unsigned *allow_out);

/*
 * The known path that differs from this one only by a slash at the end or by
 * letter case; false when there is none. Result in the arena.
 */
bool	 routes_fix(struct arena *a, struct str path, unsigned method,
	    struct str *out);

#endif
