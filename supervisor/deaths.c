/* SPDX-License-Identifier: ISC */

/*
 * Deaths of workers. A worker is dead when it has been reaped, and only then:
 * a channel that closes earlier gets its process killed. What the worker last
 * said, on its channel and to the log, is heard before the death is told: who
 * has answered and died has answered.
 */

#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "common/sandbox/sandbox.h"
#include "supervisor/child.h"
#include "supervisor/kernel_log.h"
#include "supervisor/supervisor.h"

#define HEALTHY_SPELL_MS	30000	/* then the back-off begins anew */
#define STARTUP_DEATHS_MAX	5	/* of one worker, then the start fails */
#define LAST_WORDS_MAX		64	/* times the channel is read after death */

uint64_t
oom_kills(void)
{
	FILE *fp = fopen("/proc/vmstat", "re");
	char line[128];
	unsigned long long n = 0;

	if (fp == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL)
		if (sscanf(line, "oom_kill %llu", &n) == 1)
			break;
	fclose(fp);
	return n;
}

static enum peer_cause
signal_cause(int sig, bool core_of_memory)
{
	switch (sig) {
	case SIGKILL:
		return core_of_memory ? PEER_CAUSE_LIMIT : PEER_CAUSE_KILLED;
	case SIGXCPU:
	case SIGXFSZ:
		return PEER_CAUSE_LIMIT;
	default:
		return PEER_CAUSE_CRASH;
	}
}

/* Its name, where the kernel tells. */
static void
forbidden_call(struct child *c)
{
	long call = kernel_log_forbidden_call(c->sup->kernel_log, c->pid);
	char name[32];

	snprintf(c->last_cause, sizeof(c->last_cause),
	    "forbidden system call%s%s", call == -1 ? "" : ": ",
	    call == -1 ? "" : sandbox_call_name(call, name));
}

static enum peer_cause
death_cause(struct child *c, int status, uint64_t oom_before)
{
	bool oom;

	if (c->kill_reason != NULL) {
		snprintf(c->last_cause, sizeof(c->last_cause), "killed: %s",
		    c->kill_reason);
		return c->kill_cause;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_MEMORY) {
		snprintf(c->last_cause, sizeof(c->last_cause), "needs more "
		    "memory than its limit of %llu bytes",
		    (unsigned long long)c->memory_limit);
		return PEER_CAUSE_NO_MEMORY;
	}
	if (WIFEXITED(status)) {
		snprintf(c->last_cause, sizeof(c->last_cause), "exit status %d",
		    WEXITSTATUS(status));
		return c->state == CHILD_STOPPING && WEXITSTATUS(status) == 0 ?
		    PEER_CAUSE_STOP : PEER_CAUSE_EXIT;
	}
	oom = WTERMSIG(status) == SIGKILL && oom_kills() > oom_before;
	if (c->channel_lost && WTERMSIG(status) == SIGKILL && !oom &&
	    c->state == CHILD_STOPPING) {
		snprintf(c->last_cause, sizeof(c->last_cause), "stopped");
		return PEER_CAUSE_STOP;
	}
	if (WTERMSIG(status) == SIGSYS) {
		forbidden_call(c);
		return PEER_CAUSE_VIOLATION;
	}
	snprintf(c->last_cause, sizeof(c->last_cause), "%s%s",
	    oom ? "out of memory: " : "", WTERMSIG(status) < NSIG && sigabbrev_np(WTERMSIG(status)) != NULL ?
	    sigdescr_np(WTERMSIG(status)) : "unknown signal");
	return signal_cause(WTERMSIG(status), oom);
}

static const char *
cause_name(enum peer_cause cause)
{
	static const char *const names[] = {
		[PEER_CAUSE_STOP] = "stop", [PEER_CAUSE_EXIT] = "exit",
		[PEER_CAUSE_CRASH] = "crash", [PEER_CAUSE_KILLED] = "killed",
		[PEER_CAUSE_LIMIT] = "limit",
		[PEER_CAUSE_VIOLATION] = "violation",
		[PEER_CAUSE_NO_MEMORY] = "limit",
	};

	return names[cause];
}

