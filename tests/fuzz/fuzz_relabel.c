/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as encoded relabel rules and blobs: they are refused, or what
 * they decode to encodes to the same bytes and can be applied.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/labels/relabel.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
apply(const struct relabel_rules *rs)
{
	static const struct label base[] = {
		{ { "__address__", 11 }, { "host:9100", 9 } },
		{ { "__name__", 8 }, { "up_total", 8 } },
		{ { "a", 1 }, { "", 0 } },
		{ { "env", 3 }, { "pr\xc3\xb6""d", 5 } },
		{ { "job", 3 }, { "node", 4 } },
	};
	struct labels_builder b;
	struct labels ls;
	struct arena a;
	size_t i;

	arena_init(&a, 1 << 20);
	labels_builder_init(&b);
	labels_builder_reset(&b, (struct labels){ base,
	    sizeof(base) / sizeof(base[0]) });
	if (relabel_apply(rs, &b, &a)) {
		ls = labels_builder_labels(&b);
		for (i = 0; i < ls.n; i++)
			if (ls.l[i].value.n == 0 || (i > 0 &&
			    str_cmp(ls.l[i - 1].name, ls.l[i].name) >= 0))
				abort();
	}
	labels_builder_clear(&b);
	arena_clear(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relabel_rules rs, again;
	struct err err = ERR_INIT;
	struct wire_reader r;
	struct buf b, b2;

	relabel_rules_init(&rs);
	wire_reader_init(&r, data, size);
	if (relabel_rules_decode(&rs, &r, &err) == 0) {
		apply(&rs);
		buf_init(&b, 0);
		buf_init(&b2, 0);
		relabel_rules_init(&again);
		relabel_rules_encode(&rs, &b);
		wire_reader_init(&r, b.p, b.n);
		if (relabel_rules_decode(&again, &r, &err) == -1 ||
		    !wire_end(&r))
			abort();
		relabel_rules_encode(&again, &b2);
		if (!str_eq(buf_str(&b), buf_str(&b2)))
			abort();
		relabel_rules_clear(&again);
		buf_clear(&b);
		buf_clear(&b2);
	}
	relabel_rules_clear(&rs);
	return 0;
}
