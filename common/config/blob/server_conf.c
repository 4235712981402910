/* SPDX-License-Identifier: ISC */
/* Encoding and decoding of what web and query need of the configuration. */
#include "common/config/blob/server_conf.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/wire.h"

#define WEB_MAGIC	0x31424557u	/* "WEB1" */
#define QUERY_MAGIC	0x31595251u	/* "QRY1" */

void
web_conf_encode(const struct web_conf *c, struct buf *out)
{
	wire_put_u32(out, WEB_MAGIC);
	wire_put_str(out, c->yaml);
	wire_put_u32(out, (uint32_t)c->n_pools);
	for (size_t i = 0; i < c->n_pools; i++)
		wire_put_str(out, c->pools[i]);
	wire_put_i64(out, c->gogc);
}

/* Texts of the copy keep their places, so they are borrowed from it. */
int
web_conf_decode(struct web_conf *c, struct str blob, struct err *err)
{
	struct wire_reader r;

	*c = (struct web_conf){ .owned = malloc(blob.n + 1) };
	if (c->owned == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (blob.n > 0)
		memcpy(c->owned, blob.p, blob.n);
	wire_reader_init(&r, c->owned, blob.n);
	if (wire_get_u32(&r) != WEB_MAGIC)
		goto bad;
	c->yaml = wire_get_str(&r);
	size_t n = wire_get_count(&r, 4);

	if ((c->pools = calloc(n + 1, sizeof(*c->pools))) == NULL) {
		web_conf_clear(c);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (c->n_pools = 0; c->n_pools < n; c->n_pools++)
		c->pools[c->n_pools] = wire_get_str(&r);
	c->gogc = wire_get_i64(&r);
	if (wire_end(&r))
		return 0;
bad:
	web_conf_clear(c);
	return err_set(err, ERR_BAD_DATA, "web configuration: bad bytes");
}

void
web_conf_clear(struct web_conf *c)
{
	free(c->pools);
	free(c->owned);
	*c = (struct web_conf){ .yaml = STR_EMPTY };
}

void
query_conf_encode(const struct query_conf *c, struct buf *out)
{
	wire_put_u32(out, QUERY_MAGIC);
	wire_put_i64(out, c->evaluation_interval_ms);
	wire_put_str(out, str_c(c->query_log_file));
}

int
query_conf_decode(struct query_conf *c, struct str blob, struct err *err)
{
	struct wire_reader r;
	struct str file;

	wire_reader_init(&r, blob.p, blob.n);
	if (wire_get_u32(&r) == QUERY_MAGIC) {
		c->evaluation_interval_ms = wire_get_i64(&r);
		file = wire_get_str(&r);
		if (wire_end(&r) && file.n < sizeof(c->query_log_file)) {
			memcpy(c->query_log_file, file.p, file.n);
			c->query_log_file[file.n] = '\0';
			return 0;
		}
	}
	return err_set(err, ERR_BAD_DATA, "query configuration: bad bytes");
}
