/* SPDX-License-Identifier: ISC */
/*
 * Loading: read → tree → values → checks across sections → included files →
 * paths joined → environment in external labels. The order decides which of
 * several errors is told, so it is the reference's (config.LoadFile,
 * GetScrapeConfigs).
 */

#include "common/config/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/quote.h"
#include "common/base/vec.h"
#include "common/config/schema.h"

/* Included files, all patterns together. */
#define INCLUDED_FILES_MAX	10000

struct loader {
	struct config			*c;
	const struct config_options	*options;
	const struct config_files	*files;
	struct config_fault		*fault;
};

static int
set_fault(struct loader *l, struct str file, uint32_t line)
{
	(void)snprintf(l->fault->file, sizeof(l->fault->file), "%.*s",
	    STR_ARG(file));
	l->fault->line = line;
	return -1;
}

static int
no_memory(struct loader *l, struct str file)
{
	(void)err_set(&l->fault->err, ERR_NOMEM, "out of memory");
	return set_fault(l, file, 0);
}

/*
 * Type errors and syntax errors name their lines themselves; a check's text
 * is the reference's, so its line goes before it.
 */
static void
add_line(struct err *err, uint32_t line)
{
	if (line > 0 && strncmp(err->text, "yaml: ", 6) != 0)
		(void)err_wrap(err, "line %u", line);
}

static int
read_text(struct loader *l, struct str path, const char *reason,
    struct buf *text)
{
	if (l->files->read(l->files->arg, path, reason, text,
	    &l->fault->err) == -1)
		return set_fault(l, path, 0);
	if (buf_failed(text) || conf_list_add(&l->c->files, path) == -1)
		return no_memory(l, path);
	return 0;
}

static int
parse_text(struct loader *l, struct str path, const struct buf *text,
    struct yaml_doc **doc_out)
{
	struct config *c = l->c;
	uint32_t line = 0;

	if (vec_grow(&c->docs, &c->cap_docs, c->n_docs + 1,
	    sizeof(*c->docs)) == -1)
		return no_memory(l, path);
	*doc_out = &c->docs[c->n_docs++];
	if (yaml_doc_parse(*doc_out, buf_str(text), &line,
	    &l->fault->err) == -1)
		return set_fault(l, path, line);
	return 0;
}

/* --- external labels --- */

