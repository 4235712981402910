/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_SCHEMA_H
#define BRAZIER_COMMON_CONFIG_SCHEMA_H

/*
 * The tables of the configuration file: what each section may hold, with
 * which defaults and checks. One file a family of sections:
 *
 *	schema_http.c	HTTP clients, TLS, OAuth 2
 *	schema_scrape.c	scrape_configs, static_configs, relabel_configs
 *	schema_sd*.c	*_sd_configs
 *	schema_remote.c	remote_write, remote_read
 *	schema_other.c	alerting, storage, tracing, otlp, runtime
 *	schema_root.c	global and the file as a whole
 *
 * Checks named *_check run when a section has been read, checks named
 * *_validate when the whole file has, since they need the globals.
 */

#include "common/config/value.h"
#include "common/labels/relabel.h"

#define CFG_N(a)	(sizeof(a) / sizeof((a)[0]))
/* Rows of tables: a field, a field with a default. */
#define F(key, type, flags)		{ key, &(type), flags, NULL }
#define FD(key, type, flags, def)	{ key, &(type), flags, def }
#define CFG_STRUCT_TYPE(name, go, table, check_fn)			\
	const struct cfg_type name = { .kind = CFG_STRUCT,		\
	    .go_name = go, .fields = table, .n_fields = CFG_N(table),	\
	    .check = check_fn }
#define CFG_LIST_TYPE(name, go, elem_type, ptr)				\
	const struct cfg_type name = { .kind = CFG_LIST, .go_name = go,	\
	    .elem = &(elem_type), .elem_is_ptr = ptr }

/* --- schema_http.c --- */
extern const struct cfg_type cfg_checked_url;	/* must parse */
extern const struct cfg_type http_client_type;		/* to inline */
extern const struct cfg_type http_client_remote_type;	/* no HTTP/2 */
extern const struct cfg_type tls_config_type;
/* The reference's HTTPClientConfig.Validate; folds bearer tokens. */
int	 http_client_check(struct cfg_reader *r, struct cfg_val *outer);
/* True when it is not what it would be if nothing of it were given. */
bool	 http_client_is_custom(const struct cfg_val *outer);
/* Text of a header that must not be set this way; NULL if it may. */
int	 header_map_check(struct cfg_reader *r, const struct cfg_val *headers,
	    const char *on_authorization);

/* --- schema_scrape.c --- */
extern const struct cfg_type scrape_config_list_type;
extern const struct cfg_type relabel_config_list_type;
extern const struct cfg_type static_config_type;
extern const struct cfg_type label_set_type;
/* Fills in what is missing from the globals, then checks. */
int	 scrape_config_validate(struct cfg_reader *r, struct cfg_val *v,
	    const struct cfg_val *global);
/* NULL rules are `empty or null <what>`. */
int	 relabel_configs_check(struct cfg_reader *r,
	    const struct cfg_val *list, const char *what);
int	 relabel_configs_validate(struct cfg_reader *r,
	    const struct cfg_val *list, enum name_validation names);
/* Borrows from v; names is filled with the source labels. */
struct relabel_spec relabel_config_spec(const struct cfg_val *v,
	    struct str *names, enum name_validation validation);
bool	 name_validation_is_legacy(const struct cfg_val *scheme);
/* No URLs among static targets unless they are relabelled. */
int	 static_targets_check(struct cfg_reader *r, const struct cfg_val *v);
/* job.p NULL: the global list. */
int	 scrape_protocols_check(struct cfg_reader *r,
	    const struct cfg_val *list, struct str job);
extern const struct cfg_type validation_scheme_type;

/* --- schema_sd.c --- */
extern const struct cfg_type sd_configs_type;	/* to inline */
/* `empty or null section in dns_sd_configs` */
int	 sd_configs_check(struct cfg_reader *r, const struct cfg_val *outer);
/* The next mechanism that is used (not static), NULL at the end. */
const char *sd_configs_used(const struct cfg_val *outer, size_t *pos);

/* --- schema_remote.c --- */
extern const struct cfg_type remote_write_list_type;
extern const struct cfg_type remote_read_list_type;
extern const struct cfg_type sigv4_type;

/* --- schema_other.c --- */
extern const struct cfg_type alerting_type, storage_type, tracing_type,
    otlp_type, runtime_type;
int	 alerting_validate(struct cfg_reader *r, const struct cfg_val *v,
	    enum name_validation names);

/* --- schema_root.c --- */
extern const struct cfg_type config_type;
extern const struct cfg_type scrape_file_type;	/* scrape_config_files */
/* What is checked after everything has been read (also an empty file). */
int	 config_complete(struct cfg_reader *r, struct cfg_val *root);

/* --- url_check.c --- */
struct url_parts {
	struct str	scheme;		/* as written */
	struct str	host;		/* with the port */
};
/*
 * As much of Go's url.Parse as decides validity: -1 with its words
 * (`parse "x y": …`).
 */
int	 url_check(struct str url, struct url_parts *out, struct err *err);

#endif
