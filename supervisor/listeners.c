/* SPDX-License-Identifier: ISC */

/*
 * See listeners.h. An empty host listens on all addresses of both families
 * (one IPv6 socket without V6ONLY, as Go does, IPv4 where there is no IPv6);
 * 0.0.0.0 means IPv4 alone.
 */

#include "supervisor/listeners.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "supervisor/flags_check.h"

#define LISTEN_BACKLOG	65535	/* the kernel cuts it to its own limit */

static int
bind_one(const struct addrinfo *ai, bool v6_only)
{
	int on = 1, v6 = v6_only, e;
	int fd = socket(ai->ai_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6, sizeof(v6));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
	    listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static const char *
bind_error(int e)
{
	return e == EADDRINUSE ? "address already in use" :
	    e == EACCES ? "permission denied" :
	    e == EADDRNOTAVAIL ? "cannot assign requested address" : strerror(e);
}

static int
open_address(struct listeners *l, const char *address, struct err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	char host_text[256], port_text[32];
	struct addrinfo *list = NULL;
	struct str host, port;
	int fd = -1, rc;

	if (address_split(address, &host, &port, err) == -1)
		return -1;
	snprintf(host_text, sizeof(host_text), "%.*s", STR_ARG(host));
	snprintf(port_text, sizeof(port_text), "%.*s", STR_ARG(port));
	if (l->n == LISTENERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d listen addresses",
		    LISTENERS_MAX);
	rc = getaddrinfo(host.n == 0 ? "::" : host_text, port_text, &hints, &list);
	if (rc != 0 && host.n == 0)
		rc = getaddrinfo("0.0.0.0", port_text, &hints, &list);
	if (rc != 0)
		return err_set(err, ERR_NOT_FOUND, "listen tcp: lookup %s: %s",
		    address, gai_strerror(rc));
	for (struct addrinfo *ai = list; ai != NULL && fd == -1; ai = ai->ai_next)
		fd = bind_one(ai, host.n != 0);
	if (fd == -1 && host.n == 0 && errno == EAFNOSUPPORT) {
		freeaddrinfo(list);
		list = NULL;
		if (getaddrinfo("0.0.0.0", port_text, &hints, &list) == 0)
			fd = bind_one(list, false);
	}
	rc = errno;
	if (list != NULL)
		freeaddrinfo(list);
	if (fd == -1)
		return err_set(err, ERR_UNAVAILABLE, "listen tcp %s: bind: %s",
		    address, bind_error(rc));
	l->fds[l->n++] = fd;
	return 0;
}

int
listeners_open(struct listeners *l, const struct flags *f, struct err *err)
{
	const struct flag_value *v = &f->v[FLAG_WEB_LISTEN_ADDRESS];

	l->n = 0;
	for (size_t i = 0; i < v->n_items; i++) {
		if (open_address(l, v->items[i], err) == -1) {
			listeners_close(l);
			return -1;
		}
		log_info("Start listening for connections",
		    F_STR("address", v->items[i]));
	}
	return 0;
}

void
listeners_close(struct listeners *l)
{
	while (l->n > 0)
		close(l->fds[--l->n]);
}
