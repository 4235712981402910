/* SPDX-License-Identifier: ISC */
/*
 * Loads the reference's configuration files and compares with
 * DIR/expected.tsv: good ones load (and print, load again from what was
 * printed, and give all blobs), bad ones fail with the text. All sections of
 * the file are checked, also those that nothing acts upon yet, so that no case
 * waits for anything. Usage: configtest DIR
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config/blob/scrape_conf.h"
#include "common/config/blob/server_conf.h"
#include "common/config/blob/storage_conf.h"
#include "common/config/config.h"

/* What these print is less than they say, as in the reference. */
static const struct { const char *file, *reason; } lossy[] = {
	{ "external_labels.good.yml", "a $ is expanded again" },
	{ "otlp_label_underscore_sanitization_disabled.good.yml",
	    "false is not printed" },
	{ "otlp_sanitize_default_resource_attributes.good.yml",
	    "an empty list is not printed" },
};

static bool
is_lossy(const char *file)
{
	size_t i;

	for (i = 0; i < sizeof(lossy) / sizeof(lossy[0]); i++)
		if (strcmp(lossy[i].file, file) == 0)
			return true;
	return false;
}

/* "\t", "\n" and "\\" of the table's fields, in place. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (*s == '\\' && s[1] != '\0') {
			s++;
			*out++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s;
		} else
			*out++ = *s;
	}
	*out = '\0';
}

/* What was printed must load, and print the same. */
static int
memory_read(void *arg, struct str path, const char *reason, struct buf *out,
    struct err *err)
{
	const struct buf *text = arg;

	if (!str_has_suffix(path, STR_LIT("printed.yml")))
		return config_files_direct.read(NULL, path, reason, out, err);
	buf_add_str(out, buf_str(text));
	return 0;
}

static int
check_printed(const struct config *c, const struct config_options *o,
    const char *dir, bool exact, struct err *err)
{
	struct config_files files = config_files_direct;
	struct config_fault fault;
	struct buf first, second;
	struct config again;
	char path[4096];
	int rc;

	buf_init(&first, 0);
	buf_init(&second, 0);
	(void)snprintf(path, sizeof(path), "%s/printed.yml", dir);
	files.arg = &first;
	files.read = memory_read;
	rc = config_print(c, &first, err);
	if (rc == 0) {
		rc = config_load(&again, str_c(path), o, &files, &fault);
		if (rc == -1)
			*err = fault.err;
		else
			rc = config_print(&again, &second, err);
		if (rc == 0 && exact && !str_eq(buf_str(&first), buf_str(&second)))
			rc = err_set(err, ERR_INTERNAL,
			    "printed again it differs");
		config_clear(&again);
	}
	buf_clear(&first);
	buf_clear(&second);
	return rc;
}

static int
check_blobs(const struct config *c, struct err *err)
{
	struct storage_conf storage = { 0 };
	struct scrape_confs scrape;
	struct query_conf query;
	struct web_conf web;
	struct buf b;
	int rc;

	buf_init(&b, 0);
	scrape_confs_init(&scrape);
	rc = config_blob_scrape(c, &b, err);
	if (rc == 0)
		rc = scrape_confs_decode(&scrape, buf_str(&b), err);
	if (rc == 0 && scrape.n_jobs != c->n_jobs)
		rc = err_set(err, ERR_INTERNAL, "jobs were lost");
	scrape_confs_clear(&scrape);
	buf_reset(&b);
	if (rc == 0 && (config_blob_web(c, &b, err) == -1 ||
	    web_conf_decode(&web, buf_str(&b), err) == -1))
		rc = -1;
	else if (rc == 0)
		web_conf_clear(&web);
	buf_reset(&b);
	if (rc == 0 && (config_blob_query(c, &b, err) == -1 ||
	    query_conf_decode(&query, buf_str(&b), err) == -1))
		rc = -1;
	buf_reset(&b);
	if (rc == 0 && (config_blob_storage(c, &b, err) == -1 ||
	    storage_conf_decode(&storage, buf_str(&b), err) == -1))
		rc = -1;
	buf_clear(&b);
	return rc;
}

/* The error's text in err; 0 when the file is good. */
static int
load(const char *dir, const char *file, const char *mode, struct err *err)
{
	struct config_options o = { .agent = strcmp(mode, "agent") == 0 };
	struct config_fault fault;
	char path[4096];
	struct config c;
	struct buf text;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (strcmp(mode, "targetgroup") == 0) {
		buf_init(&text, 0);
		rc = config_files_direct.read(NULL, str_c(path), "", &text,
		    err);
		if (rc == 0)
			rc = config_check_target_group(buf_str(&text), err);
		buf_clear(&text);
		return rc;
	}
	rc = config_load(&c, str_c(path), &o, &config_files_direct, &fault);
	*err = fault.err;
	if (rc == 0 && (check_printed(&c, &o, dir, !is_lossy(file), err) == -1 ||
	    check_blobs(&c, err) == -1)) {
		config_clear(&c);
		return -2;
	}
	config_clear(&c);
	return rc;
}

static bool
run_line(const char *dir, char *line)
{
	char *field[4] = { line, "", "", "" };
	struct err err = ERR_INIT;
	int i, rc;
	bool good;

	for (i = 1; i < 4; i++) {
		field[i] = strchr(field[i - 1], '\t');
		if (field[i] == NULL)
			return false;
		*field[i]++ = '\0';
	}
	unescape(field[3]);
	rc = load(dir, field[0], field[1], &err);
	good = strcmp(field[2], "good") == 0;
	if (rc != -2 && (good ? rc == 0 :
	    rc == -1 && strstr(err.text, field[3]) != NULL))
		return true;
	printf("%s (%s): expected %s%s%s, got: %s\n", field[0], field[1],
	    field[2], good ? "" : ": ", field[3],
	    rc == 0 ? "good" : err.text);
	return false;
}

int
main(int argc, char **argv)
{
	int passed = 0, failed = 0;
	char path[4096], *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: configtest DIR\n");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/expected.tsv", argv[1]);
	if ((f = fopen(path, "r")) == NULL) {
		perror(path);
		return 2;
	}
	while ((n = getline(&line, &cap, f)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (run_line(argv[1], line))
			passed++;
		else
			failed++;
	}
	free(line);
	(void)fclose(f);
	printf("%d of %d passed, %d failed, none left out\n", passed,
	    passed + failed, failed);
	return failed != 0;
}
