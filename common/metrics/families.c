/* SPDX-License-Identifier: ISC */
/* The table of families as data. */
#include "common/metrics/families.h"

const struct metrics_family_row metrics_families[METRICS_FAMILY_COUNT] = {
#define X(id, name, type, shape, help) \
	[METRIC_##id] = { name, METRICS_##type, shape, help },
	METRICS_FAMILIES(X)
#undef X
};
