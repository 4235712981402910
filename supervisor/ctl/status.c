/* SPDX-License-Identifier: ISC */

/* brazierctl status, reload, stop, queries: the control socket's commands. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/duration.h"
#include "ipc/message.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/ctl.h"

static int64_t
number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *
text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL ? "" : s;
}

/* "1.2G", "512M", "3K": four characters are enough for a table. */
static const char *
size_text(int64_t bytes, char out[24])
{
	static const char units[] = "BKMGTPE";
	double v = (double)bytes;
	int u = 0;

	if (bytes == 0)
		return "-";
	while (v >= 1000 && units[u + 1] != '\0') {
		v /= 1024;
		u++;
	}
	snprintf(out, 24, v < 10 && u > 0 ? "%.1f%c" : "%.0f%c", v, units[u]);
	return out;
}

static const char *
uptime_text(int64_t ms, char out[32])
{
	duration_format(ms / 1000 * 1000, out);
	return out;
}

/* The kernel's word; Landlock and what is missing are the worker's own. */
static void
print_confinement(const json_t *p)
{
	const char *caps = text(p, "capabilities");

	printf("uid=%" PRId64 " seccomp=%s nnp=%s caps=%s", number(p, "uid"),
	    json_is_true(json_object_get(p, "seccomp")) ? "filter" : "off",
	    json_is_true(json_object_get(p, "no_new_privs")) ? "yes" : "no",
	    strspn(caps, "0") == strlen(caps) ? "none" : caps);
	if (json_object_get(p, "landlock_abi") != NULL)
		printf(" landlock=%" PRId64, number(p, "landlock_abi"));
	if (*text(p, "missing") != '\0')
		printf(" lacks: %s", text(p, "missing"));
}

static void
print_process(const json_t *p)
{
	char up[32], rss[24], shared[24], limit[24];

	printf("%-12s %7" PRId64 " %-9s %9s %4" PRId64 " %4" PRId64
	    " %8.2f %6s %6s %6s  ", text(p, "name"), number(p, "pid"),
	    text(p, "state"), uptime_text(number(p, "uptime_ms"), up),
	    number(p, "restarts"), number(p, "generation"),
	    json_number_value(json_object_get(p, "cpu_seconds")),
	    size_text(number(p, "rss_bytes"), rss),
	    size_text(number(p, "shared_bytes"), shared),
	    size_text(number(p, "limit_bytes"), limit));
	if (number(p, "pid") != 0)
		print_confinement(p);
	printf("\n");
	if (*text(p, "last_cause") != '\0')
		printf("%12s last end: %s\n", "", text(p, "last_cause"));
}

static void
print_status(const json_t *s)
{
	const json_t *memory = json_object_get(s, "memory");
	char total[24], head[24], query[24], eval[24], rest[24];
	json_t *list = json_object_get(s, "workers"), *p;
	size_t i;

	printf("Brazier %s, %s, configuration %s (generation %" PRId64
	    "%s), workers run as %s\n", text(s, "version"),
	    json_is_true(json_object_get(s, "stopping")) ? "stopping" :
	    json_is_true(json_object_get(s, "ready")) ? "ready" : "starting",
	    text(s, "config_file"), number(s, "generation"),
	    json_is_true(json_object_get(s, "reload_ok")) ? "" :
	    ", last reload failed", text(s, "user"));
	printf("Memory %s: head %s, queries %s, evaluation %s, others %s\n\n",
	    size_text(number(memory, "total_bytes"), total),
	    size_text(number(memory, "head_bytes"), head),
	    size_text(number(memory, "query_bytes"), query),
	    size_text(number(memory, "eval_bytes"), eval),
	    size_text(number(memory, "rest_bytes"), rest));
	printf("%-12s %7s %-9s %9s %4s %4s %8s %6s %6s %6s  %s\n", "PROCESS",
	    "PID", "STATE", "UPTIME", "RST", "GEN", "CPU-S", "RSS", "SHARED",
	    "LIMIT", "CONFINEMENT");
	print_process(json_object_get(s, "supervisor"));
	json_array_foreach(list, i, p)
		print_process(p);
}

/* Asks, decodes the answer as JSON; NULL with the reason printed. */
static json_t *
ask_json(struct ctl *c, enum ipc_type type, struct buf *answer)
{
	struct err err = ERR_INIT;
	json_error_t why;
	json_t *root;

	if (client_ask(c->socket, type, NULL, 0, answer, &err) == -1) {
		(void)ctl_fail(&err);
		return NULL;
	}
	root = json_loadb(answer->p, answer->n, 0, &why);
	if (root == NULL) {
		err_set(&err, ERR_BAD_DATA, "the answer is no JSON: %s", why.text);
		(void)ctl_fail(&err);
	}
	return root;
}

static void
print_json(const struct buf *answer)
{
	(void)fwrite(answer->p, 1, answer->n, stdout);
	putchar('\n');
}

int
ctl_status(struct ctl *c)
{
	struct buf answer = { .p = NULL };
	json_t *root = ask_json(c, IPC_CTL_STATUS, &answer);

	if (root == NULL)
		return 1;
	if (c->json)
		print_json(&answer);
	else
		print_status(root);
	json_decref(root);
	buf_clear(&answer);
	return 0;
}

static int
ask_plain(struct ctl *c, enum ipc_type type, const void *data, size_t n,
    const char *done)
{
	struct err err = ERR_INIT;
	struct buf answer;

	buf_init(&answer, 0);
	if (client_ask(c->socket, type, data, n, &answer, &err) == -1) {
		buf_clear(&answer);
		return ctl_fail(&err);
	}
	if (c->json)
		printf("{\"ok\":true}\n");
	else
		printf("%s\n", done);
	buf_clear(&answer);
	return 0;
}

int
ctl_reload(struct ctl *c)
{
	return ask_plain(c, IPC_RELOAD, NULL, 0, "Configuration reloaded.");
}

int
ctl_stop(struct ctl *c)
{
	return ask_plain(c, IPC_QUIT, NULL, 0, "Stopping.");
}

int
ctl_queries(struct ctl *c)
{
	struct buf answer = { .p = NULL };
	json_t *root = ask_json(c, IPC_QUERIES_GET, &answer), *q;
	size_t i;

	if (root == NULL)
		return 1;
	if (c->json)
		print_json(&answer);
	else {
		printf("%8s %-10s %-12s %8s %-22s %s\n", "ID", "STATE", "KIND",
		    "SECONDS", "CLIENT", "QUERY");
		json_array_foreach(json_object_get(root, "queries"), i, q)
			printf("%8" PRId64 " %-10s %-12s %8.3f %-22s %s\n",
			    number(q, "id"), text(q, "state"), text(q, "kind"),
			    json_number_value(json_object_get(q, "seconds")),
			    text(q, "client"), text(q, "query"));
	}
	json_decref(root);
	buf_clear(&answer);
	return 0;
}

int
ctl_queries_kill(struct ctl *c)
{
	struct msg_query_kill msg;
	struct err err = ERR_INIT;
	char *end;

	msg.query = strtoull(c->args[0], &end, 10);
	if (*end != '\0' || end == c->args[0]) {
		err_set(&err, ERR_BAD_DATA, "\"%s\" is no number of a query",
		    c->args[0]);
		return ctl_fail(&err);
	}
	return ask_plain(c, IPC_QUERY_KILL, &msg, sizeof(msg), "Query ended.");
}
