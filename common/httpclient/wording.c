/* SPDX-License-Identifier: ISC */
/* Errors of curl, OpenSSL and the kernel in the words of Go's net/http. */

#include <ctype.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "common/base/quote.h"
#include "common/httpclient/internal.h"

/* The URL as an error shows it: a password becomes "xxxxx". */
static void
add_redacted(struct buf *b, const char *url)
{
	const char *authority = strstr(url, "://");
	const char *end, *at = NULL, *colon;
	struct buf plain;

	if (authority == NULL) {
		quote_add(b, str_c(url));
		return;
	}
	authority += 3;
	end = authority + strcspn(authority, "/?#");
	for (const char *p = authority; p < end; p++)
		if (*p == '@')
			at = p;
	colon = at == NULL ? NULL :
	    memchr(authority, ':', (size_t)(at - authority));
	if (colon == NULL) {
		quote_add(b, str_c(url));
		return;
	}
	buf_init(&plain, 0);
	buf_add(&plain, url, (size_t)(colon + 1 - url));
	buf_add_c(&plain, "xxxxx");
	buf_add_c(&plain, at);
	quote_add(b, buf_str(&plain));
	buf_clear(&plain);
}

void
fetch_error(struct http_fetch *f, enum err_kind kind, const char *what)
{
	struct buf b;

	/* with a head received Go's error comes from reading the body */
	if (f->status != 0) {
		err_set(&f->err, kind, "%s", what);
		return;
	}
	buf_init(&b, 0);
	add_redacted(&b, f->url);
	err_set(&f->err, kind, "%s %.*s: %s", f->post ? "Post" : "Get",
	    STR_ARG(buf_str(&b)), what);
	buf_clear(&b);
}

/* "connection refused" of "Connection refused". */
static void
errno_text(int os, char *out, size_t n)
{
	snprintf(out, n, "%s", os == 0 ? "connection failed" : strerror(os));
	if (n > 1 && isupper((unsigned char)out[0]) &&
	    !isupper((unsigned char)out[1]))
		out[0] = (char)tolower((unsigned char)out[0]);
}

static void
add_address(struct http_fetch *f, char *out, size_t n)
{
	const char *a = f->addr < f->n_addrs ? f->addrs[f->addr] : f->host;

	snprintf(out, n, strchr(a, ':') != NULL ? "[%s]:%s" : "%s:%s", a,
	    f->port);
}

static const char *
verify_text(struct http_fetch *f, long code, char *out, size_t n)
{
	/* the name is curl's own check, and leaves no code of OpenSSL's */
	if (strstr(f->curl_error, "subject name") != NULL) {
		snprintf(out, n, "tls: failed to verify certificate: x509: "
		    "certificate is not valid for %s",
		    f->client->server_name != NULL ?
		    f->client->server_name : f->host);
		return out;
	}
	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "tls: failed to verify certificate: x509: "
		    "certificate signed by unknown authority";
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "tls: failed to verify certificate: x509: "
		    "certificate has expired or is not yet valid";
	default:
		snprintf(out, n, "tls: failed to verify certificate: x509: "
		    "%s", X509_verify_cert_error_string(code));
		return out;
	}
}

static const char *
tls_text(struct http_fetch *f, char *out, size_t n)
{
	if (strstr(f->curl_error, "wrong version number") != NULL)
		return "http: server gave HTTP response to HTTPS client";
	snprintf(out, n, "tls: %s", f->curl_error[0] != '\0' ?
	    f->curl_error : "handshake failure");
	return out;
}

void
fetch_error_from_curl(struct http_fetch *f, CURLcode rc)
{
	char text[512], os[128], address[HTTP_ADDR_TEXT + 16];
	const char *what = text;
	long errnum = 0, verify = 0;

	curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &errnum);
	errno_text((int)errnum, os, sizeof(os));
	add_address(f, address, sizeof(address));
	switch (rc) {
	case CURLE_COULDNT_CONNECT:
		snprintf(text, sizeof(text), "dial tcp %s: connect: %s",
		    address, os);
		break;
	case CURLE_GOT_NOTHING:
		what = "EOF";
		break;
	case CURLE_PARTIAL_FILE:
		what = "unexpected EOF";
		break;
	case CURLE_RECV_ERROR:
		snprintf(text, sizeof(text), "read tcp %s: read: %s",
		    address, os);
		break;
	case CURLE_SEND_ERROR:
		snprintf(text, sizeof(text), "write tcp %s: write: %s",
		    address, os);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		curl_easy_getinfo(f->easy, CURLINFO_SSL_VERIFYRESULT,
		    &verify);
		what = verify_text(f, verify, text, sizeof(text));
		break;
	case CURLE_SSL_CONNECT_ERROR:
		what = tls_text(f, text, sizeof(text));
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		snprintf(text, sizeof(text), "net/http: HTTP/1.x transport "
		    "connection broken: malformed HTTP response");
		break;
	case CURLE_OUT_OF_MEMORY:	/* a header line beyond curl's limit */
	case CURLE_WRITE_ERROR:		/* our own, on all of them */
		snprintf(text, sizeof(text), "net/http: HTTP/1.x transport "
		    "connection broken: net/http: server response headers "
		    "exceeded %d bytes; aborted", HTTP_HEAD_BYTES_MAX);
		break;
	default:
		snprintf(text, sizeof(text), "%s", f->curl_error[0] != '\0' ?
		    f->curl_error : curl_easy_strerror(rc));
	}
	fetch_error(f, ERR_UNAVAILABLE, what);
}
