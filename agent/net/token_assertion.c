/*
 * token_assertion.c - who we are by an assertion: signed with our own certificate, or given to us as a file (workload identity).
 * Sources: learn.microsoft.com "OAuth 2.0 client credentials flow", second and third case; "Workload identity federation".
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/assertion.h"
#include "net/token_kinds.h"

static const char *
wrong_path(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] == '/' ? NULL : "an absolute path";
}

/* ---- client_certificate --------------------------------------------------------- */

static const struct conf_key certificate_keys[] = {
	{ .name = "tenant", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = token_wrong_tenant, .help = "tenant id or domain" },
	{ .name = "client_id", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = token_wrong_id,
	  .help = "application (client) id" },
	{ .name = "certificate", .type = CONF_TEXT, .flags = CONF_REQUIRED | CONF_FILE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "PEM file of the certificate, the client's first; read anew for each request, so a renewed one is taken into use" },
	{ .name = "key", .type = CONF_TEXT, .flags = CONF_PRIVATE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "PEM file of its RSA key, without a passphrase (default: in certificate)" },
	{ .name = "send_chain", .type = CONF_BOOL, .flags = CONF_ADVANCED, .fallback = "false",
	  .help = "send all certificates of the file, for applications that trust a subject name and issuer" },
	{ .name = "authority", .type = CONF_TEXT, .wrong = token_wrong_authority,
	  .help = "where tokens are asked for (default: by cloud)" },
	CONF_END
};

static int
write_certificate(const struct token_ask *a, struct token_wire *w, struct err *err)
{
	const char *tenant = conf_text(a->auth, "tenant"), *client_id = conf_text(a->auth, "client_id");
	struct buf audience;
	int rc;

	buf_init(&audience, 2048);
	token_put_base(&audience, a);
	buf_printf(&audience, "/%s/oauth2/v2.0/token", tenant);
	buf_putc(&audience, '\0');
	if (audience.failed) {
		rc = err_set(err, ERR_CONFIG, "auth: authority and tenant are too long");
	} else {
		const struct assertion assertion = { conf_text(a->auth, "certificate"), conf_text(a->auth, "key"), client_id, audience.p,
			conf_bool(a->auth, "send_chain") };

		rc = assertion_sign(&assertion, &w->secret, err);
	}
	buf_fini(&audience);
	return rc == 0 ? token_write_assertion(a, tenant, client_id, w, err) : -1;
}

const struct token_kind token_kind_certificate = {
	.name = "client_certificate", .method = "POST", .headers = token_form_headers, .keys = certificate_keys,
	.base_key = "authority", .wrong_base = token_wrong_authority, .write = write_certificate, .is_passing = token_never_passing,
};

/* ---- workload_identity ---------------------------------------------------------- */

static const struct conf_key workload_keys[] = {
	{ .name = "tenant", .type = CONF_TEXT, .wrong = token_wrong_tenant,
	  .help = "tenant id or domain (default: the variable AZURE_TENANT_ID)" },
	{ .name = "client_id", .type = CONF_TEXT, .wrong = token_wrong_id,
	  .help = "application (client) id (default: the variable AZURE_CLIENT_ID)" },
	{ .name = "token_file", .type = CONF_TEXT, .flags = CONF_PRIVATE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "file with the federated token, read anew for each request (default: the variable AZURE_FEDERATED_TOKEN_FILE)" },
	{ .name = "authority", .type = CONF_TEXT, .wrong = token_wrong_authority,
	  .help = "where tokens are asked for (default: the variable AZURE_AUTHORITY_HOST, else by cloud)" },
	CONF_END
};

static int
read_token_file(const char *path, struct buf *out, struct err *err)
{
	struct slice text;

	buf_reserve(out, 16 << 10);		/* so that growing leaves no copies */
	if (buf_read_file(out, path, err) != 0)
		return -1;
	text = slice_trim(buf_slice(out));
	if (text.n == 0)
		return err_set(err, ERR_CONFIG, "%s: the federated token is empty", path);
	memmove(out->p, text.p, text.n);
	out->n = text.n;
	return 0;
}

static int
write_workload(const struct token_ask *a, struct token_wire *w, struct err *err)
{
	const char *tenant, *client_id, *path;

	if (token_setting(a->auth, "tenant", "AZURE_TENANT_ID", token_wrong_tenant, &tenant, err) != 0 ||
	    token_setting(a->auth, "client_id", "AZURE_CLIENT_ID", token_wrong_id, &client_id, err) != 0 ||
	    token_setting(a->auth, "token_file", "AZURE_FEDERATED_TOKEN_FILE", wrong_path, &path, err) != 0 ||
	    read_token_file(path, &w->secret, err) != 0)
		return -1;
	return token_write_assertion(a, tenant, client_id, w, err);
}

const struct token_kind token_kind_workload = {
	.name = "workload_identity", .method = "POST", .headers = token_form_headers, .keys = workload_keys,
	.base_key = "authority", .base_env = "AZURE_AUTHORITY_HOST", .wrong_base = token_wrong_authority, .write = write_workload,
	.is_passing = token_never_passing,
};
