/* SPDX-License-Identifier: ISC */
/*
 * The framer over arbitrary bytes: the first byte chooses the size of the
 * pieces; the events must be the same as for the whole input at once.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/http/parser.h"
#include "common/http/url.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A digest of everything the parser tells about the input. */
static uint64_t
digest(const char *in, size_t n, size_t step)
{
	uint64_t h = HASH_FNV64_INIT, body = HASH_FNV64_INIT;
	struct http_parser p;
	size_t pos = 0;

	http_parser_init(&p);
	for (;;) {
		enum http_event ev;
		size_t len = n - pos < step ? n - pos : step;
		size_t used = http_parser_feed(&p, in + pos, len, &ev);

		if (used > len || (ev == HTTP_EV_MORE && used != len))
			abort();
		pos += used;
		if (ev == HTTP_EV_HEAD) {
			p.body_limit = 1000;
			h = hash_fnv64a(h, p.req.target.p, p.req.target.n);
			h = hash_fnv64a(h, &p.req.n_headers,
			    sizeof(p.req.n_headers));
		} else if (ev == HTTP_EV_BODY) {
			body = hash_fnv64a(body, p.body.p, p.body.n);
			if (p.body_bytes > 1000)
				abort();
		} else if (ev == HTTP_EV_DONE) {
			h = hash_fnv64a(h, "done", 4);
			http_parser_next(&p);
		} else if (ev == HTTP_EV_ERROR) {
			h = hash_fnv64a(h, &p.status, sizeof(p.status));
			break;
		} else if (pos == n)
			break;
	}
	http_parser_clear(&p);
	return hash_fnv64a(h, &body, sizeof(body));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	const char *in = (const char *)data + 1;
	size_t step = data[0] % 32 + 1;
	struct url_params params;
	struct err err = ERR_INIT;
	struct arena a;

	n--;
	if (digest(in, n, n + 1) != digest(in, n, step))
		abort();
	arena_init(&a, 1 << 20);
	url_params_init(&params, &a);
	(void)url_params_add(&params, str_from(in, n), &err);
	struct str once = url_clean_path(&a, str_from(in, n));

	if (!str_eq(once, url_clean_path(&a, once)))
		abort();
	arena_clear(&a);
	return 0;
}
