/* SPDX-License-Identifier: ISC */
/*
 * One load: read and check, then a blob a role, then the verdict. Nothing is
 * sent before everything has been made, so that a failure leaves the
 * supervisor with nothing half.
 */

#include <stdio.h>
#include <string.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/quote.h"
#include "common/base/regex.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "workers/config/config_worker.h"

/* What `prometheus` exits with when its configuration is bad. */
#define EXIT_BAD_CONFIG	2
/* Room in LOADED for warnings and paths together. */
#define LISTS_BYTES_MAX	(IPC_MSG_MAX - 8192)

struct part {
	enum role	 role;
	const char	*name;		/* of the memfd */
	int		(*make)(const struct config *, struct buf *,
			    struct err *);
	int		 fd;
};

/* Copies to a sealed memfd; what was in b is wiped (it may be secret). */
static int
seal_part(struct part *p, const struct config *c, struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b, 0);
	rc = p->make(c, &b, err);
	if (rc == 0) {
		p->fd = memfd_seal(p->name, buf_str(&b), err);
		rc = p->fd == -1 ? -1 : 0;
	}
	if (b.p != NULL)
		explicit_bzero(b.p, b.cap);
	buf_clear(&b);
	return rc;
}

static int
send_parts(struct config_worker *cw, const struct config *c, struct err *err)
{
	struct part parts[] = {
		{ ROLE_SCRAPE, "scrape-conf", config_blob_scrape, -1 },
		{ ROLE_STORAGE, "storage-conf", config_blob_storage, -1 },
		{ ROLE_QUERY, "query-conf", config_blob_query, -1 },
		{ ROLE_WEB, "web-conf", config_blob_web, -1 },
	};
	struct msg_blob msg = { 0 };
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (seal_part(&parts[i], c, err) == -1)
			return -1;	/* this process ends; so do the fds */
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		msg.role = (uint32_t)parts[i].role;
		if (ipc_send(worker_supervisor(cw->w), IPC_BLOB, cw->request,
		    &msg, sizeof(msg), &parts[i].fd, 1, err) == -1)
			return -1;
	}
	return 0;
}

/* As many as there is room for; the rest is only counted in the log. */
static void
put_list(struct buf *out, const struct conf_list *l)
{
	size_t i, n, bytes = out->n;

	for (n = 0; n < l->n; n++) {
		bytes += l->s[n].n + 4;
		if (bytes > LISTS_BYTES_MAX)
			break;
	}
	if (n < l->n)
		log_warn("Names left out of the report on the configuration",
		    F_UINT("n", l->n - n));
	wire_put_u32(out, (uint32_t)n);
	for (i = 0; i < n; i++)
		wire_put_str(out, l->s[i]);
}

static void
send_verdict(struct config_worker *cw, const struct config *c,
    const struct err *fault)
{
	struct msg_loaded msg = { .ok = fault == NULL,
	    .exit_code = fault == NULL ? 0 : EXIT_BAD_CONFIG };
	struct conf_list logs = { 0 };
	struct err err = ERR_INIT;
	struct buf b;

	FAULT_POINT("load.parts-sent");
	buf_init(&b, 0);
	buf_add(&b, &msg, sizeof(msg));
	wire_put_str(&b, fault == NULL ? STR_EMPTY : str_c(fault->text));
	if (fault == NULL && config_log_files(c, &logs, &err) == -1)
		worker_fail(cw->w, &err);
	put_list(&b, &logs);
	conf_list_clear(&logs);
	put_list(&b, &c->warnings);
	put_list(&b, &c->files);
	if (buf_failed(&b) || ipc_send(worker_supervisor(cw->w), IPC_LOADED,
	    cw->request, b.p, b.n, NULL, 0, &err) == -1)
		worker_fail(cw->w, &err);
	buf_clear(&b);
}

/* External labels may name variables; the supervisor passes those it has. */
static struct str
passed_env(void *arg, struct str name)
{
	const struct config_worker *cw = arg;
	char key[256];

	if (name.n > sizeof(key) - sizeof("brazier.env."))
		return STR_EMPTY;
	(void)snprintf(key, sizeof(key), "brazier.env.%.*s", STR_ARG(name));
	return worker_flag(cw->w, key);
}

/*
 * The one flag that needs a parser which the supervisor does not have. The
 * text is the reference's; the supervisor prints it as it is.
 */
static int
check_cors(struct config_worker *cw, struct err *err)
{
	struct str origin = worker_flag(cw->w, "web.cors.origin");
	struct err e = ERR_INIT;
	struct regex *re;
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "^(?:%.*s)$", STR_ARG(origin));
	re = regex_new(buf_str(&b), 0, &e);
	if (re == NULL) {
		buf_reset(&b);
		quote_add(&b, origin);
		err_set(err, ERR_BAD_DATA, "could not compile CORS regex string "
		    "%.*s: %s", STR_ARG(buf_str(&b)), e.text);
	}
	buf_clear(&b);
	regex_free(re);
	return re == NULL ? -1 : 0;
}

void
config_worker_load(struct config_worker *cw)
{
	struct config_files files = config_files_broker(cw);
	struct config_options options = {
		.agent = worker_flag_bool(cw->w, "agent"),
		.env = passed_env,
		.env_arg = cw,
	};
	struct err err = ERR_INIT;
	struct config_fault fault;
	struct config c;

	FAULT_POINT("load.begin");
	if (check_cors(cw, &err) == -1) {
		c = (struct config){ .n_docs = 0 };
		send_verdict(cw, &c, &err);
		cw->loading = false;
		return;
	}
	if (config_load(&c, str_c(cw->path), &options, &files,
	    &fault) == -1) {
		log_debug("Configuration refused", F_STR("file", fault.file),
		    F_UINT("line", fault.line));
		send_verdict(cw, &c, &fault.err);
	} else if (send_parts(cw, &c, &err) == -1)
		send_verdict(cw, &c, &err);
	else
		send_verdict(cw, &c, NULL);
	FAULT_POINT("load.answered");
	config_clear(&c);
	cw->loading = false;
}
