/* SPDX-License-Identifier: ISC */

/*
 * Checks of the command line as a whole, in the order of the reference's
 * start (feature list, limits, agent or server, external URL, retention).
 */

#include "supervisor/flags_check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/quote.h"
#include "common/base/vec.h"

#define MS_PER_DAY		(24LL * 3600 * 1000)
#define RETENTION_DEFAULT_MS	(15 * MS_PER_DAY)
#define BLOCK_MAX_MS		(31 * MS_PER_DAY)
#define RETENTION_MAX_MS	(100 * 365 * MS_PER_DAY)
#define MIB			(1024LL * 1024)

static enum feature_id
feature_find(struct str name)
{
	for (size_t i = 0; i < FEATURE_COUNT; i++)
		if (str_eq_c(name, feature_defs[i].name))
			return (enum feature_id)i;
	return FEATURE_COUNT;
}

static void
feature_enable(struct flags *f, struct str name)
{
	enum feature_id id = feature_find(name);

	if (id == FEATURE_COUNT) {
		log_warn("Unknown option for --enable-feature",
		    F_STRN("option", name));
		return;
	}
	f->features[id] = true;
	switch (feature_defs[id].state) {
	case FEATURE_STATE_ACTIVE:
		log_info("Experimental feature enabled", F_STRN("feature", name));
		break;
	case FEATURE_STATE_ALWAYS:
	case FEATURE_STATE_NO_OP:
		log_warn("This option for --enable-feature is now permanently "
		    "enabled and therefore a no-op.", F_STRN("option", name));
		break;
	case FEATURE_STATE_ALIAS:
		flags_override_int(f, feature_defs[id].flag, 1);
		break;
	case FEATURE_STATE_NOT_YET:
		break;		/* flags_warn_no_effect */
	}
}

static int
check_features(struct flags *f, struct flags_result *r)
{
	const struct flag_value *v = &f->v[FLAG_ENABLE_FEATURE];

	for (size_t i = 0; v->set && i < v->n_items; i++) {
		for (const char *w = v->items[i];; ) {
			size_t n = strcspn(w, ",");

			feature_enable(f, str_from(w, n));
			if (w[n] == '\0')
				break;
			w += n + 1;
		}
	}
	if (f->features[FEATURE_OTLP_CUMULATIVE] &&
	    f->features[FEATURE_OTLP_DELTA]) {
		buf_add_c(&r->err, "Error parsing feature list: cannot enable "
		    "otlp-deltatocumulative and otlp-native-delta-ingestion "
		    "features at the same time\n");
		r->exit_code = 1;
		return -1;
	}
	return 0;
}

/* Flags of the other mode that the user gave, as Go prints a %q list. */
static int
check_mode(const struct flags *f, bool agent, struct flags_result *r)
{
	enum flag_mode wrong = agent ? FLAG_MODE_SERVER : FLAG_MODE_AGENT;
	bool any = false;

	for (size_t id = 0; id < FLAG_COUNT; id++) {
		if (!f->v[id].set || flag_defs[id].mode != wrong)
			continue;
		if (!any)
			buf_printf(&r->err, "The following flag(s) can %s: [",
			    agent ? "not be used in agent mode" :
			    "only be used in agent mode");
		buf_printf(&r->err, "%s\"--%s\"", any ? " " : "",
		    flag_defs[id].name);
		any = true;
	}
	if (!any)
		return 0;
	buf_add_byte(&r->err, ']');
	r->exit_code = 3;
	return -1;
}

static int
refuse(struct flags_result *r, int exit_code, const char *text)
{
	buf_add_c(&r->err, text);
	r->exit_code = exit_code;
	return -1;
}

static int
check_limits(const struct flags *f, struct flags_result *r)
{
	double ratio = f->v[FLAG_AUTO_GOMEMLIMIT_RATIO].f;

	if (flags_int(f, FLAG_WEB_SEARCH_LIMIT) < 0) {
		buf_printf(&r->err, "--web.search.max-limit must be "
		    "non-negative; got %lld (use 0 to disable the cap)\n",
		    (long long)flags_int(f, FLAG_WEB_SEARCH_LIMIT));
		r->exit_code = 1;
		return -1;
	}
	if (check_mode(f, flags_bool(f, FLAG_AGENT), r) == -1)
		return -1;
	if (flags_bool(f, FLAG_AGENT) &&
	    flags_int(f, FLAG_AGENT_CHECKPOINT_BATCH) <= 0)
		return refuse(r, 1, "--storage.agent.checkpoint-batch-size must "
		    "be greater than 0.");
	if (!(ratio > 0 && ratio <= 1))
		return refuse(r, 1, "--auto-gomemlimit.ratio must be greater than "
		    "0 and less than or equal to 1.");
	return 0;
}

static int
check_urls(struct flags *f, struct flags_settings *s, struct flags_result *r)
{
	const char *given = flags_str(f, FLAG_WEB_EXTERNAL_URL);
	char hostname[256] = "localhost";
	struct err err = ERR_INIT;

	(void)gethostname(hostname, sizeof(hostname) - 1);
	s->external_url = external_url_make(given,
	    flags_str(f, FLAG_WEB_LISTEN_ADDRESS), hostname, &err);
	if (s->external_url == NULL) {
		buf_add_c(&r->err, "parse external URL ");
		quote_add(&r->err, str_c(given));
		buf_printf(&r->err, ": %s\n", err.text);
		r->exit_code = 2;
		return -1;
	}
	s->route_prefix = route_prefix_make(flags_str(f, FLAG_WEB_ROUTE_PREFIX),
	    s->external_url);
	flags_override_str(f, FLAG_WEB_ROUTE_PREFIX, s->route_prefix);
	return 0;
}

