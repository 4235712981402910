/* SPDX-License-Identifier: ISC */

/*
 * The ordered end: stage by stage (roles.c), each with its deadline, then
 * SIGKILL. A worker that is not attached yet has nothing to finish and is
 * killed at its stage. A second signal ends everything at once.
 */

#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "supervisor/supervisor.h"

#define EXIT_AT_ONCE	1
/* timeout(1) and shells signal the process and its group: that is one. */
#define ONE_SIGNAL_NS	500000000LL

static bool
stage_has(const struct stop_stage *stage, const struct child *c)
{
	return (stage->roles & 1u << c->role) != 0;
}

static uint32_t
stage_deadline_ms(const struct supervisor *sup, const struct stop_stage *stage)
{
	return FAULT_DEADLINE_MS(stage->deadline_ms) + (stage->flush ?
	    (uint32_t)flags_int(sup->flags, FLAG_REMOTE_FLUSH) : 0);
}

static bool
stage_is_empty(const struct supervisor *sup, const struct stop_stage *stage)
{
	if (stage_has(stage, &sup->config) && sup->config.pid != 0)
		return false;
	for (size_t i = 0; i < sup->n_children; i++)
		if (stage_has(stage, &sup->children[i]) &&
		    sup->children[i].pid != 0)
			return false;
	return true;
}

static void
stop_child(struct child *c, uint32_t deadline_ms)
{
	if (c->restart_timer != NULL)
		event_del(c->restart_timer);
	if (c->pid == 0)
		return;
	if (c->state == CHILD_BOOT) {
		c->state = CHILD_STOPPING;
		(void)kill(c->pid, SIGKILL);
	} else
		child_stop(c, deadline_ms);
}

static void
stage_begin(struct supervisor *sup)
{
	const struct stop_stage *stage = &stop_stages[sup->stop_stage];
	uint32_t ms = stage_deadline_ms(sup, stage);

	sup->stop_began = mono_now();
	if (stage->before != NULL && !stage_is_empty(sup, stage))
		log_info(stage->before);
	if (stage_has(stage, &sup->config))
		stop_child(&sup->config, ms);
	for (size_t i = 0; i < sup->n_children; i++)
		if (stage_has(stage, &sup->children[i]))
			stop_child(&sup->children[i], ms);
}

static void
stop_finish(struct supervisor *sup)
{
	if (sup->exit_code == 0)
		log_info("See you next time!");
	event_base_loopbreak(sup->base);
}

/* Begins stages until one has somebody to wait for. */
static void
stop_advance(struct supervisor *sup)
{
	while (sup->stop_stage < n_stop_stages) {
		const struct stop_stage *stage = &stop_stages[sup->stop_stage];

		if (!stage_is_empty(sup, stage))
			return;
		if (stage->after != NULL && sup->stop_counted)
			log_info(stage->after, F_DUR("duration",
			    mono_sub_ns(mono_now(), sup->stop_began)));
		if (++sup->stop_stage == n_stop_stages)
			break;
		sup->stop_counted = !stage_is_empty(sup,
		    &stop_stages[sup->stop_stage]);
		stage_begin(sup);
	}
	stop_finish(sup);
}

static void
stop_at_once(struct supervisor *sup)
{
	log_warn("Second signal, ending at once");
	for (size_t i = 0; i < sup->n_children; i++)
		child_kill(&sup->children[i], PEER_CAUSE_KILLED, "second signal");
	child_kill(&sup->config, PEER_CAUSE_KILLED, "second signal");
	sup->exit_code = EXIT_AT_ONCE;
	sup->stop_stage = n_stop_stages;
	event_base_loopbreak(sup->base);
}

void
stop_begin(struct supervisor *sup, const char *signal_name)
{
	if (sup->phase == SUPER_STOPPING) {
		if (signal_name != NULL && sup->stop_signalled.ns != 0 &&
		    mono_sub_ns(mono_now(), sup->stop_signalled) > ONE_SIGNAL_NS)
			stop_at_once(sup);
		else if (signal_name != NULL && sup->stop_signalled.ns == 0)
			sup->stop_signalled = mono_now();
		return;
	}
	if (signal_name != NULL)
		log_warn("Received an OS signal, exiting gracefully...",
		    F_STR("signal", signal_name));
	sup->phase = SUPER_STOPPING;
	if (signal_name != NULL)
		sup->stop_signalled = mono_now();
	metrics_set(metrics_get(sup->metrics, METRIC_READY, ""), 0);
	peers_send_server_state(sup);
	reload_cancel_all(sup, "the server is stopping");
	FAULT_POINT("stop.begin");
	sup->stop_stage = 0;
	sup->stop_counted = false;
	for (size_t i = 0; i < sup->n_children; i++)
		event_del(sup->children[i].restart_timer);
	stage_begin(sup);
	stop_advance(sup);
}

void
stop_on_death(struct supervisor *sup)
{
	FAULT_POINT("stop.death");
	if (sup->phase == SUPER_STOPPING && sup->stop_stage < n_stop_stages)
		stop_advance(sup);
}
