/* SPDX-License-Identifier: ISC */
/*
 * Certificates from bytes. Parsing the system's bundle costs 26 ms, so a
 * client parses its roots once and every connection shares the store.
 */

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "common/httpclient/internal.h"

X509_STORE *
tls_roots_new(struct str pem, struct err *err)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new_mem_buf(pem.n == 0 ? "" : pem.p,
	    pem.n > INT32_MAX ? 0 : (int)pem.n);
	X509 *cert;
	size_t n = 0;

	if (store == NULL || bio == NULL) {
		X509_STORE_free(store);
		BIO_free(bio);
		err_set(err, ERR_NOMEM, "out of memory for certificates");
		return NULL;
	}
	while ((cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		n += (size_t)X509_STORE_add_cert(store, cert);
		X509_free(cert);
	}
	ERR_clear_error();
	BIO_free(bio);
	if (n == 0 && pem.n != 0) {
		X509_STORE_free(store);
		err_set(err, ERR_BAD_DATA, "no certificate in the CA's text");
		return NULL;
	}
	return store;
}

int
http_check_ca(struct str pem, struct err *err)
{
	X509_STORE *store;

	if (pem.n == 0)
		return err_set(err, ERR_BAD_DATA,
		    "no certificate in the CA's text");
	if ((store = tls_roots_new(pem, err)) == NULL)
		return -1;
	X509_STORE_free(store);
	return 0;
}

int
tls_check_pair(struct str cert_pem, struct str key_pem, struct err *err)
{
	BIO *cb = BIO_new_mem_buf(cert_pem.p, (int)cert_pem.n);
	BIO *kb = BIO_new_mem_buf(key_pem.p, (int)key_pem.n);
	X509 *cert = NULL;
	EVP_PKEY *key = NULL;
	int r = -1;

	if (cb == NULL || kb == NULL)
		err_set(err, ERR_NOMEM, "out of memory for certificates");
	else if ((cert = PEM_read_bio_X509(cb, NULL, NULL, NULL)) == NULL)
		err_set(err, ERR_BAD_DATA, "tls: failed to find any PEM data "
		    "in certificate input");
	else if ((key = PEM_read_bio_PrivateKey(kb, NULL, NULL, NULL)) == NULL)
		err_set(err, ERR_BAD_DATA, "tls: failed to find any PEM data "
		    "in key input");
	else if (X509_check_private_key(cert, key) != 1)
		err_set(err, ERR_BAD_DATA,
		    "tls: private key does not match public key");
	else
		r = 0;
	ERR_clear_error();
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(cb);
	BIO_free(kb);
	return r;
}

CURLcode
tls_ctx_cb(CURL *easy, void *ssl_ctx, void *client)
{
	struct http_client *c = client;

	(void)easy;
	SSL_CTX_set1_cert_store(ssl_ctx, c->roots);
	return CURLE_OK;
}
