/* SPDX-License-Identifier: ISC */
/* Names of scrape protocols and of the ways to escape metric names. */

#include "common/config/blob/scrape_conf.h"

static const struct {
	const char *name, *media_type;
} protocols[SCRAPE_N_PROTOCOLS] = {
	[SCRAPE_PROTOCOL_PROMETHEUS_PROTO] = { "PrometheusProto",
	    "application/vnd.google.protobuf;"
	    "proto=io.prometheus.client.MetricFamily;encoding=delimited" },
	[SCRAPE_PROTOCOL_PROMETHEUS_TEXT_0_0_4] = { "PrometheusText0.0.4",
	    "text/plain;version=0.0.4" },
	[SCRAPE_PROTOCOL_PROMETHEUS_TEXT_1_0_0] = { "PrometheusText1.0.0",
	    "text/plain;version=1.0.0" },
	[SCRAPE_PROTOCOL_OPENMETRICS_TEXT_0_0_1] = { "OpenMetricsText0.0.1",
	    "application/openmetrics-text;version=0.0.1" },
	[SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0] = { "OpenMetricsText1.0.0",
	    "application/openmetrics-text;version=1.0.0" },
};

const char *
scrape_protocol_name(enum scrape_protocol p)
{
	return protocols[p].name;
}

const char *
scrape_protocol_media_type(enum scrape_protocol p)
{
	return protocols[p].media_type;
}

enum scrape_protocol
scrape_protocol_parse(struct str name)
{
	int i;

	for (i = 1; i < SCRAPE_N_PROTOCOLS; i++)
		if (str_eq_c(name, protocols[i].name))
			return (enum scrape_protocol)i;
	return SCRAPE_PROTOCOL_NONE;
}

const char *
name_escaping_text(enum name_escaping e)
{
	static const char *const texts[] = {
		[NAME_ESCAPING_ALLOW_UTF8] = "allow-utf-8",
		[NAME_ESCAPING_UNDERSCORES] = "underscores",
		[NAME_ESCAPING_DOTS] = "dots",
		[NAME_ESCAPING_VALUES] = "values",
	};

	return texts[e];
}
