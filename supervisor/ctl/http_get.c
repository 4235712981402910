/* SPDX-License-Identifier: ISC */

/* See http_get.h. */

#include "supervisor/ctl/http_get.h"

#include <curl/curl.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HTTP_TIMEOUT_S	120L	/* the reference's tool waits as long */

void
http_form_add(struct buf *form, const char *key, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";

	if (form->n > 0)
		buf_add_byte(form, '&');
	buf_printf(form, "%s=", key);
	for (const char *p = value; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (isalnum(c) || strchr("-_.~", c) != NULL)
			buf_add_byte(form, c);
		else {
			buf_add_byte(form, '%');
			buf_add_byte(form, (uint8_t)hex[c >> 4]);
			buf_add_byte(form, (uint8_t)hex[c & 15]);
		}
	}
}

static size_t
take_body_cb(char *data, size_t size, size_t n, void *arg)
{
	struct buf *body = arg;

	buf_add(body, data, size * n);
	return buf_failed(body) ? 0 : size * n;
}

static void
make_url(struct buf *url, const char *server, const char *path)
{
	size_t n = strlen(server);

	while (n > 0 && server[n - 1] == '/')
		n--;
	if (strstr(server, "://") == NULL)
		buf_add_c(url, "http://");
	buf_add(url, server, n);
	buf_add_c(url, path);
	buf_add_byte(url, '\0');
}

int
http_request(const char *server, const char *path, struct str form,
    struct buf *body_out, long *status_out, struct err *err)
{
	char why[CURL_ERROR_SIZE] = "";
	struct buf url;
	CURL *curl;
	CURLcode rc;

	if ((curl = curl_easy_init()) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_init(&url, 0);
	make_url(&url, server, path);
	curl_easy_setopt(curl, CURLOPT_URL, url.p);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, HTTP_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "brazierctl/" BRAZIER_VERSION);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body_out);
	if (form.n > 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)form.n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form.p);
	}
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status_out);
	if (rc != CURLE_OK)
		err_set(err, ERR_UNAVAILABLE, "%s \"%s\": %s",
		    form.n > 0 ? "Post" : "Get", url.p,
		    why[0] != '\0' ? why : curl_easy_strerror(rc));
	buf_clear(&url);
	curl_easy_cleanup(curl);
	return rc == CURLE_OK ? 0 : -1;
}
