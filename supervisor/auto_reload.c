/* SPDX-License-Identifier: ISC */

/*
 * --config.auto-reload: looks at the files that the last good load has read
 * and asks for a reload when one of them has changed. What counts is a
 * file's identity, size and time of change; a change that was seen is not
 * reported again, whatever became of the reload.
 */

#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "supervisor/supervisor.h"

struct seen_file {
	char		*path;
	struct stat	 st;	/* all zero = not there */
};

struct auto_reload {
	struct supervisor	*sup;
	struct seen_file	*files;
	size_t			 n;
	struct event		*timer;
};

static void
look(const struct auto_reload *a, const char *path, struct stat *st)
{
	const struct flags *f = a->sup->flags;
	bool own = strcmp(path, flags_str(f, FLAG_CONFIG_FILE)) == 0;
	struct err err = ERR_INIT;

	memset(st, 0, sizeof(*st));
	if (!own && identity_enter(&a->sup->identity, &err) == -1)
		return;
	if (stat(path, st) == -1)
		memset(st, 0, sizeof(*st));
	if (!own)
		identity_leave(&a->sup->identity);
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
done_cb(void *arg, const struct err *err, unsigned exit_code)
{
	(void)arg;
	(void)exit_code;
	if (err != NULL)
		log_error("Error reloading config", F_ERR(err));
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct auto_reload *a = arg;
	bool changed = false;

	(void)fd;
	(void)what;
	if (a->sup->phase != SUPER_RUNNING || a->sup->reload != NULL)
		return;
	for (size_t i = 0; i < a->n; i++) {
		struct stat st;

		look(a, a->files[i].path, &st);
		changed = changed || !is_same(&st, &a->files[i].st);
		a->files[i].st = st;
	}
	if (!changed)
		return;
	log_info("Configuration file change detected, reloading the "
	    "configuration.");
	reload_request(a->sup, done_cb, NULL);
}

static void
forget(struct auto_reload *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->files[i].path);
	free(a->files);
	a->files = NULL;
	a->n = 0;
}

void
auto_reload_files(struct auto_reload *a, struct wire_reader *r)
{
	uint32_t n = wire_get_count(r, 4);

	if (a != NULL) {
		forget(a);
		a->files = xcalloc(n, sizeof(*a->files));
	}
	while (n-- > 0) {
		struct str path = wire_get_str(r);

		if (a == NULL || r->failed || path.n == 0)
			continue;
		if ((a->files[a->n].path = str_dup(path)) == NULL)
			fatal("out of memory");
		look(a, a->files[a->n].path, &a->files[a->n].st);
		a->n++;
	}
}

struct auto_reload *
auto_reload_new(struct supervisor *sup)
{
	int64_t ms = flags_int(sup->flags, FLAG_CONFIG_AUTO_RELOAD_INTERVAL);
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };
	struct auto_reload *a;

	if (!flags_bool(sup->flags, FLAG_CONFIG_AUTO_RELOAD))
		return NULL;
	a = xcalloc(1, sizeof(*a));
	a->sup = sup;
	a->timer = event_new(sup->base, -1, EV_PERSIST, timer_cb, a);
	if (a->timer == NULL || event_add(a->timer, &tv) == -1)
		fatal("out of memory");
	log_info("Automatic configuration file reloading enabled");
	return a;
}

void
auto_reload_free(struct auto_reload *a)
{
	if (a == NULL)
		return;
	forget(a);
	event_free(a->timer);
	free(a);
}
