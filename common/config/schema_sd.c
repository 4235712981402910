/* SPDX-License-Identifier: ISC */
/*
 * The service discovery keys that scrape jobs and Alertmanagers have in
 * common, sorted as the reference prints them.
 */

#include "common/config/schema_sd.h"

static const struct cfg_field filter_fields[] = {
	F("name", cfg_string, 0),
	F("values", cfg_strings, 0),
};
static CFG_STRUCT_TYPE(filter_type, "moby.Filter", filter_fields, NULL);
CFG_LIST_TYPE(sd_filter_list_type, "[]moby.Filter", filter_type, false);

#define SD_LIST(name, go) \
	static CFG_LIST_TYPE(name##_list, "[]*" go, name##_sd_type, true)
SD_LIST(aws, "aws.SDConfig");
SD_LIST(azure, "azure.SDConfig");
SD_LIST(consul, "consul.SDConfig");
SD_LIST(digitalocean, "digitalocean.SDConfig");
SD_LIST(dns, "dns.SDConfig");
SD_LIST(docker, "moby.DockerSDConfig");
SD_LIST(dockerswarm, "moby.DockerSwarmSDConfig");
SD_LIST(ec2, "aws.EC2SDConfig");
SD_LIST(ecs, "aws.ECSSDConfig");
SD_LIST(elasticache, "aws.ElasticacheSDConfig");
SD_LIST(eureka, "eureka.SDConfig");
SD_LIST(file, "file.SDConfig");
SD_LIST(gce, "gce.SDConfig");
SD_LIST(hetzner, "hetzner.SDConfig");
SD_LIST(http, "http.SDConfig");
SD_LIST(ionos, "ionos.SDConfig");
SD_LIST(kubernetes, "kubernetes.SDConfig");
SD_LIST(kuma, "xds.SDConfig");
SD_LIST(lightsail, "aws.LightsailSDConfig");
SD_LIST(linode, "linode.SDConfig");
SD_LIST(marathon, "marathon.SDConfig");
SD_LIST(msk, "aws.MSKSDConfig");
SD_LIST(nerve, "zookeeper.NerveSDConfig");
SD_LIST(nomad, "nomad.SDConfig");
SD_LIST(oci, "oci.SDConfig");
SD_LIST(openstack, "openstack.SDConfig");
SD_LIST(outscale, "outscale.SDConfig");
SD_LIST(ovhcloud, "ovhcloud.SDConfig");
SD_LIST(puppetdb, "puppetdb.SDConfig");
SD_LIST(rds, "aws.RDSSDConfig");
SD_LIST(scaleway, "scaleway.SDConfig");
SD_LIST(serverset, "zookeeper.ServersetSDConfig");
SD_LIST(stackit, "stackit.SDConfig");
SD_LIST(triton, "triton.SDConfig");
SD_LIST(uyuni, "uyuni.SDConfig");
SD_LIST(vultr, "vultr.SDConfig");
static CFG_LIST_TYPE(static_list, "[]*targetgroup.Group", static_config_type,
    true);

static const struct cfg_field sd_fields[] = {
	F("aws_sd_configs", aws_list, CFG_OMIT),
	F("azure_sd_configs", azure_list, CFG_OMIT),
	F("consul_sd_configs", consul_list, CFG_OMIT),
	F("digitalocean_sd_configs", digitalocean_list, CFG_OMIT),
	F("dns_sd_configs", dns_list, CFG_OMIT),
	F("docker_sd_configs", docker_list, CFG_OMIT),
	F("dockerswarm_sd_configs", dockerswarm_list, CFG_OMIT),
	F("ec2_sd_configs", ec2_list, CFG_OMIT),
	F("ecs_sd_configs", ecs_list, CFG_OMIT),
	F("elasticache_sd_configs", elasticache_list, CFG_OMIT),
	F("eureka_sd_configs", eureka_list, CFG_OMIT),
	F("file_sd_configs", file_list, CFG_OMIT),
	F("gce_sd_configs", gce_list, CFG_OMIT),
	F("hetzner_sd_configs", hetzner_list, CFG_OMIT),
	F("http_sd_configs", http_list, CFG_OMIT),
	F("ionos_sd_configs", ionos_list, CFG_OMIT),
	F("kubernetes_sd_configs", kubernetes_list, CFG_OMIT),
	F("kuma_sd_configs", kuma_list, CFG_OMIT),
	F("lightsail_sd_configs", lightsail_list, CFG_OMIT),
	F("linode_sd_configs", linode_list, CFG_OMIT),
	F("marathon_sd_configs", marathon_list, CFG_OMIT),
	F("msk_sd_configs", msk_list, CFG_OMIT),
	F("nerve_sd_configs", nerve_list, CFG_OMIT),
	F("nomad_sd_configs", nomad_list, CFG_OMIT),
	F("oci_sd_configs", oci_list, CFG_OMIT),
	F("openstack_sd_configs", openstack_list, CFG_OMIT),
	F("outscale_sd_configs", outscale_list, CFG_OMIT),
	F("ovhcloud_sd_configs", ovhcloud_list, CFG_OMIT),
	F("puppetdb_sd_configs", puppetdb_list, CFG_OMIT),
	F("rds_sd_configs", rds_list, CFG_OMIT),
	F("scaleway_sd_configs", scaleway_list, CFG_OMIT),
	F("serverset_sd_configs", serverset_list, CFG_OMIT),
	F("stackit_sd_configs", stackit_list, CFG_OMIT),
	F("static_configs", static_list, CFG_OMIT),
	F("triton_sd_configs", triton_list, CFG_OMIT),
	F("uyuni_sd_configs", uyuni_list, CFG_OMIT),
	F("vultr_sd_configs", vultr_list, CFG_OMIT),
};
CFG_STRUCT_TYPE(sd_configs_type, "discovery.Configs", sd_fields, NULL);

/* The inlined struct inside a scrape job or an Alertmanager. */
static const struct cfg_val *
sd_part(const struct cfg_val *outer)
{
	size_t i;

	for (i = 0; i < outer->type->n_fields; i++)
		if (outer->type->fields[i].type == &sd_configs_type)
			return &outer->u.fields[i];
	fatal("%s has no service discovery", outer->type->go_name);
}

int
sd_configs_check(struct cfg_reader *r, const struct cfg_val *outer)
{
	const struct cfg_val *sd = sd_part(outer), *list;
	size_t i, j;

	for (i = 0; i < CFG_N(sd_fields); i++) {
		list = &sd->u.fields[i];
		for (j = 0; !list->is_nil && j < list->u.list.n; j++)
			if (list->u.list.v[j].is_nil)
				return cfg_fail(r, list->u.list.v[j].line,
				    "empty or null section in %s",
				    sd_fields[i].key);
	}
	return 0;
}

const char *
sd_configs_used(const struct cfg_val *outer, size_t *pos)
{
	const struct cfg_val *sd = sd_part(outer);
	size_t i;

	while (*pos < CFG_N(sd_fields)) {
		i = (*pos)++;
		if (sd_fields[i].type != &static_list &&
		    !cfg_is_zero(&sd->u.fields[i]))
			return sd_fields[i].key;
	}
	return NULL;
}

/* --- checks that several mechanisms share --- */

int
sd_require(struct cfg_reader *r, const struct cfg_val *v, const char *key,
    const char *text)
{
	return cfg_has(v, key) ? 0 : cfg_fail(r, v->line, "%s", text);
}

bool
sd_is_one_of(struct str s, const char *words)
{
	const char *p = words, *end;

	while (*p != '\0') {
		for (end = p; *end != '\0' && *end != ' '; end++)
			;
		if (s.n == (size_t)(end - p) && memcmp(s.p, p, s.n) == 0)
			return true;
		p = *end == ' ' ? end + 1 : end;
	}
	return false;
}

int
sd_url_parses(struct cfg_reader *r, const struct cfg_val *url,
    struct url_parts *out)
{
	struct err e = ERR_INIT;

	return url_check(url->u.s, out, &e) == 0 ? 0 :
	    cfg_fail(r, url->line, "%s", e.text);
}

int
sd_http_url_check(struct cfg_reader *r, const struct cfg_val *url)
{
	struct url_parts u;

	if (url->u.s.n == 0)
		return cfg_fail(r, url->line, "URL is missing");
	if (sd_url_parses(r, url, &u) == -1)
		return -1;
	if (!sd_is_one_of(u.scheme, "http https HTTP HTTPS"))
		return cfg_fail(r, url->line,
		    "URL scheme must be 'http' or 'https'");
	return u.host.n > 0 ? 0 : cfg_fail(r, url->line,
	    "host is missing in URL");
}
