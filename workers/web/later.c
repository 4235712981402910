/* SPDX-License-Identifier: ISC */
/*
 * Routes of the reference whose answers are not in this release. Where an
 * empty answer is true it is given; elsewhere the client is told in the form
 * that it expects of the route, never something made up.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/web/routes.h"

/* The printed configuration has the section only when it has files in it. */
static bool
has_rule_files(const struct web *web)
{
	static const char key[] = "\nrule_files:";

	return memmem(web->conf.yaml.p, web->conf.yaml.n, key,
	    sizeof(key) - 1) != NULL;
}

/* No rule is loaded; with rule files that needs to be said. */
static void
reply_no_rules(struct call *c, const char *data)
{
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "{\"status\":\"success\",\"data\":%s", data);
	if (has_rule_files(c->web))
		buf_add_c(&b, ",\"warnings\":[\"rule_files are configured, "
		    "but this release evaluates no rules\"]");
	buf_add_byte(&b, '}');
	call_reply(c, 200, "application/json", buf_str(&b));
	buf_clear(&b);
}

void
handle_alerts(struct call *c)
{
	reply_no_rules(c, "{\"alerts\":[]}");
}

void
handle_rules(struct call *c)
{
	struct str type = url_params_get(&c->params, "type");
	struct err err = ERR_INIT;

	if (type.n == 0 || str_eq_c(type, "alert") ||
	    str_eq_c(type, "record")) {
		reply_no_rules(c, "{\"groups\":[]}");
		return;
	}
	(void)err_set(&err, ERR_BAD_DATA, "invalid parameter \"type\": not "
	    "supported value \"%.*s\"", STR_ARG(type));
	call_reply_err(c, 0, &err);
}

void
handle_later_api(struct call *c)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_NOT_FOUND, "%.*s is not in this release",
	    STR_ARG(c->path));
	call_reply_err(c, 0, &err);
}

void
handle_later_text(struct call *c)
{
	char *text = arena_printf(&c->mem, "%.*s is not in this release",
	    STR_ARG(c->path));

	call_reply_text(c, 404, text == NULL ? "not in this release" : text);
}

void
handle_later_write(struct call *c)
{
	if (worker_flag_bool(c->web->w, "web.enable-remote-write-receiver"))
		handle_later_text(c);
	else
		call_reply_text(c, 404, "remote write receiver needs to be "
		    "enabled with --web.enable-remote-write-receiver");
}

void
handle_later_otlp(struct call *c)
{
	if (worker_flag_bool(c->web->w, "web.enable-otlp-receiver"))
		handle_later_text(c);
	else
		call_reply_text(c, 404, "otlp write receiver needs to be "
		    "enabled with --web.enable-otlp-receiver");
}

void
handle_later_admin(struct call *c)
{
	struct err err = ERR_INIT;

	if (worker_flag_bool(c->web->w, "web.enable-admin-api")) {
		handle_later_api(c);
		return;
	}
	(void)err_set(&err, ERR_UNAVAILABLE, "admin APIs disabled");
	call_reply_err(c, 500, &err);
}
