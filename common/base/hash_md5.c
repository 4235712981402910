/* SPDX-License-Identifier: ISC */
/* MD5, apart from hash.c so that only who needs it links libcrypto. */
#include "common/base/hash.h"

#include <openssl/evp.h>

#include "common/base/err.h"

void
hash_md5(const void *p, size_t n, uint8_t out[16])
{
	if (EVP_Digest(p, n, out, NULL, EVP_md5(), NULL) != 1)
		fatal("MD5 is not available");
}
