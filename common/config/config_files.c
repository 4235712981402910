/* SPDX-License-Identifier: ISC */
/*
 * Reading configuration files directly, for brazierctl and tests; and
 * `check config`: the configuration, then the files it names.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/quote.h"
#include "common/config/blob/scrape_conf.h"
#include "common/config/config.h"
#include "common/config/schema.h"

#define READ_STEP	65536

static int
os_error(struct err *err, const char *what, struct str path)
{
	err->os = errno;
	(void)err_set(err, ERR_NOT_FOUND, "%s %.*s: %s", what, STR_ARG(path),
	    errno == ENOENT ? "no such file or directory" :
	    errno == EACCES ? "permission denied" :
	    errno == EISDIR ? "is a directory" : strerror(errno));
	return -1;
}

static int
read_fd(int fd, struct str path, struct buf *out, struct err *err)
{
	ssize_t n;
	char *p;

	for (;;) {
		p = buf_reserve(out, READ_STEP);
		if (p == NULL)
			return err_set(err, ERR_LIMIT, "read %.*s: file is "
			    "too large", STR_ARG(path));
		n = read(fd, p, READ_STEP);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return os_error(err, "read", path);
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

static int
direct_read(void *arg, struct str path, const char *reason, struct buf *out,
    struct err *err)
{
	char *name = str_dup(path);
	int fd, rc;

	(void)arg;
	(void)reason;
	if (name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	free(name);
	if (fd == -1)
		return os_error(err, "open", path);
	rc = read_fd(fd, path, out, err);
	(void)close(fd);
	return rc;
}

static int
direct_glob(void *arg, struct str pattern, const char *reason,
    struct conf_list *out, struct err *err)
{
	char *text = str_dup(pattern);
	glob_t g;
	size_t i;
	int rc;

	(void)arg;
	(void)reason;
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = glob(text, 0, NULL, &g);
	free(text);
	if (rc == GLOB_NOMATCH)
		return 0;
	if (rc != 0)
		return err_set(err, ERR_INTERNAL, "cannot expand %.*s",
		    STR_ARG(pattern));
	rc = 0;
	for (i = 0; rc == 0 && i < g.gl_pathc; i++)
		rc = conf_list_add(out, str_c(g.gl_pathv[i]));
	globfree(&g);
	return rc == 0 ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

const struct config_files config_files_direct = {
	.arg = NULL, .read = direct_read, .glob = direct_glob,
};

/* --- named files --- */

struct file_check {
	struct config_report	*out;
	const char		*main_file;
};

static int
stat_file(const struct file_check *fc, const char *what, struct str path,
    uint32_t line)
{
	struct config_fault *fault = &fc->out->fault;
	struct err e = ERR_INIT;
	struct stat st;
	struct buf q;
	char *name;
	int rc;

	if (path.n == 0)
		return 0;
	name = str_dup(path);
	rc = name == NULL ? -1 : stat(name, &st);
	free(name);
	if (rc == 0)
		return 0;
	(void)os_error(&e, "stat", path);
	buf_init(&q, 600);
	quote_add(&q, path);
	(void)err_set(&fault->err, ERR_BAD_DATA,
	    "error checking %s file %.*s: %s", what, STR_ARG(buf_str(&q)),
	    e.text);
	buf_clear(&q);
	(void)snprintf(fault->file, sizeof(fault->file), "%s", fc->main_file);
	fault->line = line;
	return -1;
}

static int
check_client_files(const struct file_check *fc, const struct cfg_val *v)
{
	const struct cfg_val *tls = cfg_get(v, "tls_config");
	const struct cfg_val *auth = cfg_get(v, "authorization");

	if (!auth->is_nil && stat_file(fc, "authorization credentials or "
	    "bearer token", cfg_get_str(auth, "credentials_file"),
	    auth->line) == -1)
		return -1;
	if (stat_file(fc, "client cert", cfg_get_str(tls, "cert_file"),
	    tls->line) == -1)
		return -1;
	return stat_file(fc, "client key", cfg_get_str(tls, "key_file"),
	    tls->line);
}

static int
expand_list(const struct config *c, const char *key, struct conf_list *out,
    struct err *err)
{
	const struct cfg_val *list = cfg_get(&c->root, key);
	struct str pattern;
	size_t i, before;
	int rc = 0;

	for (i = 0; rc == 0 && !list->is_nil && i < list->u.list.n; i++) {
		pattern = list->u.list.v[i].u.s;
		before = out->n;
		rc = direct_glob(NULL, pattern, key, out, err);
		/* A file without a * must be there. */
		if (rc == 0 && out->n == before &&
		    memchr(pattern.p, '*', pattern.n) == NULL)
			rc = err_set(err, ERR_NOT_FOUND,
			    "\"%.*s\" does not point to an existing file",
			    STR_ARG(pattern));
	}
	return rc;
}