static void
compute_retention(struct flags *f, struct flags_settings *s)
{
	if (flags_is_set(f, FLAG_TSDB_RETENTION)) {
		log_warn("'storage.tsdb.retention' flag is deprecated use "
		    "'storage.tsdb.retention.time' instead.");
		s->retention_ms = flags_int(f, FLAG_TSDB_RETENTION);
	}
	if (flags_int(f, FLAG_TSDB_RETENTION_TIME) != 0)
		s->retention_ms = flags_int(f, FLAG_TSDB_RETENTION_TIME);
	s->retention_bytes = flags_int(f, FLAG_TSDB_RETENTION_SIZE);
	if (s->retention_ms == 0 && s->retention_bytes == 0)
		s->retention_ms = RETENTION_DEFAULT_MS;
	/* 100y, beyond which the reference's nanoseconds overflow (~292y). */
	if (s->retention_ms < 0 || s->retention_ms > INT64_MAX / 1000000) {
		s->retention_ms = RETENTION_MAX_MS;
		log_warn("Time retention value is too high. Limiting to: 100y");
	}
	if (flags_int(f, FLAG_TSDB_MAX_BLOCK) == 0) {
		int64_t max_ms = BLOCK_MAX_MS;

		if (s->retention_ms != 0 && s->retention_ms / 10 < max_ms)
			max_ms = s->retention_ms / 10;
		flags_override_int(f, FLAG_TSDB_MAX_BLOCK, max_ms);
	}
}

static void
adjust_values(struct flags *f)
{
	if (flags_is_set(f, FLAG_AM_TIMEOUT))
		log_warn("The flag --alertmanager.timeout has no effect and will "
		    "be removed in the future.");
	if (flags_int(f, FLAG_CONFIG_AUTO_RELOAD_INTERVAL) < 1000)
		flags_override_int(f, FLAG_CONFIG_AUTO_RELOAD_INTERVAL, 1000);
	if (flags_int(f, FLAG_TSDB_BLOCK_RELOAD) < 1000) {
		log_warn("The option --storage.tsdb.block-reload-interval is set "
		    "to a value less than 1s. Setting it to 1s to avoid overload.");
		flags_override_int(f, FLAG_TSDB_BLOCK_RELOAD, 1000);
	}
	if (flags_int(f, FLAG_TSDB_DELAYED_PERCENT) < 1 ||
	    flags_int(f, FLAG_TSDB_DELAYED_PERCENT) > 100) {
		log_warn("The --storage.tsdb.delayed-compaction.max-percent should "
		    "have a value between 1 and 100. Using default",
		    F_INT("default", 10));
		flags_override_int(f, FLAG_TSDB_DELAYED_PERCENT, 10);
	}
	if (flags_is_set(f, FLAG_TSDB_USE_LOCKFILE) &&
	    !flags_is_set(f, FLAG_TSDB_NO_LOCKFILE))
		flags_override_int(f, FLAG_TSDB_NO_LOCKFILE,
		    !flags_bool(f, FLAG_TSDB_USE_LOCKFILE));
}

void
flags_check(struct flags *f, struct flags_settings *s, struct flags_result *r)
{
	memset(s, 0, sizeof(*s));
	if (check_features(f, r) == -1)
		return;
	s->agent = flags_bool(f, FLAG_AGENT);
	if (check_limits(f, r) == -1 || check_urls(f, s, r) == -1)
		return;
	adjust_values(f);
	compute_retention(f, s);
	if (s->agent)
		(void)refuse(r, 1, "--agent: this release has no agent mode yet; "
		    "use server mode with remote_write\n");
}

void
flags_settings_clear(struct flags_settings *s)
{
	free(s->external_url);
	free(s->route_prefix);
	memset(s, 0, sizeof(*s));
}

int
flags_check_storage(const struct flags *f, struct err *err)
{
	int64_t wal = flags_int(f, FLAG_TSDB_WAL_SEGMENT);
	int64_t chunks = flags_int(f, FLAG_TSDB_CHUNK_SEGMENT);

	if (wal != 0 && (wal < 10 * MIB || wal > 256 * MIB))
		return err_set(err, ERR_BAD_DATA,
		    "flag 'storage.tsdb.wal-segment-size' must be set between "
		    "10MB and 256MB");
	if (chunks != 0 && chunks < MIB)
		return err_set(err, ERR_BAD_DATA,
		    "flag 'storage.tsdb.max-block-chunk-segment-size' must be set "
		    "over 1MB");
	return 0;
}

void
flags_warn_no_effect(const struct flags *f)
{
	for (size_t id = 0; id < FLAG_COUNT; id++)
		if ((flag_defs[id].attrs & FA_NO_EFFECT) && f->v[id].set)
			log_warn("This flag has no effect yet",
			    F_STR("flag", flag_defs[id].name));
	for (size_t id = 0; id < FEATURE_COUNT; id++)
		if (f->features[id] && (feature_defs[id].state ==
		    FEATURE_STATE_NOT_YET || (feature_defs[id].state ==
		    FEATURE_STATE_ALIAS && (flag_defs[feature_defs[id].flag].attrs &
		    FA_NO_EFFECT))))
			log_warn("This feature has no effect yet",
			    F_STR("feature", feature_defs[id].name));
}
