/* SPDX-License-Identifier: ISC */
/* Service discovery of Amazon's services (discovery/aws). */

#include "common/config/schema_sd.h"

#define HTTP_CLIENT	F("", http_client_type, CFG_INLINE)
#define CREDENTIALS							\
	F("access_key", cfg_string, CFG_OMIT),				\
	F("secret_key", cfg_secret, CFG_OMIT),				\
	F("profile", cfg_string, CFG_OMIT),				\
	F("role_arn", cfg_string, CFG_OMIT),				\
	F("external_id", cfg_string, CFG_OMIT)
#define PORT		FD("port", cfg_int, 0, "80")
#define REFRESH		FD("refresh_interval", cfg_duration, CFG_OMIT, "1m")
#define CONCURRENCY(n)	FD("request_concurrency", cfg_int, CFG_OMIT, n)

static const struct cfg_field filter_fields[] = {
	F("name", cfg_string, 0),
	F("values", cfg_strings, 0),
};
static CFG_STRUCT_TYPE(filter_type, "aws.Filter", filter_fields, NULL);
static CFG_LIST_TYPE(filter_list_type, "[]*aws.Filter", filter_type,
    true);

static int
client_check(struct cfg_reader *r, struct cfg_val *v)
{
	return http_client_check(r, v);
}

static int
role_check(struct cfg_reader *r, struct cfg_val *v)
{
	return sd_is_one_of(v->u.s,
	    "ec2 ecs elasticache lightsail msk rds") ? 0 :
	    cfg_fail(r, v->line, "unknown AWS SD role \"%.*s\"",
	    STR_ARG(v->u.s));
}

static const struct cfg_type role_type = { .kind = CFG_STR,
    .go_name = "string", .check = role_check };

static int
aws_check(struct cfg_reader *r, struct cfg_val *v)
{
	return cfg_has(v, "role") ? 0 : cfg_fail(r, v->line,
	    "unknown AWS SD role \"\"");
}

static const struct cfg_field aws_fields[] = {
	F("role", role_type, 0),
	F("region", cfg_string, CFG_OMIT),
	F("endpoint", cfg_string, CFG_OMIT),
	CREDENTIALS,
	F("refresh_interval", cfg_duration, CFG_OMIT),
	F("port", cfg_int, CFG_OMIT),
	HTTP_CLIENT,
	F("filters", filter_list_type, CFG_OMIT),
	F("clusters", cfg_strings, CFG_OMIT),
};
CFG_STRUCT_TYPE(aws_sd_type, "aws.plain", aws_fields, aws_check);

static int
ec2_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *list = cfg_get(v, "filters"), *f;
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		f = &list->u.list.v[i];
		if (f->is_nil || !cfg_has(f, "values"))
			return cfg_fail(r, f->line, "EC2 SD configuration "
			    "filter values cannot be empty");
	}
	return http_client_check(r, v);
}

static const struct cfg_field ec2_fields[] = {
	F("endpoint", cfg_string, 0),
	F("region", cfg_string, 0),
	CREDENTIALS,
	REFRESH,
	PORT,
	F("filters", filter_list_type, 0),
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(ec2_sd_type, "aws.plain", ec2_fields, ec2_check);

static const struct cfg_field lightsail_fields[] = {
	F("endpoint", cfg_string, 0),
	F("region", cfg_string, 0),
	CREDENTIALS,
	REFRESH,
	PORT,
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(lightsail_sd_type, "aws.plain", lightsail_fields,
    client_check);

#define CLUSTER_FIELDS							\
	F("region", cfg_string, 0),					\
	F("endpoint", cfg_string, 0),					\
	CREDENTIALS,							\
	F("clusters", cfg_strings, CFG_OMIT),				\
	PORT,								\
	REFRESH

static const struct cfg_field ecs_fields[] = {
	CLUSTER_FIELDS, CONCURRENCY("20"), HTTP_CLIENT,
};
CFG_STRUCT_TYPE(ecs_sd_type, "aws.plain", ecs_fields, client_check);

static const struct cfg_field cluster_fields[] = {
	CLUSTER_FIELDS, CONCURRENCY("10"), HTTP_CLIENT,
};
CFG_STRUCT_TYPE(elasticache_sd_type, "aws.plain", cluster_fields,
    client_check);
CFG_STRUCT_TYPE(msk_sd_type, "aws.plain", cluster_fields, client_check);

static const struct cfg_field rds_fields[] = {
	CLUSTER_FIELDS,
	F("filters", filter_list_type, 0),
	CONCURRENCY("10"),
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(rds_sd_type, "aws.plain", rds_fields, client_check);