static void
count_restart(struct child *c, enum peer_cause cause)
{
	char labels[96];

	c->restarts++;
	snprintf(labels, sizeof(labels), "cause=\"%s\",role=\"%s\"",
	    cause_name(cause), role_name(c->role));
	metrics_inc(metrics_get(c->sup->metrics, METRIC_WORKER_RESTARTS, labels));
}

static void
child_on_death(struct child *c, int status, uint64_t oom_before)
{
	struct supervisor *sup = c->sup;
	enum peer_cause cause = death_cause(c, status, oom_before);
	int64_t lived_ms = mono_sub_ns(mono_now(), c->started) / 1000000;
	bool stopping = c->state == CHILD_STOPPING;
	bool by_itself = c->said_stopped && c->kill_reason == NULL &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0;
	pid_t pid = c->pid;
	char name[32];

	event_del(c->kill_timer);
	peers_send_region_gone(c);
	if (c->role == ROLE_QUERY || c->role == ROLE_EVAL)
		queries_active_on_death(c, c->last_cause);
	broker_forget(c);
	child_clear_process(c);
	if (c->role == ROLE_WEB)
		control_on_web_down(sup);
	if (c->role != ROLE_CONFIG)
		peers_tell_down(c, cause, c->last_cause);
	reload_on_death(c, c->last_cause);
	if (c->role == ROLE_CONFIG || stopping ||
	    sup->phase == SUPER_STOPPING) {
		if (!stopping && c->role != ROLE_CONFIG)
			log_warn("Worker has ended", F_STR("role",
			    child_name(c, name)), F_STR("cause", c->last_cause));
		stop_on_death(sup);
		return;
	}
	if (by_itself && lived_ms >= 1000) {
		/* Used up, on purpose: no harm, no back-off. */
		log_info("Worker has finished, replacing it",
		    F_STR("role", child_name(c, name)));
		child_start(c);
		return;
	}
	log_error("Worker has ended, restarting it",
	    F_STR("role", child_name(c, name)),
	    F_STR("cause", c->last_cause), F_UINT("child_pid", (uint64_t)pid),
	    F_DUR("lived", lived_ms * 1000000));
	count_restart(c, cause);
	if (lived_ms >= FAULT_DEADLINE_MS(HEALTHY_SPELL_MS))
		c->backoff_ms = 0;
	if (sup->phase < SUPER_RUNNING && c->restarts >= STARTUP_DEATHS_MAX) {
		struct err err = ERR_INIT;

		err_set(&err, ERR_INTERNAL, "%s ended %u times at start, last: %s",
		    child_name(c, name), c->restarts, c->last_cause);
		startup_fail(sup, 1, &err);
		return;
	}
	child_retry_later(c);
}

static struct child *
child_by_pid(struct supervisor *sup, pid_t pid)
{
	if (sup->config.pid == pid)
		return &sup->config;
	for (size_t i = 0; i < sup->n_children; i++)
		if (sup->children[i].pid == pid)
			return &sup->children[i];
	return NULL;
}

static void
child_hear_out(struct child *c)
{
	for (int i = 0; i < LAST_WORDS_MAX && c->ch != NULL &&
	    ipc_channel_pump(c->ch, 0); i++)
		;
}

void
children_reap(struct supervisor *sup)
{
	uint64_t oom = sup->oom_kills;
	siginfo_t dead = { 0 };

	/* It keeps its number until its last words are heard. */
	while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    dead.si_pid != 0) {
		struct child *c = child_by_pid(sup, dead.si_pid);
		int status;

		if (c != NULL)
			child_hear_out(c);
		if (waitpid(dead.si_pid, &status, WNOHANG) == dead.si_pid &&
		    c != NULL)
			child_on_death(c, status, oom);
		dead.si_pid = 0;
	}
	sup->oom_kills = oom_kills();
}
