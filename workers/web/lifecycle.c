/* SPDX-License-Identifier: ISC */
/* Health, readiness, reload and quit: the supervisor decides, we pass on. */
#include "common/base/log.h"
#include "common/base/wire.h"
#include "workers/web/web.h"

void
web_on_server_state(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;

	(void)ch;
	memcpy(&web->state, m->data, sizeof(web->state));
}

void
handle_healthy(struct call *c)
{
	call_reply(c, 200, "text/plain; charset=utf-8", c->web->set.agent ?
	    STR_LIT("Prometheus Agent is Healthy.\n") :
	    STR_LIT("Prometheus Server is Healthy.\n"));
}

void
handle_ready(struct call *c)
{
	call_reply(c, 200, "text/plain; charset=utf-8", c->web->set.agent ?
	    STR_LIT("Prometheus Agent is Ready.\n") :
	    STR_LIT("Prometheus Server is Ready.\n"));
}

void
handle_post_only(struct call *c)
{
	call_reply(c, 405, "text/plain; charset=utf-8",
	    STR_LIT("Only POST or PUT requests allowed"));
}

static bool
is_allowed(struct call *c)
{
	if (c->web->set.lifecycle)
		return true;
	call_reply(c, 403, "text/plain; charset=utf-8",
	    STR_LIT("Lifecycle API is not enabled."));
	return false;
}

static void
reload_gone_cb(struct http_exchange *x, void *arg)
{
	struct call *c = arg, **at = &c->web->reloads;

	(void)x;
	while (*at != NULL && *at != c)
		at = &(*at)->next;
	if (*at == c)
		*at = c->next;
	call_abort(c);
}

void
handle_reload(struct call *c)
{
	struct err err = ERR_INIT;

	if (!is_allowed(c))
		return;
	if (ipc_send(worker_supervisor(c->web->w), IPC_RELOAD, c->id, NULL, 0,
	    NULL, 0, &err) == -1) {
		char *text = arena_printf(&c->mem,
		    "failed to reload config: %s", err.text);

		call_reply_text(c, 500, text == NULL ? err.text : text);
		return;
	}
	c->next = c->web->reloads;
	c->web->reloads = c;
	http_exchange_on_gone(c->x, reload_gone_cb, c);
}

void
web_on_reloaded(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_reloaded *r = m->data;
	struct web *web = ctx;
	struct call **at = &web->reloads, *c;
	struct wire_reader wr;
	struct str text;

	wire_reader_init(&wr, r + 1, m->n - sizeof(*r));
	text = wire_get_str(&wr);
	if (!wire_end(&wr)) {
		ipc_violation(ch, m, "malformed text");
		return;
	}
	while (*at != NULL && (*at)->id != m->id)
		at = &(*at)->next;
	if ((c = *at) == NULL)
		return;		/* its client has left */
	*at = c->next;
	http_exchange_on_gone(c->x, NULL, NULL);
	if (r->ok) {
		call_reply(c, 200, NULL, STR_EMPTY);
		return;
	}
	char *line = arena_printf(&c->mem, "failed to reload config: %.*s",
	    STR_ARG(text));

	call_reply_text(c, 500, line == NULL ? "failed to reload config" :
	    line);
}

void
handle_quit(struct call *c)
{
	struct web *web = c->web;
	struct err err = ERR_INIT;

	if (!is_allowed(c))
		return;
	if (web->quit_asked) {
		call_reply(c, 200, "text/plain; charset=utf-8",
		    STR_LIT("Termination already in progress."));
		return;
	}
	if (ipc_send(worker_supervisor(web->w), IPC_QUIT, c->id, NULL, 0,
	    NULL, 0, &err) == -1) {
		call_reply_text(c, 500, err.text);
		return;
	}
	web->quit_asked = true;
	call_reply(c, 200, "text/plain; charset=utf-8",
	    STR_LIT("Requesting termination... Goodbye!"));
}
