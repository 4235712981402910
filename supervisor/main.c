/* SPDX-License-Identifier: ISC */

/* brazierd: the command line, the start, the loop, the end. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "supervisor/supervisor.h"

#define METRICS_INTERVAL_S	2

/* Prints what the parser left and returns whether the start goes on. */
static bool
result_print(const struct flags_result *r)
{
	if (r->err.n > 0)
		(void)fwrite(r->err.p, 1, r->err.n, stderr);
	if (r->out.n > 0)
		(void)fwrite(r->out.p, 1, r->out.n, stdout);
	(void)fflush(stdout);
	return r->exit_code == FLAGS_GO_ON;
}

static void
metrics_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	status_update_metrics(arg);
}

static void
supervisor_loop(struct supervisor *sup)
{
	struct timeval tv = { METRICS_INTERVAL_S, 0 };
	struct event *timer = event_new(sup->base, -1, EV_PERSIST,
	    metrics_timer_cb, sup);

	if (timer != NULL)
		event_add(timer, &tv);
	status_update_metrics(sup);
	(void)event_base_dispatch(sup->base);
	if (timer != NULL)
		event_free(timer);
}

static int
supervisor_run(const struct flags *flags, const struct flags_settings *settings)
{
	struct supervisor *sup = calloc(1, sizeof(*sup));
	int code;

	if (sup == NULL)
		return 1;
	sup->flags = flags;
	sup->settings = settings;
	log_writer_init(&sup->log_writer, STDERR_FILENO);
	log_open("supervisor", (enum log_level)flags_int(flags, FLAG_LOG_LEVEL),
	    (enum log_format)flags_int(flags, FLAG_LOG_FORMAT), log_writer_sink,
	    &sup->log_writer);
	if (supervisor_start(sup) == 0)
		supervisor_loop(sup);
	code = sup->exit_code;
	supervisor_free(sup);
	log_open("supervisor", LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, NULL, NULL);
	free(sup);
	return code;
}

int
main(int argc, char **argv)
{
	struct flags_settings settings = { .agent = false };
	struct flags_result result;
	struct flags flags;
	int code;

	fault_open();
	flags_init(&flags);
	flags_result_init(&result);
	flags_parse(&flags, argc, argv, &result);
	if (!result_print(&result))
		goto out;
	log_open("supervisor", (enum log_level)flags_int(&flags, FLAG_LOG_LEVEL),
	    (enum log_format)flags_int(&flags, FLAG_LOG_FORMAT), NULL, NULL);
	flags_check(&flags, &settings, &result);
	if (!result_print(&result))
		goto out;
	flags_warn_no_effect(&flags);
	result.exit_code = supervisor_run(&flags, &settings);
out:
	code = result.exit_code;
	flags_settings_clear(&settings);
	flags_result_clear(&result);
	flags_clear(&flags);
	return code;
}
