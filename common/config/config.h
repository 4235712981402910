/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_CONFIG_H
#define BRAZIER_COMMON_CONFIG_CONFIG_H

/*
 * The configuration file: read, checked, completed with its defaults, and
 * cut into the blobs of the roles. It opens nothing itself: the caller says
 * how files are read and patterns expanded (the config worker asks the
 * broker, brazierctl reads them).
 *
 *	struct config c;
 *	if (config_load(&c, path, &options, &files, &fault) == -1)
 *		… fault.err.text: `parsing YAML file x: line 5: …`
 *	config_blob_scrape(&c, &buf, &err);
 *	…
 *	config_clear(&c);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/config/blob/http_conf.h"
#include "common/config/value.h"

/* Most bytes of one file; the same for main and included files. */
#define CONFIG_FILE_MAX		YAML_TEXT_MAX

struct config_files {
	void	*arg;
	/* Appends the content. Errors as Go's: `open x: no such file or
	 * directory`. reason is for logs. */
	int	(*read)(void *arg, struct str path, const char *reason,
		    struct buf *out, struct err *err);
	/* Adds the paths that match, sorted; none is no error. */
	int	(*glob)(void *arg, struct str pattern, const char *reason,
		    struct conf_list *out, struct err *err);
};

struct config_options {
	bool	agent;		/* agent mode: some sections are refused */
	/* A variable of the environment, for external labels; empty when it
	 * is not set. NULL = none are. */
	struct str (*env)(void *arg, struct str name);
	void	*env_arg;
};

/* What is wrong, and where. */
struct config_fault {
	struct err	err;	/* whole text, with file and line */
	char		file[1024];
	uint32_t	line;	/* 0 = the file as a whole */
};

struct config {
	struct arena	 mem;
	struct cfg_val	 root;		/* of type config_type */
	struct yaml_doc	*docs;		/* values point into them */
	size_t		 n_docs, cap_docs;
	/* All jobs in order: of the file, then of scrape_config_files. */
	struct cfg_val	**jobs;
	size_t		 n_jobs, cap_jobs;
	struct conf_list files;		/* all that were read */
	struct conf_list warnings;	/* accepted, but without effect yet */
};

/*
 * Reads the file and those of scrape_config_files. c is filled (and must be
 * cleared) either way.
 */
int	 config_load(struct config *c, struct str path,
	    const struct config_options *options,
	    const struct config_files *files, struct config_fault *fault);
void	 config_clear(struct config *c);

/* The whole as the reference prints it, secrets hidden. */
int	 config_print(const struct config *c, struct buf *out,
	    struct err *err);

/* One role's part, ready to be sent (blob/…_conf.h decode them). */
int	 config_blob_scrape(const struct config *c, struct buf *out,
	    struct err *err);
int	 config_blob_web(const struct config *c, struct buf *out,
	    struct err *err);
int	 config_blob_query(const struct config *c, struct buf *out,
	    struct err *err);
int	 config_blob_storage(const struct config *c, struct buf *out,
	    struct err *err);
/* Adds the paths of all log files that it has workers write. ERR_NOMEM. */
int	 config_log_files(const struct config *c, struct conf_list *out,
	    struct err *err);

/*
 * Checks a file as `check config` does, reading files directly (not for
 * workers): the configuration, and that what it names exists: rule files,
 * key material, credentials.
 */
struct config_report {
	struct conf_list rule_files;	/* that match rule_files */
	struct conf_list scrape_files;
	struct conf_list warnings;
	struct config_fault fault;	/* when it is not in order */
};

#define CONFIG_CHECK_AGENT	1u	/* as agent mode would */
#define CONFIG_CHECK_SYNTAX	2u	/* do not look for named files */

int	 config_check_file(const char *path, unsigned flags,
	    struct config_report *out);
void	 config_report_clear(struct config_report *r);

/* struct config_files over the file system. */
extern const struct config_files config_files_direct;

/* One target group as file_sd files have them, for tests and checks. */
int	 config_check_target_group(struct str text, struct err *err);

#endif
