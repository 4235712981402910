/* SPDX-License-Identifier: ISC */

/*
 * A death is seen by itself; a worker that hangs must be looked for. Every
 * few seconds each worker that is up is asked (PING), and one that has not
 * answered yet is looked at instead:
 *
 *	it has not moved at all for IDLE_LOOKS looks, as the scheduler counts
 *	(stopped, or waiting for what never comes): it hangs, it is killed
 *
 *	it works, but has not answered for busy_limit_ms(): it turns in circles,
 *	it is killed. A query may take its time, a replay any time
 *
 * A process that waits for the disk in the kernel (state D) counts as moving:
 * killing it would not help. Looks are counted, not seconds, so that nobody
 * is blamed for a machine that stood still. The steps of start, reload and
 * stop have deadlines of their own, which are not waited for here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "supervisor/supervisor.h"

#define LOOK_MS		5000
#define IDLE_LOOKS	6
#define BUSY_LIMIT_MS	120000

struct watchdog {
	struct supervisor	*sup;
	struct event		*timer;
};

/* Reads a small file of /proc; "" when it cannot. */
static void
read_proc(pid_t pid, const char *name, char out[512])
{
	char path[64];
	size_t n;
	FILE *fp;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if ((fp = fopen(path, "re")) == NULL)
		return;
	n = fread(out, 1, 511, fp);
	out[n] = '\0';
	fclose(fp);
}

/* How often its main thread was put on a CPU; false = it cannot be told. */
static bool
times_run(pid_t pid, uint64_t *n_out)
{
	unsigned long long ran_ns, waited_ns, times;
	char text[512];

	read_proc(pid, "schedstat", text);
	if (sscanf(text, "%llu %llu %llu", &ran_ns, &waited_ns, &times) != 3)
		return false;
	*n_out = times + ran_ns;
	return true;
}

static bool
waits_for_disk(pid_t pid)
{
	const char *rest;
	char text[512];

	read_proc(pid, "stat", text);
	rest = strrchr(text, ')');
	return rest != NULL && strncmp(rest, ") D", 3) == 0;
}

/* 0 = no limit. */
static int64_t
busy_limit_ms(const struct child *c)
{
	switch (c->role) {
	case ROLE_QUERY:
	case ROLE_EVAL:
		return BUSY_LIMIT_MS + flags_int(c->sup->flags,
		    FLAG_QUERY_TIMEOUT);
	case ROLE_STORAGE:
		return c->ready ? BUSY_LIMIT_MS : 0;
	default:
		return BUSY_LIMIT_MS;
	}
}

static void
ask(struct child *c)
{
	c->looks = c->idle_looks = 0;
	if (!times_run(c->pid, &c->moved))
		c->moved = 0;
	c->asked = true;
	child_send(c, IPC_PING, 0, NULL, 0, -1);
}

static void
look_at(struct child *c)
{
	int64_t limit_ms = busy_limit_ms(c);
	uint64_t moved = 0;

	c->looks++;
	if (!times_run(c->pid, &moved) || moved != c->moved ||
	    waits_for_disk(c->pid)) {
		c->moved = moved;
		c->idle_looks = 0;
	} else if (++c->idle_looks >= IDLE_LOOKS) {
		child_kill(c, PEER_CAUSE_LIMIT, "hung");
		return;
	}
	if (limit_ms != 0 && (int64_t)c->looks * LOOK_MS >= limit_ms)
		child_kill(c, PEER_CAUSE_LIMIT, "busy without an answer");
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct watchdog *wd = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < wd->sup->n_children; i++) {
		struct child *c = &wd->sup->children[i];

		if (c->state != CHILD_UP || c->ch == NULL)
			continue;
		if (c->asked)
			look_at(c);
		else
			ask(c);
	}
}

void
watchdog_on_pong(struct child *c)
{
	c->asked = false;
}

struct watchdog *
watchdog_new(struct supervisor *sup)
{
	const int64_t ms = FAULT_DEADLINE_MS(LOOK_MS);
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };
	struct watchdog *wd = xcalloc(1, sizeof(*wd));

	wd->sup = sup;
	wd->timer = event_new(sup->base, -1, EV_PERSIST, timer_cb, wd);
	if (wd->timer == NULL || event_add(wd->timer, &tv) == -1)
		fatal("out of memory");
	return wd;
}

void
watchdog_free(struct watchdog *wd)
{
	if (wd == NULL)
		return;
	event_free(wd->timer);
	free(wd);
}
