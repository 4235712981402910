/* SPDX-License-Identifier: ISC */

/*
 * The resolver reads its files once, before its sandbox closes; when one of
 * them changes it is replaced, between reloads, by one that reads them anew.
 * Who waits for an answer of the old one asks the new one.
 *
 * The files are looked at every two seconds, as WATCH's are (broker.c):
 * inotify would be sooner, but follows neither a link whose target's folder
 * is exchanged nor files on a network, and would need this as well.
 */

#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "supervisor/supervisor.h"

#define LOOK_S		2
#define STOP_MS		1000

static const char *const paths[] = { "/etc/resolv.conf", "/etc/hosts" };
#define N_PATHS	(sizeof(paths) / sizeof(paths[0]))

struct resolver_files {
	struct supervisor	*sup;
	struct event		*timer;
	struct stat		 st[N_PATHS];	/* all zero = not there */
	bool			 changed;	/* and not yet told */
};

static void
look(const char *path, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	if (stat(path, st) == -1)
		memset(st, 0, sizeof(*st));
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_files *f = arg;
	struct child *c = children_find(f->sup, ROLE_RESOLVER, 0);

	(void)fd;
	(void)what;
	for (size_t i = 0; i < N_PATHS; i++) {
		struct stat st;

		look(paths[i], &st);
		if (!is_same(&st, &f->st[i])) {
			log_info("Resolver file has changed",
			    F_STR("path", paths[i]));
			f->changed = true;
		}
		f->st[i] = st;
	}
	if (f->changed && c != NULL && f->sup->phase == SUPER_RUNNING &&
	    f->sup->reload == NULL && child_replace(c, STOP_MS))
		f->changed = false;
}

struct resolver_files *
resolver_files_new(struct supervisor *sup)
{
	struct timeval tv = { LOOK_S, 0 };
	struct resolver_files *f = xcalloc(1, sizeof(*f));

	f->sup = sup;
	for (size_t i = 0; i < N_PATHS; i++)
		look(paths[i], &f->st[i]);
	f->timer = event_new(sup->base, -1, EV_PERSIST, timer_cb, f);
	if (f->timer == NULL || event_add(f->timer, &tv) == -1)
		fatal("out of memory");
	return f;
}

void
resolver_files_free(struct resolver_files *f)
{
	if (f == NULL)
		return;
	event_free(f->timer);
	free(f);
}
