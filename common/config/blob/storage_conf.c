/* SPDX-License-Identifier: ISC */
/* The blob of storage, field by field. */

#include "common/config/blob/storage_conf.h"

#include "common/base/wire.h"

#define STORAGE_MAGIC	0x53435242U	/* "BRCS" */

void
storage_conf_encode(const struct storage_conf *c, struct buf *out)
{
	wire_put_u32(out, STORAGE_MAGIC);
	wire_put_i64(out, c->out_of_order_window_ms);
	wire_put_i64(out, c->max_exemplars);
	wire_put_f64(out, c->stale_series_compaction_threshold);
	wire_put_u8(out, (uint8_t)c->float_encoding);
	wire_put_bool(out, c->has_retention);
	wire_put_i64(out, c->retention_ms);
	wire_put_i64(out, c->retention_bytes);
	wire_put_f64(out, c->retention_percentage);
	wire_put_i64(out, c->longest_scrape_interval_ms);
}

int
storage_conf_decode(struct storage_conf *c, struct str blob, struct err *err)
{
	struct wire_reader r;
	uint8_t encoding;

	wire_reader_init(&r, blob.p, blob.n);
	if (wire_get_u32(&r) != STORAGE_MAGIC)
		return err_set(err, ERR_BAD_DATA,
		    "storage configuration: bad bytes");
	c->out_of_order_window_ms = wire_get_i64(&r);
	c->max_exemplars = wire_get_i64(&r);
	c->stale_series_compaction_threshold = wire_get_f64(&r);
	encoding = wire_get_u8(&r);
	c->float_encoding = (enum float_encoding)encoding;
	c->has_retention = wire_get_bool(&r);
	c->retention_ms = wire_get_i64(&r);
	c->retention_bytes = wire_get_i64(&r);
	c->retention_percentage = wire_get_f64(&r);
	c->longest_scrape_interval_ms = wire_get_i64(&r);
	if (!wire_end(&r) || encoding > FLOAT_ENCODING_XOR2)
		return err_set(err, ERR_BAD_DATA,
		    "storage configuration: bad bytes");
	return 0;
}
