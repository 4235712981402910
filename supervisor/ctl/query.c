/* SPDX-License-Identifier: ISC */

/* brazierctl query instant|range and targets: the HTTP API, printed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "supervisor/ctl/api.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/http_get.h"
#include "supervisor/ctl/offline.h"
#include "supervisor/ctl/time_text.h"

#define RANGE_DEFAULT_S		300.0
#define RANGE_STEPS		250.0	/* of the default step */

static void
form_add_seconds(struct buf *form, const char *key, double seconds)
{
	char text[FLOAT_TEXT_MAX + 1];

	text[float_format_f(seconds, text)] = '\0';
	http_form_add(form, key, text);
}

/* One query and when to evaluate it; step_ms 0 = once, at end. */
struct ctl_eval {
	double	 start, end;	/* seconds */
	int64_t	 step_ms;
	bool	 has_time;	/* else the server takes its own */
};

static json_t *
ask_server(const struct ctl *c, const struct ctl_eval *e, struct err *err)
{
	struct buf form;
	json_t *data;

	buf_init(&form, 0);
	if (e->step_ms != 0) {
		form_add_seconds(&form, "start", e->start);
		form_add_seconds(&form, "end", e->end);
		form_add_seconds(&form, "step", (double)e->step_ms / 1000);
	} else if (e->has_time)
		form_add_seconds(&form, "time", e->end);
	http_form_add(&form, "query", c->args[1]);
	data = api_request(c->args[0], e->step_ms != 0 ?
	    "/api/v1/query_range" : "/api/v1/query", buf_str(&form), err);
	buf_clear(&form);
	return data;
}

static json_t *
ask_blocks(const struct ctl *c, const struct ctl_eval *e, struct err *err)
{
	int64_t end = (int64_t)(e->end * 1000 + 0.5);

	return offline_query(c->storage, str_c(c->args[c->n_args - 1]),
	    e->step_ms != 0 ? (int64_t)(e->start * 1000 + 0.5) : end, end,
	    e->step_ms, err);
}

/* Evaluates and prints what comes back. */
static int
query_run(struct ctl *c, const struct ctl_eval *e)
{
	bool as_json = c->json || (c->format != NULL &&
	    strcmp(c->format, "json") == 0);
	struct err err = ERR_INIT;
	int rc = 1;
	json_t *data;
	struct buf out;

	if (c->storage == NULL && c->n_args != 2) {
		fprintf(stderr, "brazierctl: a server and an expression are "
		    "needed, or --storage.path\n");
		return 1;
	}
	data = c->storage != NULL ? ask_blocks(c, e, &err) :
	    ask_server(c, e, &err);
	buf_init(&out, 0);
	if (data != NULL && as_json) {
		json_dumpf(json_object_get(data, "result"), stdout, JSON_COMPACT);
		putchar('\n');
		rc = 0;
	} else if (data != NULL && api_print_value(&out, data, &err) == 0) {
		if (out.n == 0)
			buf_add_byte(&out, '\n');	/* as promtool */
		(void)fwrite(out.p, 1, out.n, stdout);
		rc = 0;
	}
	if (rc != 0)
		fprintf(stderr, "query error: %s\n", err.text);
	buf_clear(&out);
	json_decref(data);
	return rc;
}

int
ctl_query_instant(struct ctl *c)
{
	struct ctl_eval e = { .end = (double)wall_now_ms() / 1000 };
	struct err err = ERR_INIT;

	if (c->time != NULL) {
		if (time_text_parse(c->time, &e.end, &err) == -1)
			return ctl_fail(&err);
		e.has_time = true;
	}
	return query_run(c, &e);
}

int
ctl_query_range(struct ctl *c)
{
	struct ctl_eval e = { .end = (double)wall_now_ms() / 1000 };
	struct err err = ERR_INIT;
	int64_t step;

	if (c->end != NULL && time_text_parse(c->end, &e.end, &err) == -1) {
		fprintf(stderr, "error parsing end time: %s\n", err.text);
		return 1;
	}
	e.start = e.end - RANGE_DEFAULT_S;
	if (c->start != NULL && time_text_parse(c->start, &e.start,
	    &err) == -1) {
		fprintf(stderr, "error parsing start time: %s\n", err.text);
		return 1;
	}
	if (e.start >= e.end) {
		fprintf(stderr, "start time is not before end time\n");
		return 1;
	}
	step = (int64_t)((e.end - e.start) / RANGE_STEPS);
	e.step_ms = (step < 1 ? 1 : step) * 1000;
	if (c->step != NULL &&
	    duration_parse(str_c(c->step), &e.step_ms, &err) == -1)
		return ctl_fail(&err);
	if (e.step_ms <= 0) {
		fprintf(stderr, "step must be above 0\n");
		return 1;
	}
	return query_run(c, &e);
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL ? "" : s;
}

static void
print_targets(const json_t *data)
{
	json_t *list = json_object_get(data, "activeTargets"), *t;
	size_t i;

	printf("%-20s %-8s %-24s %10s  %s\n", "JOB", "HEALTH", "LAST SCRAPE",
	    "DURATION", "URL");
	json_array_foreach(list, i, t) {
		double seconds = json_number_value(json_object_get(t,
		    "lastScrapeDuration"));

		printf("%-20s %-8s %-24.24s %8.1fms  %s\n",
		    text_of(t, "scrapePool"), text_of(t, "health"),
		    text_of(t, "lastScrape"), seconds * 1000,
		    text_of(t, "scrapeUrl"));
		if (*text_of(t, "lastError") != '\0')
			printf("%-20s %s\n", "", text_of(t, "lastError"));
	}
}

int
ctl_targets(struct ctl *c)
{
	struct err err = ERR_INIT;
	json_t *data = api_request(c->url, "/api/v1/targets", STR_EMPTY, &err);

	if (data == NULL)
		return ctl_fail(&err);
	if (c->json) {
		json_dumpf(data, stdout, JSON_COMPACT);
		putchar('\n');
	} else
		print_targets(data);
	json_decref(data);
	return 0;
}
