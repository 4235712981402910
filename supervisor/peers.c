/* SPDX-License-Identifier: ISC */

/*
 * Channels between workers, made new whenever one of the two has (re)started,
 * and what web must know of all processes: their metrics and the server's
 * state.
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
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
