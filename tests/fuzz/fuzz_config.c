/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a configuration file (and as the file it includes): loading
 * ends in an error or in a configuration that prints, loads again as it was
 * printed, and gives a blob that decodes.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/config/blob/scrape_conf.h"
#include "common/config/config.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
read_input(void *arg, struct str path, const char *reason, struct buf *out,
    struct err *err)
{
	const struct str *text = arg;

	(void)path;
	(void)reason;
	(void)err;
	buf_add_str(out, *text);
	return 0;
}

static int
glob_once(void *arg, struct str pattern, const char *reason,
    struct conf_list *out, struct err *err)
{
	(void)arg;
	(void)pattern;
	(void)reason;
	return conf_list_add(out, STR_LIT("included.yml")) == -1 ?
	    err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static void
check(const struct config *c)
{
	struct scrape_confs cs;
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	if (config_print(c, &b, &err) == -1)
		abort();
	buf_reset(&b);
	scrape_confs_init(&cs);
	if (config_blob_scrape(c, &b, &err) == 0 &&
	    (scrape_confs_decode(&cs, buf_str(&b), &err) == -1 ||
	    cs.n_jobs != c->n_jobs))
		abort();
	scrape_confs_clear(&cs);
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size);
	struct config_files files = { &text, read_input, glob_once };
	struct config_options options = { .agent = size % 2 == 1 };
	struct config_fault fault;
	struct config c;

	if (config_load(&c, STR_LIT("dir/main.yml"), &options, &files,
	    &fault) == 0)
		check(&c);
	else if (fault.err.text[0] == '\0')
		abort();
	config_clear(&c);
	return 0;
}
