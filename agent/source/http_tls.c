/* http_tls.c - the server's certificate and its key, tried before they are served, and the certificates of clients. Home of GnuTLS. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/err.h"
#include "base/hash.h"

#define PEM_BYTES	(1u << 20)
#define CHAIN_MOST	16
#define CLIENT_AUTH	GNUTLS_KP_TLS_WWW_CLIENT

static int
wrong(const struct conf *tls, const char *key, const char *what, int code, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s:%u: tls.%s: %s%s%s", conf_file(tls, key), conf_line(tls, key), key, what, code < 0 ? ": " : "",
	    code < 0 ? gnutls_strerror(code) : "");
}

static int
read_pem(const struct conf *tls, const char *key, struct buf *ret, struct err *err)
{
	struct err why = { 0 };

	if (buf_read_file(ret, conf_text(tls, key), &why) != 0)
		return wrong(tls, key, why.text, 0, err);
	buf_putc(ret, '\0');
	return ret->failed ? wrong(tls, key, "too large", 0, err) : 0;
}

static gnutls_datum_t
datum(const struct buf *pem)
{
	return (gnutls_datum_t){ (unsigned char *)pem->p, (unsigned)pem->n - 1 };
}

/* When the first certificate of the chain begins and ends. */
static int
look_at_times(struct push_tls *t, const struct conf *tls, struct err *err)
{
	const gnutls_datum_t pem = datum(&t->cert);
	gnutls_x509_crt_t chain[CHAIN_MOST];
	unsigned n = CHAIN_MOST;
	const int code = gnutls_x509_crt_list_import(chain, &n, &pem, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);

	if (code < 0)
		return wrong(tls, "cert_file", code == GNUTLS_E_CERTIFICATE_LIST_UNSORTED ?
		    "each certificate must be followed by the one that signed it" : "no certificate (PEM)", code, err);
	t->until_s = (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]);
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return 0;
}

static int
try_pair(struct push_tls *t, const struct conf *tls, struct err *err)
{
	const gnutls_datum_t cert = datum(&t->cert), key = datum(&t->key);
	gnutls_certificate_credentials_t all;
	int code = gnutls_certificate_allocate_credentials(&all), rc = -1;

	if (code < 0)
		return err_set(err, ERR_AGAIN, "no memory for a certificate");
	code = gnutls_certificate_set_x509_key_mem(all, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		wrong(tls, "key", "it is not the key of the certificate in cert_file", 0, err);
	else if (code < 0)
		wrong(tls, "key", "no private key (PEM, without a password) that can be used", code, err);
	else if (t->ca.n > 0) {
		const gnutls_datum_t ca = datum(&t->ca);

		code = gnutls_certificate_set_x509_trust_mem(all, &ca, GNUTLS_X509_FMT_PEM);
		rc = code > 0 ? 0 : wrong(tls, "client_ca_file", "no certificate (PEM)", code, err);
	} else {
		rc = 0;
	}
	gnutls_certificate_free_credentials(all);
	return rc;
}

static uint64_t
mark_of(const struct conf *tls)
{
	struct stat st;
	int64_t what[4];

	if (stat(conf_text(tls, "cert_file"), &st) != 0)
		return 0;
	what[0] = (int64_t)st.st_ino;
	what[1] = st.st_size;
	what[2] = st.st_mtim.tv_sec;
	what[3] = st.st_mtim.tv_nsec;
	return hash_stable(what, sizeof(what)) | 1;
}

uint64_t
push_tls_mark(const struct conf *source)
{
	const struct conf *tls = conf_block(source, "tls");

	return tls != NULL ? mark_of(tls) : 0;
}

int
push_tls_load(struct push_tls *t, const struct conf *source, struct err *err)
{
	const struct conf *tls = conf_block(source, "tls");

	*t = (struct push_tls){ .on = tls != NULL };
	buf_init(&t->cert, PEM_BYTES);
	buf_init(&t->key, PEM_BYTES);
	buf_init(&t->ca, PEM_BYTES);
	if (tls == NULL)
		return 0;
	t->mark = mark_of(tls);
	if (read_pem(tls, "cert_file", &t->cert, err) != 0 || (conf_text(tls, "client_ca_file") != NULL && read_pem(tls, "client_ca_file", &t->ca, err) != 0))
		return -1;
	if (!buf_reserve(&t->key, 65536) || conf_secret(tls, "key", &t->key, err) != 0)
		return t->key.failed ? err_set(err, ERR_AGAIN, "no memory for a key") : -1;
	buf_putc(&t->key, '\0');
	if (look_at_times(t, tls, err) != 0)
		return -1;
	return try_pair(t, tls, err);
}

void
push_tls_wipe_key(struct push_tls *t)
{
	if (t->key.p != NULL)
		explicit_bzero(t->key.p, t->key.cap);
	buf_fini(&t->key);
}

void
push_tls_fini(struct push_tls *t)
{
	push_tls_wipe_key(t);
	buf_fini(&t->cert);
	buf_fini(&t->ca);
}

bool
push_tls_knows(void *gnutls_session)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)CLIENT_AUTH };
	unsigned status = 0;

	return gnutls_certificate_verify_peers(gnutls_session, &purpose, 1, &status) == 0 && status == 0;
}