static int
check_named_files(const struct file_check *fc, const struct config *c)
{
	struct config_report *out = fc->out;
	size_t i;

	if (expand_list(c, "rule_files", &out->rule_files,
	    &out->fault.err) == -1 ||
	    expand_list(c, "scrape_config_files", &out->scrape_files,
	    &out->fault.err) == -1) {
		(void)snprintf(out->fault.file, sizeof(out->fault.file),
		    "%s", fc->main_file);
		return -1;
	}
	for (i = 0; i < c->n_jobs; i++)
		if (check_client_files(fc, c->jobs[i]) == -1)
			return -1;
	return 0;
}

/* --- what relabelling makes of static targets --- */

static int
target_fault(const struct file_check *fc, const struct target_group *g,
    size_t i, struct str address)
{
	struct config_fault *fault = &fc->out->fault;
	struct buf q;

	buf_init(&q, 600);
	if (address.n == 0)
		buf_add_c(&q, "no address");
	else {
		quote_add(&q, address);
		buf_add_c(&q, " is not a valid hostname");
	}
	(void)err_set(&fault->err, ERR_BAD_DATA, "instance %zu in group "
	    "%.*s: %.*s", i, STR_ARG(g->source), STR_ARG(buf_str(&q)));
	buf_clear(&q);
	(void)snprintf(fault->file, sizeof(fault->file), "%s", fc->main_file);
	return -1;
}

static int
check_group(const struct file_check *fc, const struct scrape_conf *job,
    const struct target_group *g, struct labels_builder *b, struct arena *a)
{
	struct str address;
	size_t i, j;
	char *name;

	for (i = 0; i < g->targets.n; i++) {
		arena_reset(a);
		labels_builder_reset(b, (struct labels){ g->labels,
		    g->n_labels });
		labels_builder_set(b, STR_LIT(LABEL_ADDRESS), g->targets.s[i]);
		labels_builder_set(b, STR_LIT(LABEL_JOB), job->job_name);
		labels_builder_set(b, STR_LIT("__metrics_path__"),
		    job->metrics_path);
		labels_builder_set(b, STR_LIT("__scheme__"), job->scheme);
		for (j = 0; j < job->n_params; j++) {
			name = arena_printf(a, "__param_%.*s",
			    STR_ARG(job->params[j].name));
			if (name != NULL && job->params[j].values.n > 0)
				labels_builder_set(b, str_c(name),
				    job->params[j].values.s[0]);
		}
		if (!relabel_apply(&job->relabel, b, a))
			continue;
		address = labels_builder_get(b, STR_LIT(LABEL_ADDRESS));
		if (address.n == 0 ||
		    memchr(address.p, '/', address.n) != NULL)
			return target_fault(fc, g, i, address);
	}
	return 0;
}

static int
check_targets(const struct file_check *fc, const struct config *c)
{
	struct scrape_confs cs;
	struct labels_builder b;
	struct arena a;
	struct buf blob;
	size_t i, j;
	int rc;

	scrape_confs_init(&cs);
	labels_builder_init(&b);
	arena_init(&a, 0);
	buf_init(&blob, 0);
	rc = config_blob_scrape(c, &blob, &fc->out->fault.err);
	if (rc == 0)
		rc = scrape_confs_decode(&cs, buf_str(&blob),
		    &fc->out->fault.err);
	for (i = 0; rc == 0 && i < cs.n_jobs; i++)
		for (j = 0; rc == 0 && j < cs.jobs[i].n_groups; j++)
			rc = check_group(fc, &cs.jobs[i],
			    &cs.jobs[i].groups[j], &b, &a);
	buf_clear(&blob);
	arena_clear(&a);
	labels_builder_clear(&b);
	scrape_confs_clear(&cs);
	return rc;
}

static struct str
process_env(void *arg, struct str name)
{
	char *text = str_dup(name);
	const char *got = text == NULL ? NULL : getenv(text);

	(void)arg;
	free(text);
	return got == NULL ? STR_EMPTY : str_c(got);
}

int
config_check_file(const char *path, unsigned flags, struct config_report *out)
{
	struct config_options options = {
		.agent = (flags & CONFIG_CHECK_AGENT) != 0,
		.env = process_env,
	};
	struct file_check fc = { out, path };
	struct config c;
	size_t i;
	int rc;

	*out = (struct config_report){ 0 };
	rc = config_load(&c, str_c(path), &options, &config_files_direct,
	    &out->fault);
	if (rc == 0 && !(flags & CONFIG_CHECK_SYNTAX))
		rc = check_named_files(&fc, &c);
	if (rc == 0)
		rc = check_targets(&fc, &c);
	for (i = 0; i < c.warnings.n; i++)
		if (conf_list_add(&out->warnings, c.warnings.s[i]) == -1)
			break;
	config_clear(&c);
	return rc;
}

void
config_report_clear(struct config_report *r)
{
	conf_list_clear(&r->rule_files);
	conf_list_clear(&r->scrape_files);
	conf_list_clear(&r->warnings);
}
