/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_SCHEMA_SD_H
#define BRAZIER_COMMON_CONFIG_SCHEMA_SD_H

/* The types of the *_sd_configs entries, and checks they share. */

#include "common/config/schema.h"

/* schema_sd_host.c: found without a cloud's API */
extern const struct cfg_type consul_sd_type, dns_sd_type, docker_sd_type,
    dockerswarm_sd_type, eureka_sd_type, file_sd_type, http_sd_type,
    kubernetes_sd_type, kuma_sd_type, marathon_sd_type, nerve_sd_type,
    nomad_sd_type, puppetdb_sd_type, serverset_sd_type, uyuni_sd_type;
/* schema_sd_cloud.c */
extern const struct cfg_type azure_sd_type, digitalocean_sd_type,
    gce_sd_type, hetzner_sd_type, ionos_sd_type, linode_sd_type, oci_sd_type,
    openstack_sd_type, outscale_sd_type, ovhcloud_sd_type, scaleway_sd_type,
    stackit_sd_type, triton_sd_type, vultr_sd_type;
/* schema_sd_aws.c */
extern const struct cfg_type aws_sd_type, ec2_sd_type, ecs_sd_type,
    elasticache_sd_type, lightsail_sd_type, msk_sd_type, rds_sd_type;

/* A list of {name, values}, entries not pointers. */
extern const struct cfg_type sd_filter_list_type;

/* Fails with text unless the field is set. */
int	 sd_require(struct cfg_reader *r, const struct cfg_val *v,
	    const char *key, const char *text);
/* True when s is one of the words, separated by spaces. */
bool	 sd_is_one_of(struct str s, const char *words);
/* url is required, http or https, with a host. */
int	 sd_http_url_check(struct cfg_reader *r, const struct cfg_val *url);
/* The field parses as a URL. */
int	 sd_url_parses(struct cfg_reader *r, const struct cfg_val *url,
	    struct url_parts *out);

#endif