static bool
is_alnum(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/*
 * The name behind a $ as Go's os.Expand finds it; returns how much of s it
 * took. Empty name: bad syntax if something was taken, else a lone $.
 */
static size_t
shell_name(struct str s, struct str *name)
{
	size_t i;

	*name = STR_EMPTY;
	if (s.n == 0)
		return 0;
	if (s.p[0] == '{') {
		for (i = 1; i < s.n && s.p[i] != '}'; i++)
			;
		if (i >= s.n)
			return 1;
		*name = str_from(s.p + 1, i - 1);
		return i + 1;
	}
	if (strchr("*#$@!?-0123456789", s.p[0]) != NULL) {
		*name = str_from(s.p, 1);
		return 1;
	}
	for (i = 0; i < s.n && is_alnum(s.p[i]); i++)
		;
	*name = str_from(s.p, i);
	return i;
}

static int
expand_value(struct loader *l, struct cfg_entry *e)
{
	const struct config_options *o = l->options;
	struct str s = e->val.u.s, name, got;
	struct buf out, warn;
	size_t i = 0, n;
	int rc = 0;

	if (memchr(s.p, '$', s.n) == NULL)
		return 0;
	buf_init(&out, 1 << 20);
	buf_init(&warn, 0);
	while (i < s.n && rc == 0) {
		if (s.p[i] != '$') {
			buf_add_byte(&out, (uint8_t)s.p[i++]);
			continue;
		}
		n = shell_name(str_from(s.p + i + 1, s.n - i - 1), &name);
		i += 1 + n;
		if (name.n == 0) {
			if (n == 0)
				buf_add_byte(&out, '$');
			continue;
		}
		if (str_eq_c(name, "$")) {
			buf_add_byte(&out, '$');
			continue;
		}
		got = o->env == NULL ? STR_EMPTY : o->env(o->env_arg, name);
		if (got.n == 0) {
			buf_reset(&warn);
			buf_printf(&warn, "Empty environment variable %.*s "
			    "in external label %.*s", STR_ARG(name),
			    STR_ARG(e->key));
			rc = conf_list_add(&l->c->warnings, buf_str(&warn));
		}
		buf_add_str(&out, got);
	}
	e->val.u.s = arena_str(&l->c->mem, buf_str(&out));
	if (buf_failed(&out) || e->val.u.s.p == NULL)
		rc = -1;
	buf_clear(&out);
	buf_clear(&warn);
	return rc;
}

static int
expand_external_labels(struct loader *l)
{
	struct cfg_val *map = cfg_get(cfg_get(&l->c->root, "global"),
	    "external_labels");
	size_t i;

	for (i = 0; !map->is_nil && i < map->u.map.n; i++)
		if (expand_value(l, &map->u.map.e[i]) == -1)
			return -1;
	return 0;
}

/* Without runtime.gogc the variable GOGC says it ("off" is -1). */
static void
take_gogc(struct loader *l)
{
	const struct config_options *o = l->options;
	struct cfg_val *gogc = cfg_get(cfg_get(&l->c->root, "runtime"),
	    "gogc");
	struct str text;

	if (o->env == NULL || gogc->present)
		return;
	text = o->env(o->env_arg, STR_LIT("GOGC"));
	if (str_eq_c(text, "off"))
		gogc->u.i = -1;
	else if (yaml_resolve(text) == YAML_TAG_INT)
		(void)yaml_to_int(text, &gogc->u.i);
}

/* --- the main file --- */

static int
check_agent(struct loader *l, struct str path)
{
	static const char *const refused[] = { "alerting", "rule_files",
	    "remote_read" };
	const struct cfg_val *v;
	size_t i;

	if (!l->options->agent)
		return 0;
	for (i = 0; i < CFG_N(refused); i++) {
		v = cfg_get(&l->c->root, refused[i]);
		if (cfg_is_zero(v))
			continue;
		(void)err_set(&l->fault->err, ERR_BAD_DATA,
		    "field %s is not allowed in agent mode", refused[i]);
		return set_fault(l, path, v->line);
	}
	return 0;
}

static int
add_job(struct loader *l, struct cfg_val *job)
{
	struct config *c = l->c;

	if (vec_grow(&c->jobs, &c->cap_jobs, c->n_jobs + 1,
	    sizeof(*c->jobs)) == -1)
		return -1;
	c->jobs[c->n_jobs++] = job;
	return 0;
}

static int
decode_main(struct loader *l, struct str path, const struct yaml_doc *doc)
{
	struct config *c = l->c;
	struct cfg_reader r;
	struct cfg_val *jobs;
	size_t i;
	int rc;

	cfg_reader_init(&r, &c->mem, &l->fault->err);
	rc = cfg_decode(&r, doc->root, &config_type, &c->root);
	if (rc == 0)
		rc = config_complete(&r, &c->root);
	if (rc == 0 && check_agent(l, path) == -1) {
		cfg_reader_clear(&r);
		return -1;
	}
	if (rc == 0 && expand_external_labels(l) == -1)
		rc = err_set(&l->fault->err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		take_gogc(l);
	if (rc == 0)
		rc = cfg_join_dir(&r, &c->root, cfg_path_dir(&c->mem, path));
	if (rc == -1) {
		add_line(&l->fault->err, r.err_line);
		(void)err_wrap(&l->fault->err, "parsing YAML file %.*s",
		    STR_ARG(path));
		(void)set_fault(l, path, r.err_line);
	}
	cfg_reader_clear(&r);
	jobs = rc == 0 ? cfg_get(&c->root, "scrape_configs") : NULL;
	for (i = 0; jobs != NULL && !jobs->is_nil && i < jobs->u.list.n; i++)
		if (add_job(l, &jobs->u.list.v[i]) == -1)
			return no_memory(l, path);
	return rc;
}

static int
load_main(struct loader *l, struct str path)
{
	struct yaml_doc *doc;
	struct buf text;
	int rc = -1;

	buf_init(&text, CONFIG_FILE_MAX + 1);
	if (read_text(l, path, "configuration file", &text) == 0) {
		if (parse_text(l, path, &text, &doc) == 0)
			rc = decode_main(l, path, doc);
		else
			(void)err_wrap(&l->fault->err,
			    "parsing YAML file %.*s", STR_ARG(path));
	}
	buf_clear(&text);
	return rc;
}

/* --- scrape_config_files --- */

/* `"x.yml": …` */
static int
file_fault(struct loader *l, struct str path, uint32_t line)
{
	struct buf q;

	add_line(&l->fault->err, line);
	buf_init(&q, 700);
	quote_add(&q, path);
	(void)err_wrap(&l->fault->err, "%.*s", STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return set_fault(l, path, line);
}

struct named_job {
	struct str	name;
	struct str	file;	/* empty: the main file */
};

static bool
job_eq(const void *val, const void *key)
{
	const struct named_job *j = val;
	const struct str *name = key;

	return str_eq(j->name, *name);
}

/* Remembers the name; -1 with the fault set when it is taken. */
static int
claim_name(struct loader *l, struct map *names, const struct cfg_val *job,
    struct str file)
{
	struct str name = cfg_get_str(job, "job_name");
	uint64_t h = hash_xxh64(name.p, name.n);
	struct named_job *j = map_get(names, h, job_eq, &name);
	struct buf q;

	if (j == NULL) {
		j = arena_alloc(&l->c->mem, sizeof(*j));
		if (j == NULL || map_put(names, h, j) == -1)
			return no_memory(l, file);
		*j = (struct named_job){ name, file };
		return 0;
	}
	buf_init(&q, 900);
	quote_add(&q, name);
	buf_add_c(&q, ", first found in ");
	if (j->file.n == 0)
		buf_add_c(&q, "main config file");
	else
		quote_add(&q, j->file);
	(void)err_set(&l->fault->err, ERR_BAD_DATA,
	    "found multiple scrape configs with job name %.*s",
	    STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return file_fault(l, file, cfg_get(job, "job_name")->line);
}

static int
decode_included(struct loader *l, struct str path, struct map *names,
    const struct yaml_doc *doc)
{
	const struct cfg_val *global = cfg_get(&l->c->root, "global");
	struct cfg_val *file = arena_zalloc(&l->c->mem, sizeof(*file));
	struct cfg_val *jobs;
	struct cfg_reader r;
	size_t i;
	int rc;

	if (file == NULL)
		return no_memory(l, path);
	cfg_reader_init(&r, &l->c->mem, &l->fault->err);
	rc = cfg_decode(&r, doc->root, &scrape_file_type, file);
	jobs = rc == 0 ? cfg_get(file, "scrape_configs") : NULL;
	for (i = 0; rc == 0 && !jobs->is_nil && i < jobs->u.list.n; i++) {
		rc = scrape_config_validate(&r, &jobs->u.list.v[i], global);
		if (rc == -1)
			break;
		if (claim_name(l, names, &jobs->u.list.v[i], path) == -1) {
			cfg_reader_clear(&r);
			return -1;
		}
		rc = cfg_join_dir(&r, &jobs->u.list.v[i],
		    cfg_path_dir(&l->c->mem, path));
		if (rc == 0 && add_job(l, &jobs->u.list.v[i]) == -1)
			rc = err_set(&l->fault->err, ERR_NOMEM,
			    "out of memory");
	}
	if (rc == -1)
		(void)file_fault(l, path, r.err_line);
	cfg_reader_clear(&r);
	return rc;
}

static int
load_included(struct loader *l, struct str path, struct map *names)
{
	struct yaml_doc *doc;
	struct buf text;
	int rc = -1;

	path = arena_str(&l->c->mem, path);
	if (path.p == NULL)
		return no_memory(l, STR_EMPTY);
	buf_init(&text, CONFIG_FILE_MAX + 1);
	if (read_text(l, path, "scrape_config_files", &text) == -1)
		(void)file_fault(l, path, 0);
	else if (parse_text(l, path, &text, &doc) == -1)
		(void)file_fault(l, path, l->fault->line);
	else
		rc = decode_included(l, path, names, doc);
	buf_clear(&text);
	return rc;
}

static int
load_pattern(struct loader *l, struct str pattern, struct map *names,
    size_t *n_files)
{
	struct conf_list paths = { NULL, 0 };
	struct buf q;
	size_t i;
	int rc = 0;

	if (l->files->glob(l->files->arg, pattern, "scrape_config_files",
	    &paths, &l->fault->err) == -1) {
		buf_init(&q, 700);
		quote_add(&q, pattern);
		(void)err_wrap(&l->fault->err, "error retrieving scrape "
		    "config files for %.*s", STR_ARG(buf_str(&q)));
		buf_clear(&q);
		rc = set_fault(l, pattern, 0);
	}
	for (i = 0; rc == 0 && i < paths.n; i++) {
		if (++*n_files > INCLUDED_FILES_MAX) {
			(void)err_set(&l->fault->err, ERR_LIMIT,
			    "more than %d scrape config files",
			    INCLUDED_FILES_MAX);
			rc = set_fault(l, pattern, 0);
		} else
			rc = load_included(l, paths.s[i], names);
	}
	conf_list_clear(&paths);
	return rc;
}

static int
load_scrape_files(struct loader *l)
{
	const struct cfg_val *list = cfg_get(&l->c->root,
	    "scrape_config_files");
	size_t i, n_main = l->c->n_jobs, n_files = 0;
	struct map names;
	int rc = 0;

	if (list->is_nil || list->u.list.n == 0)
		return 0;
	map_init(&names);
	for (i = 0; rc == 0 && i < n_main; i++)
		rc = claim_name(l, &names, l->c->jobs[i], STR_EMPTY);
	for (i = 0; rc == 0 && i < list->u.list.n; i++)
		rc = load_pattern(l, list->u.list.v[i].u.s, &names, &n_files);
	map_clear(&names);
	return rc;
}

/* --- warnings --- */

static int
warn_section(struct config *c, const char *section, struct str job)
{
	struct buf b;
	int rc;

	buf_init(&b, 0);
	buf_printf(&b, "%s has no effect yet", section);
	if (job.n > 0) {
		buf_add_c(&b, " (scrape job ");
		quote_add(&b, job);
		buf_add_byte(&b, ')');
	}
	rc = buf_failed(&b) ? -1 : conf_list_add(&c->warnings, buf_str(&b));
	buf_clear(&b);
	return rc;
}

static int
add_warnings(struct config *c)
{
	static const char *const sections[] = { "alerting", "rule_files",
	    "storage", "tracing", "remote_write", "remote_read", "otlp" };
	const struct cfg_val *v;
	const char *key;
	size_t i, pos;

	for (i = 0; i < CFG_N(sections); i++) {
		v = cfg_get(&c->root, sections[i]);
		if (v->present && warn_section(c, sections[i],
		    STR_EMPTY) == -1)
			return -1;
	}
	for (i = 0; i < c->n_jobs; i++)
		for (pos = 0; (key = sd_configs_used(c->jobs[i],
		    &pos)) != NULL; )
			if (warn_section(c, key, cfg_get_str(c->jobs[i],
			    "job_name")) == -1)
				return -1;
	return 0;
}

/* --- the whole --- */

int
config_load(struct config *c, struct str path,
    const struct config_options *options, const struct config_files *files,
    struct config_fault *fault)
{
	struct loader l = { c, options, files, fault };

	*c = (struct config){ 0 };
	*fault = (struct config_fault){ .err = ERR_INIT };
	arena_init(&c->mem, 0);
	if (load_main(&l, path) == -1 || load_scrape_files(&l) == -1)
		return -1;
	return add_warnings(c) == -1 ? no_memory(&l, path) : 0;
}

void
config_clear(struct config *c)
{
	size_t i;

	for (i = 0; i < c->n_docs; i++)
		yaml_doc_clear(&c->docs[i]);
	free(c->docs);
	free(c->jobs);
	conf_list_clear(&c->files);
	conf_list_clear(&c->warnings);
	arena_clear(&c->mem);
	*c = (struct config){ 0 };
}

int
config_print(const struct config *c, struct buf *out, struct err *err)
{
	return cfg_print(&c->root, out, err);
}

int
config_check_target_group(struct str text, struct err *err)
{
	struct cfg_reader r;
	struct yaml_doc doc;
	struct arena mem;
	struct cfg_val v;
	uint32_t line;
	int rc;

	arena_init(&mem, 0);
	cfg_reader_init(&r, &mem, err);
	rc = yaml_doc_parse(&doc, text, &line, err);
	if (rc == 0)
		rc = cfg_decode(&r, doc.root, &static_config_type, &v);
	yaml_doc_clear(&doc);
	cfg_reader_clear(&r);
	arena_clear(&mem);
	return rc;
}
