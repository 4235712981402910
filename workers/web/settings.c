/* SPDX-License-Identifier: ISC */
/* What web takes from the flags and the supervisor's options. */
#include "workers/web/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/duration.h"
#include "common/base/regex.h"
#include "common/base/vec.h"

#define HEAD_TIMEOUT_MS		30000	/* of a whole request head */
#define WRITE_TIMEOUT_MS	30000	/* without progress, DESIGN 4 */

/* "15d", "15d or 10GiB", as status/runtimeinfo tells it. */
static void
set_retention(struct web *web)
{
	int64_t ms = worker_flag_int(web->w, "brazier.retention-ms");
	int64_t bytes = worker_flag_int(web->w, "brazier.retention-bytes");
	char time_text[32] = "", size_text[64] = "";

	if (ms > 0)
		duration_format(ms, time_text);
	if (bytes > 0)
		bytes_format(bytes, size_text);
	(void)snprintf(web->set.retention, sizeof(web->set.retention),
	    "%s%s%s", time_text, ms > 0 && bytes > 0 ? " or " : "",
	    size_text);
}

/* The path of the external URL, without a slash at its end. */
static struct str
path_of(const char *url)
{
	const char *p = strstr(url, "://");
	struct str path;

	p = strchr(p == NULL ? url : p + 3, '/');
	path = p == NULL ? STR_EMPTY : str_c(p);
	while (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

static void
set_paths(struct web *web)
{
	struct str prefix = worker_flag(web->w, "brazier.route-prefix");
	char *url = str_dup(worker_flag(web->w, "brazier.external-url"));

	if (url == NULL)
		fatal("out of memory");
	web->set.external_url = url;
	web->set.external_path = path_of(url);
	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	web->set.prefix = prefix;
}

int
web_settings_read(struct web *web, struct err *err)
{
	struct worker *w = web->w;
	int64_t read_ms = worker_flag_duration_ms(w, "web.read-timeout");
	int64_t most = worker_flag_int(w, "web.max-connections");

	set_paths(web);
	set_retention(web);
	web->set.page_title = worker_flag(w, "web.page-title");
	web->set.hostname = worker_flag(w, "brazier.hostname");
	web->set.cwd = worker_flag(w, "brazier.cwd");
	web->set.start_ms = worker_flag_int(w, "brazier.start-time-ms");
	web->set.lifecycle = worker_flag_bool(w, "web.enable-lifecycle");
	web->set.agent = worker_flag_bool(w, "agent");
	web->set.query_timeout_ms = worker_flag_duration_ms(w,
	    "query.timeout");
	web->set.n_query_max = (uint32_t)worker_flag_int(w,
	    "query.max-concurrency");
	web->set.cors = regex_new(worker_flag(w, "web.cors.origin"),
	    REGEX_ANCHORED, err);
	if (web->set.cors == NULL)
		return -1;
	web->server_conf = (struct http_server_conf){
		.max_connections = most > 0 ? (size_t)most : 0,
		.idle_timeout_ms = read_ms,
		.head_timeout_ms = read_ms > 0 && read_ms < HEAD_TIMEOUT_MS ?
		    read_ms : HEAD_TIMEOUT_MS,
		.body_timeout_ms = read_ms,
		.write_timeout_ms = WRITE_TIMEOUT_MS,
	};
	return 0;
}
