/* far_certs.c - the certificates of the tests' server, made anew each time. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "far_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S	86400L

struct maker {
	const char	*dir;
	X509		*ca;
	EVP_PKEY	*ca_key;
	long		 serial;
};

static void
need(int good)
{
	if (!good)
		abort();
}

static FILE *
open_in(const char *dir, const char *name, const char *end)
{
	char path[512];
	FILE *f;

	need(snprintf(path, sizeof(path), "%s/%s%s", dir, name, end) < (int)sizeof(path));
	f = fopen(path, "w");
	need(f != NULL);
	return f;
}

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	need(e != NULL && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

/* Signed by the maker's CA, or by itself when there is none yet. */
static X509 *
make_cert(struct maker *m, EVP_PKEY *key, const char *name, const char *alt_names, long from_s, long until_s)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	X509 *issuer = m->ca != NULL ? m->ca : cert;

	need(cert != NULL && X509_set_version(cert, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++m->serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	X509_set_pubkey(cert, key);
	add_extension(cert, issuer, NID_basic_constraints, m->ca != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add_extension(cert, issuer, NID_subject_key_identifier, "hash");
	if (alt_names != NULL)
		add_extension(cert, issuer, NID_subject_alt_name, alt_names);
	need(X509_sign(cert, m->ca_key != NULL ? m->ca_key : key, EVP_sha256()) > 0);
	return cert;
}

static void
write_cert(const struct maker *m, const char *name, X509 *cert, EVP_PKEY *key)
{
	FILE *f = open_in(m->dir, name, ".pem");

	need(PEM_write_X509(f, cert) == 1 && fclose(f) == 0);
	f = open_in(m->dir, name, ".key");
	need(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
}

static void
make_leaf(struct maker *m, const char *name, const char *alt_names, long from_s, long until_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_cert(m, key, name, alt_names, from_s, until_s);

	write_cert(m, name, cert, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
make_ca(struct maker *m, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_cert(m, key, name, NULL, -DAY_S, DAY_S);

	write_cert(m, name, cert, key);
	m->ca = cert;
	m->ca_key = key;
}

static void
drop_ca(struct maker *m)
{
	X509_free(m->ca);
	EVP_PKEY_free(m->ca_key);
	m->ca = NULL;
	m->ca_key = NULL;
}

void
far_side_make_certs(const char *dir)
{
	static const char names[] = "IP:127.0.0.1,DNS:localhost,DNS:*.ingest.monitor.azure.com,DNS:login.microsoftonline.com";
	struct maker m = { .dir = dir };

	make_ca(&m, "other_ca");
	drop_ca(&m);
	make_ca(&m, "ca");
	make_leaf(&m, "server", names, -DAY_S, DAY_S);
	make_leaf(&m, "stranger", "DNS:elsewhere.example", -DAY_S, DAY_S);
	make_leaf(&m, "past", names, -2 * DAY_S, -DAY_S);
	make_leaf(&m, "client", NULL, -DAY_S, DAY_S);
	drop_ca(&m);
}

void
far_side_drop_certs(const char *dir)
{
	static const char *const names[] = { "ca", "other_ca", "server", "stranger", "past", "client" };
	static const char *const ends[] = { ".pem", ".key" };
	char path[512];

	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		need(snprintf(path, sizeof(path), "%s/%s%s", dir, names[i / 2], ends[i % 2]) < (int)sizeof(path));
		unlink(path);
	}
}
