/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_RESOLVER_HOSTS_H
#define BRAZIER_WORKERS_RESOLVER_HOSTS_H

/*
 * Names that need no name server: the hosts file, read once at start, IP
 * literals, localhost. And which texts can be names at all.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/map.h"
#include "common/base/str.h"

/* Addresses of one answer; more are cut off. */
#define ADDRS_MAX	64
/* Longest name of the DNS, without the final dot. */
#define NAME_MAX_BYTES	253

struct address {
	int	family;		/* 4 or 6 */
	char	text[48];	/* with the zone, if any */
};

struct addresses {
	struct address	a[ADDRS_MAX];
	size_t		n;
};

struct hosts {
	struct map	by_name;	/* of struct host, owned */
	size_t		n;
};

void	 hosts_init(struct hosts *h);
void	 hosts_clear(struct hosts *h);
/* Adds the lines of a hosts file; bad lines are skipped. */
void	 hosts_parse(struct hosts *h, struct str text);
/* Appends what the file has for the name (any case); false if nothing. */
bool	 hosts_find(const struct hosts *h, struct str name,
	    struct addresses *out);

/* 127.0.0.1, ::1, fe80::1%eth0: itself; false when it is no literal. */
bool	 address_literal(struct str text, struct addresses *out);

/*
 * "localhost" and names below it are loopback without asking anybody
 * (RFC 6761); false for other names.
 */
bool	 name_is_localhost(struct str name, struct addresses *out);

/*
 * The name in lower case without a final dot, in out with a NUL. false when
 * it cannot be a domain name (Go's isDomainName).
 */
bool	 name_normalise(struct str name, char out[NAME_MAX_BYTES + 1]);

/* False when there is no room left. */
bool	 addresses_add(struct addresses *as, int family, const char *text);

#endif
