/* SPDX-License-Identifier: ISC */

/*
 * Channels between workers, made new whenever one of the two has (re)started,
 * and what web must know of all processes: their metrics and the server's
 * state.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "supervisor/supervisor.h"

static void
peer_up(struct child *to, const struct child *peer, int fd)
{
	struct msg_peer msg = { .role = peer->role, .instance = peer->instance,
	    .n_instances = role_count(peer->role, to->sup->flags),
	    .pid = (uint32_t)peer->pid };

	child_send(to, IPC_PEER_UP, 0, &msg, sizeof(msg), fd);
}

static void
connect_two(struct child *a, struct child *b)
{
	struct err err = ERR_INIT;
	int fds[2];

	if (ipc_pair(fds, &err) == -1) {
		log_error("Workers cannot be connected", F_ERR(&err));
		child_kill(a, PEER_CAUSE_EXIT, "cannot be connected");
		return;
	}
	peer_up(a, b, fds[0]);
	peer_up(b, a, fds[1]);
}

/* The roles that a role has channels to. */
static bool
roles_talk(enum role a, enum role b)
{
	for (size_t i = 0; i < role_n_pairs; i++)
		if ((role_pairs[i].a == a && role_pairs[i].b == b) ||
		    (role_pairs[i].a == b && role_pairs[i].b == a))
			return true;
	return false;
}

void
peers_connect(struct child *c)
{
	for (size_t i = 0; i < c->sup->n_children; i++) {
		struct child *other = &c->sup->children[i];

		if (other->state == CHILD_UP && other != c &&
		    roles_talk(c->role, other->role))
			connect_two(c, other);
	}
}

void
peers_tell_down(struct child *c, enum peer_cause cause, const char *why)
{
	struct msg_peer_down msg = { .role = c->role, .instance = c->instance,
	    .cause = cause };

	for (size_t i = 0; i < c->sup->n_children; i++) {
		struct child *other = &c->sup->children[i];

		if ((other->state == CHILD_UP || other->state == CHILD_STOPPING) &&
		    roles_talk(c->role, other->role))
			child_send_text(other, IPC_PEER_DOWN, 0, &msg, sizeof(msg),
			    str_c(why), -1);
	}
}

/* --- channels that closed between two who live --- */

/*
 * One of the two broke the protocol, or closed the channel to be rid of what
 * waits in it (storage does when the disk is full for too long). Without a
 * new channel they would be apart until one of them dies. Not at once: who
 * breaks the rules again must not keep the other busy.
 */
#define RECONNECT_S	1

struct lost_pair {
	struct child	*a, *b;
	pid_t		 pid_a, pid_b;
};

static void
reconnect_cb(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *sup = arg;
	char one[32], other[32];

	(void)fd;
	(void)what;
	for (size_t i = 0; i < sup->n_lost; i++) {
		const struct lost_pair *p = &sup->lost[i];

		/* who has started anew has new channels already */
		if (sup->phase == SUPER_STOPPING || p->a->state != CHILD_UP ||
		    p->b->state != CHILD_UP || p->a->pid != p->pid_a ||
		    p->b->pid != p->pid_b)
			continue;
		log_warn("Channel between workers had closed, making a new one",
		    F_STR("role", child_name(p->a, one)),
		    F_STR("peer", child_name(p->b, other)));
		connect_two(p->a, p->b);
	}
	sup->n_lost = 0;
}

bool
peers_lost(struct child *c, const struct msg_peer_lost *lost)
{
	static const struct timeval wait = { RECONNECT_S, 0 };
	struct supervisor *sup = c->sup;
	struct child *other;

	if (lost->role >= ROLE_COUNT ||
	    !roles_talk(c->role, (enum role)lost->role) ||
	    (other = children_find(sup, (enum role)lost->role,
	    lost->instance)) == NULL)
		return false;
	if ((uint32_t)other->pid != lost->pid)
		return true;	/* it has ended since */
	for (size_t i = 0; i < sup->n_lost; i++)
		if ((sup->lost[i].a == c && sup->lost[i].b == other) ||
		    (sup->lost[i].a == other && sup->lost[i].b == c))
			return true;	/* the other's word for it */
	if (sup->lost_timer == NULL)
		sup->lost_timer = evtimer_new(sup->base, reconnect_cb, sup);
	if (sup->lost_timer == NULL || vec_grow(&sup->lost, &sup->cap_lost,
	    sup->n_lost + 1, sizeof(*sup->lost)) == -1)
		fatal("out of memory");
	if (sup->n_lost == 0)
		evtimer_add(sup->lost_timer, &wait);
	sup->lost[sup->n_lost++] = (struct lost_pair){ c, other, c->pid,
	    other->pid };
	return true;
}

void
peers_free(struct supervisor *sup)
{
	if (sup->lost_timer != NULL)
		event_free(sup->lost_timer);
	free(sup->lost);
	sup->lost_timer = NULL;
	sup->lost = NULL;
	sup->n_lost = sup->cap_lost = 0;
}

/* --- metrics regions --- */

static void
send_region(struct child *web, enum role role, uint32_t instance, pid_t pid,
    int fd)
{
	struct msg_metrics_region msg = { .role = role, .instance = instance,
	    .pid = (uint32_t)pid };
	int copy = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy != -1)
		child_send(web, IPC_METRICS_REGION, 0, &msg, sizeof(msg), copy);
}

void
peers_send_regions(struct child *web)
{
	struct supervisor *sup = web->sup;

	send_region(web, ROLE_SUPERVISOR, 0, getpid(), sup->metrics_fd);
	for (size_t i = 0; i < sup->n_children; i++) {
		const struct child *c = &sup->children[i];

		if (c->state == CHILD_UP)
			send_region(web, c->role, c->instance, c->pid,
			    c->metrics_fd);
	}
}

void
peers_send_region(struct child *c)
{
	for (size_t i = 0; i < c->sup->n_children; i++) {
		struct child *web = &c->sup->children[i];

		if (web->role == ROLE_WEB && web->state == CHILD_UP)
			send_region(web, c->role, c->instance, c->pid,
			    c->metrics_fd);
	}
}

void
peers_send_region_gone(struct child *c)
{
	struct msg_metrics_region msg = { .role = c->role,
	    .instance = c->instance, .pid = (uint32_t)c->pid };

	if (c->role == ROLE_CONFIG)
		return;
	for (size_t i = 0; i < c->sup->n_children; i++) {
		struct child *web = &c->sup->children[i];

		if (web->role == ROLE_WEB && web != c && web->state == CHILD_UP)
			child_send(web, IPC_METRICS_GONE, 0, &msg, sizeof(msg), -1);
	}
}

/* --- state of the server --- */

void
peers_send_server_state(struct supervisor *sup)
{
	struct msg_server_state msg = {
		.ready = sup->phase == SUPER_RUNNING,
		.stopping = sup->phase == SUPER_STOPPING,
		.reload_ok = sup->reload_ok,
		.reload_ms = sup->reload_ms,
		.start_ms = sup->start_ms,
		.replay_min = sup->replay.min,
		.replay_max = sup->replay.max,
		.replay_current = sup->replay.current,
	};

	for (size_t i = 0; i < sup->n_children; i++) {
		struct child *web = &sup->children[i];

		if (web->role == ROLE_WEB && (web->state == CHILD_UP ||
		    web->state == CHILD_STOPPING))
			child_send(web, IPC_SERVER_STATE, 0, &msg, sizeof(msg), -1);
	}
}
