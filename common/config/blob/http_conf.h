/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_BLOB_HTTP_CONF_H
#define BRAZIER_COMMON_CONFIG_BLOB_HTTP_CONF_H

/*
 * How an HTTP client authenticates and connects: the settings that scrape
 * jobs, Alertmanagers, remote endpoints and discovery share. All checks are
 * done when the configuration is read; files are named here and read by
 * whoever dials, each time they are needed, through the broker. Paths are
 * absolute or relative to the daemon's working directory: relative ones have
 * been joined to the configuration file's directory.
 *
 * Texts that are not set have n == 0. All is owned by the struct.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/secret.h"
#include "common/base/str.h"
#include "common/base/wire.h"

/* Owned, terminated by a NUL that n does not count; p is never NULL. */
struct conf_list {
	struct str	*s;
	size_t		 n;
};

enum tls_version {
	TLS_VERSION_DEFAULT = 0,
	TLS_VERSION_10 = 0x0301,
	TLS_VERSION_11 = 0x0302,
	TLS_VERSION_12 = 0x0303,
	TLS_VERSION_13 = 0x0304
};

struct tls_conf {
	struct str	 ca;		/* PEM text */
	struct str	 ca_file;
	struct str	 cert;		/* PEM text */
	struct str	 cert_file;
	struct secret	 key;		/* PEM text */
	struct str	 key_file;
	struct str	 server_name;
	bool		 insecure_skip_verify;
	enum tls_version min_version;
	enum tls_version max_version;
	/* A *_ref field was given: using it is an error of the dialler's:
	 * "cannot use secret ref without manager". */
	bool		 has_ref;
};

/* One extra header: values, then secrets, then the files' contents. */
struct http_header_conf {
	struct str	 name;
	struct conf_list values;
	struct secret	*secrets;
	size_t		 n_secrets;
	struct conf_list files;
};

/* Name and secret values of a header sent on CONNECT. */
struct proxy_conf {
	struct str	 url;		/* with its password */
	struct str	 no_proxy;
	bool		 from_environment;
	struct http_header_conf *connect_headers;	/* secrets only */
	size_t		 n_connect_headers;
};

enum http_auth {
	HTTP_AUTH_NONE,
	HTTP_AUTH_BASIC,
	HTTP_AUTH_AUTHORIZATION,	/* "type credentials" */
	HTTP_AUTH_OAUTH2
};

struct oauth2_conf {
	struct str	 client_id;
	struct secret	 client_secret;
	struct str	 client_secret_file;
	struct str	 cert_key_id;
	struct secret	 cert_key;
	struct str	 cert_key_file;
	struct str	 grant_type;
	struct str	 signature_algorithm;
	struct str	 iss;
	struct str	 audience;
	struct str	 claims;	/* JSON object, empty when none */
	struct conf_list scopes;
	struct str	 token_url;
	struct conf_list endpoint_params;	/* name, value, name, … */
	struct tls_conf	 tls;
	struct proxy_conf proxy;
	bool		 has_ref;
};

struct http_conf {
	enum http_auth	 auth;
	/* HTTP_AUTH_BASIC; the file counts when it is set */
	struct str	 username;
	struct str	 username_file;
	struct secret	 password;
	struct str	 password_file;
	/* HTTP_AUTH_AUTHORIZATION; type is "Bearer" unless set */
	struct str	 auth_type;
	struct secret	 credentials;
	struct str	 credentials_file;
	bool		 auth_has_ref;	/* see tls_conf.has_ref */
	struct oauth2_conf *oauth2;	/* HTTP_AUTH_OAUTH2 */
	struct tls_conf	 tls;
	struct proxy_conf proxy;
	bool		 follow_redirects;
	bool		 enable_http2;
	struct http_header_conf *headers;
	size_t		 n_headers;
};

void	 http_conf_init(struct http_conf *c);
/* Wipes the secrets. */
void	 http_conf_clear(struct http_conf *c);
void	 http_conf_encode(const struct http_conf *c, struct buf *out);
/*
 * Fills c (initialised by the caller). -1 when the bytes are bad or memory
 * is out; c can be cleared either way.
 */
int	 http_conf_decode(struct http_conf *c, struct wire_reader *r);

/* Owned copies for those who fill the structs. */
int	 conf_str_set(struct str *out, struct str value);
void	 conf_str_clear(struct str *s);
int	 conf_list_add(struct conf_list *l, struct str value);
void	 conf_list_clear(struct conf_list *l);
void	 conf_list_encode(const struct conf_list *l, struct buf *out);
int	 conf_list_decode(struct conf_list *l, struct wire_reader *r);

#endif
