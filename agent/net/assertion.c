/* assertion.c - a JWT signed with a client's key. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/assertion.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"

#define FILE_BYTES	(256 << 10)
#define CHAIN_MOST	8
#define SKEW_S		300
#define LIFE_S		600
#define CLAIMS_BYTES	8192

/* No question on a terminal: a key with a passphrase is an error. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static BIO *
open_pem(const char *path, struct buf *content, struct err *err)
{
	BIO *bio;

	buf_init(content, FILE_BYTES);
	buf_reserve(content, FILE_BYTES);	/* whole, so that growing leaves no copies of a key */
	if (buf_read_file(content, path, err) != 0)
		return NULL;
	bio = BIO_new_mem_buf(content->p, (int)content->n);
	if (bio == NULL)
		err_set(err, ERR_AGAIN, "no memory to read %s", path);
	return bio;
}

static void
close_pem(BIO *bio, struct buf *content)
{
	BIO_free(bio);
	if (content->p != NULL)
		explicit_bzero(content->p, content->cap);
	buf_fini(content);
}

static EVP_PKEY *
read_key(const char *path, struct err *err)
{
	struct buf content;
	BIO *bio = open_pem(path, &content, err);
	EVP_PKEY *key = NULL;

	if (bio != NULL) {
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
		if (key == NULL)
			err_set(err, ERR_CONFIG, "%s: holds no private key that can be read (PEM, without a passphrase)", path);
		else if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < 2048) {
			err_set(err, ERR_CONFIG, "%s: the key must be RSA of at least 2048 bits", path);
			EVP_PKEY_free(key);
			key = NULL;
		}
	}
	close_pem(bio, &content);
	return key;
}

static size_t
read_chain(const char *path, X509 *ret[CHAIN_MOST], struct err *err)
{
	struct buf content;
	BIO *bio = open_pem(path, &content, err);
	size_t n = 0;

	while (bio != NULL && n < CHAIN_MOST && (ret[n] = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		n++;
	if (bio != NULL && n == 0)
		err_set(err, ERR_CONFIG, "%s: holds no certificate (PEM)", path);
	close_pem(bio, &content);
	return n;
}

static int
put_der(struct buf *out, X509 *cert, bool digest, struct err *err)
{
	unsigned char *der = NULL, sum[EVP_MAX_MD_SIZE];
	int n = i2d_X509(cert, &der);
	unsigned sum_n = 0;

	if (n <= 0)
		return err_set(err, ERR_AGAIN, "no memory for a certificate");
	if (digest && EVP_Digest(der, (size_t)n, sum, &sum_n, EVP_sha256(), NULL) == 1)
		buf_put_base64(out, sum, sum_n, true);
	else
		buf_put_base64(out, der, (size_t)n, false);
	OPENSSL_free(der);
	return 0;
}

static int
put_header(struct buf *out, X509 *const *chain, size_t n, bool send_chain, struct err *err)
{
	struct buf head;
	int rc;

	buf_init(&head, CHAIN_MOST * 8192);
	buf_puts(&head, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
	rc = put_der(&head, chain[0], true, err);
	buf_putc(&head, '"');
	for (size_t i = 0; rc == 0 && send_chain && i < n; i++) {
		buf_puts(&head, i == 0 ? ",\"x5c\":[\"" : "\",\"");
		rc = put_der(&head, chain[i], false, err);
	}
	buf_puts(&head, send_chain ? "\"]}" : "}");
	if (head.failed)
		rc = err_set(err, ERR_CONFIG, "the certificate is too large for an assertion");
	if (rc == 0)
		buf_put_base64(out, head.p, head.n, true);
	buf_fini(&head);
	return rc;
}

static void
put_claims(const struct assertion *a, struct buf *out)
{
	const long long now_s = (long long)(clock_wall_ms() / 1000);
	unsigned char id[16];
	struct buf claims;

	random_bytes(id, sizeof(id));
	buf_init(&claims, CLAIMS_BYTES);
	buf_puts(&claims, "{\"aud\":");
	buf_put_json(&claims, slice_of(a->audience));
	buf_puts(&claims, ",\"iss\":");
	buf_put_json(&claims, slice_of(a->client_id));
	buf_puts(&claims, ",\"sub\":");
	buf_put_json(&claims, slice_of(a->client_id));
	buf_puts(&claims, ",\"jti\":\"");
	buf_put_hex(&claims, id, sizeof(id));
	buf_printf(&claims, "\",\"nbf\":%lld,\"iat\":%lld,\"exp\":%lld}", now_s - SKEW_S, now_s, now_s + LIFE_S);
	buf_put_base64(out, claims.p, claims.n, true);
	buf_fini(&claims);
}

static int
sign(EVP_PKEY *key, struct slice text, struct buf *out, struct err *err)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *kc = NULL;
	unsigned char signature[2048];
	size_t n = sizeof(signature);
	int rc = -1;

	/* Signed before anything is appended: the text lies in `out`. */
	if (c != NULL && EVP_DigestSignInit(c, &kc, EVP_sha256(), NULL, key) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(kc, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(kc, RSA_PSS_SALTLEN_DIGEST) == 1 &&
	    EVP_DigestSign(c, signature, &n, (const unsigned char *)text.p, text.n) == 1) {
		buf_putc(out, '.');
		buf_put_base64(out, signature, n, true);
		rc = 0;
	} else {
		err_set(err, ERR_CONFIG, "the key cannot sign an assertion");
	}
	EVP_MD_CTX_free(c);
	return rc;
}

static void
tell_end(const X509 *cert)
{
	struct tm end;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1)
		stat_set(stat_agent(), STAT_AGENT_CERT_END_MS, (uint64_t)timegm(&end) * 1000);
}

int
assertion_sign(const struct assertion *a, struct buf *out, struct err *err)
{
	const char *key_file = a->key_file != NULL ? a->key_file : a->cert_file;
	X509 *chain[CHAIN_MOST] = { NULL };
	EVP_PKEY *key = NULL;
	const size_t begin = out->n;
	size_t n = read_chain(a->cert_file, chain, err);
	int rc = -1;

	if (n == 0 || (key = read_key(key_file, err)) == NULL)
		goto out;
	tell_end(chain[0]);
	if (X509_check_private_key(chain[0], key) != 1) {
		err_set(err, ERR_CONFIG, "%s: the key is not that of the first certificate in %s", key_file, a->cert_file);
		goto out;
	}
	if (put_header(out, chain, n, a->send_chain, err) != 0)
		goto out;
	buf_putc(out, '.');
	put_claims(a, out);
	if (out->failed) {
		err_set(err, ERR_AGAIN, "no memory for an assertion");
		goto out;
	}
	rc = sign(key, slice_make(out->p + begin, out->n - begin), out, err);
	if (rc == 0 && out->failed)
		rc = err_set(err, ERR_AGAIN, "no memory for an assertion");
out:
	EVP_PKEY_free(key);
	for (size_t i = 0; i < n; i++)
		X509_free(chain[i]);
	ERR_clear_error();
	return rc;
}
