/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_YAML_TREE_H
#define BRAZIER_COMMON_CONFIG_YAML_TREE_H

/*
 * A YAML document as a tree of nodes that know their line. Hostile input is
 * bounded: size, depth, number of nodes; an alias shares the node of its
 * anchor, and who walks the tree counts what it visits, at most
 * YAML_VISITS_MAX, so
 * that a few lines cannot mean billions of nodes.
 *
 * Merge keys (<<) are resolved: a mapping shows the merged entries behind
 * its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"

#define YAML_TEXT_MAX	(64U << 20)
#define YAML_DEPTH_MAX	200
#define YAML_NODES_MAX	(4U << 20)
#define YAML_VISITS_MAX	(8U << 20)

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_SEQUENCE, YAML_KIND_MAPPING };

/* What a plain scalar means (YAML 1.1 as the reference reads it). */
enum yaml_tag {
	YAML_TAG_STR, YAML_TAG_NULL, YAML_TAG_BOOL, YAML_TAG_INT,
	YAML_TAG_FLOAT, YAML_TAG_TIMESTAMP, YAML_TAG_BINARY, YAML_TAG_MERGE,
	YAML_TAG_SEQ, YAML_TAG_MAP, YAML_TAG_OTHER
};

struct yaml_node {
	enum yaml_kind	   kind;
	enum yaml_tag	   tag;
	struct str	   value;	/* of a scalar, as it was written */
	uint32_t	   line;	/* from 1 */
	uint32_t	   column;	/* from 1 */
	/* sequence: items; mapping: key, value, key, value … */
	struct yaml_node **kids;
	size_t		   n_kids;
	size_t		   cap_kids;
};

struct yaml_doc {
	struct arena	  mem;
	struct yaml_node *root;		/* NULL for an empty document */
};

/*
 * Parses the first document of text; copies all it keeps. ERR_BAD_DATA
 * worded as the reference ("yaml: line 3: mapping values are not allowed in
 * this context"), ERR_LIMIT beyond a bound, ERR_NOMEM. err_line_out gets the
 * line, 0 when there is none. The document must be cleared either way.
 */
int	 yaml_doc_parse(struct yaml_doc *d, struct str text,
	    uint32_t *err_line_out, struct err *err);
void	 yaml_doc_clear(struct yaml_doc *d);

/* What text would mean if it stood there plain. */
enum yaml_tag yaml_resolve(struct str text);
/* Values of plain scalars of that tag; false when out of range. */
bool	 yaml_to_bool(struct str text);
bool	 yaml_to_int(struct str text, int64_t *out);
bool	 yaml_to_uint(struct str text, uint64_t *out);
bool	 yaml_to_float(struct str text, double *out);
/* "!!str", "!!int" … as messages show it. */
const char *yaml_tag_name(enum yaml_tag tag);

#endif
