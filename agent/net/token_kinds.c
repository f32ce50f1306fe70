/* token_kinds.c - the clouds, and each way to ask for a token: its settings, its request, what its refusals mean. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/token_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/json.h"
#include "net/said.h"
#include "net/token.h"

#define SECRET_BYTES	(64 << 10)
#define SAID_BYTES	200
#define REPEAT_BYTES	8		/* so much of a secret is too much */
#define IMDS		"http://169.254.169.254"

/* ---- clouds ------------------------------------------------------------------ */

static const struct token_cloud clouds[] = {
	{ "public", "https://login.microsoftonline.com", "https://monitor.azure.com/.default",
	  ".ingest.monitor.azure.com", "https://management.azure.com", ".servicebus.windows.net",
	  { "login.microsoftonline.com", "login.microsoft.com", "login.windows.net" } },
	{ "usgov", "https://login.microsoftonline.us", "https://monitor.azure.us/.default",
	  ".ingest.monitor.azure.us", "https://management.usgovcloudapi.net", ".servicebus.usgovcloudapi.net",
	  { "login.microsoftonline.us" } },
	{ "china", "https://login.chinacloudapi.cn", "https://monitor.azure.cn/.default",
	  ".ingest.monitor.azure.cn", "https://management.chinacloudapi.cn", ".servicebus.chinacloudapi.cn",
	  { "login.chinacloudapi.cn", "login.partner.microsoftonline.cn" } },
};

static const struct token_cloud *
find_cloud(const char *word)
{
	for (size_t i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++)
		if (strcmp(clouds[i].name, word) == 0)
			return &clouds[i];
	return NULL;
}

const char *
cloud_ingest_suffix(const char *cloud)
{
	const struct token_cloud *c = find_cloud(cloud);

	return c != NULL ? c->ingest_suffix : NULL;
}

const char *
cloud_hubs_suffix(const char *cloud)
{
	const struct token_cloud *c = find_cloud(cloud);

	return c != NULL ? c->hubs_suffix : NULL;
}

const char *
cloud_manager(const char *cloud)
{
	const struct token_cloud *c = find_cloud(cloud);

	return c != NULL ? c->manager : NULL;
}

const char *
cloud_monitor_scope(const char *cloud)
{
	const struct token_cloud *c = find_cloud(cloud);

	return c != NULL ? c->scope : NULL;
}

/* ---- the bytes of a request ---------------------------------------------------- */

void
token_wire_init(struct token_wire *w)
{
	buf_init(&w->url, 16 << 10);
	buf_init(&w->body, 4 * SECRET_BYTES);
	buf_init(&w->secret, SECRET_BYTES);
	buf_init(&w->header, 2 * SECRET_BYTES);
}

void
token_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_reset(b);
}

void
token_wire_wipe(struct token_wire *w)
{
	token_wipe(&w->url);
	token_wipe(&w->body);
	token_wipe(&w->secret);
	token_wipe(&w->header);
	w->encoded_at = w->encoded_n = 0;
}

void
token_wire_fini(struct token_wire *w)
{
	token_wire_wipe(w);
	buf_fini(&w->url);
	buf_fini(&w->body);
	buf_fini(&w->secret);
	buf_fini(&w->header);
}

/* RFC 3986, 2.3: all but the unreserved characters as %XX. */
static void
put_encoded(struct buf *b, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i], low = ascii_lower(c);

		if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
			buf_putc(b, (char)c);
		} else {
			buf_putc(b, '%');
			buf_putc(b, hex[c >> 4]);
			buf_putc(b, hex[c & 15]);
		}
	}
}

void
token_put_pair(struct buf *b, const char *before, const char *name, struct slice value)
{
	buf_puts(b, before);
	buf_puts(b, name);
	buf_putc(b, '=');
	put_encoded(b, value);
}

void
token_put_base(struct buf *b, const struct token_ask *a)
{
	size_t n = strlen(a->base);

	while (n > 0 && a->base[n - 1] == '/')
		n--;
	buf_put(b, a->base, n);
}

/* ---- checks of settings --------------------------------------------------------- */

static bool
is_made_of(const char *text, const char *also, size_t most)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		unsigned char low = ascii_lower((unsigned char)text[i]);

		if (!(low >= 'a' && low <= 'z') && !(text[i] >= '0' && text[i] <= '9') && strchr(also, text[i]) == NULL)
			return false;
	}
	return n > 0 && n <= most;
}

const char *
token_wrong_tenant(const struct conf *block, const char *text)
{
	(void)block;
	return is_made_of(text, ".-", 253) ? NULL : "a tenant id or domain, such as 00000000-0000-0000-0000-000000000000";
}

const char *
token_wrong_id(const struct conf *block, const char *text)
{
	(void)block;
	return is_made_of(text, "-", 64) ? NULL : "an id, such as 00000000-0000-0000-0000-000000000000";
}

static const char *
wrong_resource(const struct conf *block, const char *text)
{
	if (conf_text(block, "client_id") != NULL)
		return "client_id or resource_id, not both";
	return strncasecmp(text, "/subscriptions/", 15) == 0 && is_made_of(text, "/._-()", 1024) ? NULL :
	    "/subscriptions/.../userAssignedIdentities/NAME";
}

static const char *
wrong_origin(const struct conf *block, const char *text)
{
	return http_url_is_origin(text) ? http_wrong_url(block, text) : "https://HOST[:PORT] (http only to a loopback address)";
}

/* Whether tokens of that cloud are given there. */
static bool
fits_cloud(const struct token_cloud *cloud, const char *url)
{
	char host[256];

	if (http_url_is_loopback(url))
		return true;
	for (size_t i = 0; cloud->logins[i] != NULL; i++)
		if (http_url_host(url, host, sizeof(host)) && strcasecmp(cloud->logins[i], host) == 0)
			return true;
	return false;
}

const char *
token_wrong_authority(const struct conf *block, const char *text)
{
	const char *word = conf_text(block, "cloud");
	const struct token_cloud *cloud = word != NULL ? find_cloud(word) : NULL;
	const char *allowed = wrong_origin(block, text);

	if (allowed != NULL || cloud == NULL || fits_cloud(cloud, text))
		return allowed;
	return cloud->authority;
}

static const char *
wrong_metadata(const struct conf *block, const char *text)
{
	const char *allowed = wrong_origin(block, text);

	return allowed != NULL || http_url_is_local(text) ? allowed : IMDS " or a loopback address";
}

int
token_setting(const struct conf *auth, const char *key, const char *env, const char *(*wrong)(const struct conf *, const char *),
    const char **ret, struct err *err)
{
	const char *text = conf_text(auth, key), *allowed;
	const bool set = text != NULL;

	if (!set)
		text = getenv(env);
	if (text == NULL || text[0] == '\0')
		return err_set(err, ERR_CONFIG, "%s:%u: auth.%s is absent, and so is the variable %s", conf_file(auth, key),
		    conf_line(auth, key), key, env);
	allowed = wrong(auth, text);
	if (allowed != NULL)
		return err_set(err, ERR_CONFIG, "%s:%u: %s%s: allowed: %s", conf_file(auth, key), conf_line(auth, key),
		    set ? "auth." : "variable ", set ? key : env, allowed);
	*ret = text;
	return 0;
}

const struct conf_key token_keys[] = {
	{ .name = "type", .type = CONF_WORD, .flags = CONF_REQUIRED, .allowed = TOKEN_WORDS,
	  .help = "how the agent proves who it is" },
	{ .name = "cloud", .type = CONF_WORD, .fallback = "public", .allowed = "public|usgov|china",
	  .help = "sets the authority, the audience and the suffix of the ingestion hosts together" },
	CONF_END
};

/* ---- client_secret --------------------------------------------------------------- */

static const struct conf_key secret_keys[] = {
	{ .name = "tenant", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = token_wrong_tenant, .help = "tenant id or domain" },
	{ .name = "client_id", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = token_wrong_id,
	  .help = "application (client) id" },
	{ .name = "secret", .type = CONF_SECRET, .flags = CONF_REQUIRED,
	  .help = "client secret; read anew for each request" },
	{ .name = "authority", .type = CONF_TEXT, .wrong = token_wrong_authority,
	  .help = "where tokens are asked for (default: by cloud)" },
	CONF_END
};

static void
put_token_url(struct token_wire *w, const struct token_ask *a, const char *tenant)
{
	token_put_base(&w->url, a);
	buf_putc(&w->url, '/');
	put_encoded(&w->url, slice_of(tenant));
	buf_puts(&w->url, "/oauth2/v2.0/token");
}

int
token_write_assertion(const struct token_ask *a, const char *tenant, const char *client_id, struct token_wire *w, struct err *err)
{
	if (w->secret.n == 0)
		return err_set(err, ERR_CONFIG, "auth: the assertion is empty");
	put_token_url(w, a, tenant);
	buf_reserve(&w->body, 3 * w->secret.n + 1024);
	token_put_pair(&w->body, "", "client_id", slice_of(client_id));
	token_put_pair(&w->body, "&", "scope", slice_of(a->scope));
	token_put_pair(&w->body, "&", "client_assertion_type", SLICE("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	buf_puts(&w->body, "&client_assertion=");
	w->encoded_at = w->body.n;
	put_encoded(&w->body, buf_slice(&w->secret));
	w->encoded_n = w->body.n - w->encoded_at;
	token_put_pair(&w->body, "&", "grant_type", SLICE("client_credentials"));
	return 0;
}

static int
write_secret(const struct token_ask *a, struct token_wire *w, struct err *err)
{
	buf_reserve(&w->secret, 4096);		/* so that growing leaves no copies of a usual one */
	if (conf_secret(a->auth, "secret", &w->secret, err) != 0)
		return -1;
	if (w->secret.n == 0)
		return err_set(err, ERR_CONFIG, "%s:%u: auth.secret is empty", conf_file(a->auth, "secret"),
		    conf_line(a->auth, "secret"));
	put_token_url(w, a, conf_text(a->auth, "tenant"));
	buf_reserve(&w->body, 3 * w->secret.n + 1024);
	token_put_pair(&w->body, "", "client_id", slice_of(conf_text(a->auth, "client_id")));
	token_put_pair(&w->body, "&", "scope", slice_of(a->scope));
	buf_puts(&w->body, "&client_secret=");
	w->encoded_at = w->body.n;
	put_encoded(&w->body, buf_slice(&w->secret));
	w->encoded_n = w->body.n - w->encoded_at;
	token_put_pair(&w->body, "&", "grant_type", SLICE("client_credentials"));
	return 0;
}

const char *const token_form_headers[] = {
	"Content-Type: application/x-www-form-urlencoded", "Accept: application/json", NULL
};

bool
token_never_passing(int status)
{
	(void)status;
	return false;
}

/* ---- managed_identity ------------------------------------------------------------- */

static const struct conf_key identity_keys[] = {
	{ .name = "client_id", .type = CONF_TEXT, .wrong = token_wrong_id,
	  .help = "client id of a user-assigned identity (default: the system-assigned one)" },
	{ .name = "resource_id", .type = CONF_TEXT, .wrong = wrong_resource,
	  .help = "resource id of a user-assigned identity, instead of client_id" },
	{ .name = "endpoint", .type = CONF_TEXT, .flags = CONF_ADVANCED, .fallback = IMDS, .wrong = wrong_metadata,
	  .help = "where the instance metadata service answers" },
	CONF_END
};

/* Metadata services ask by resource: the scope without "/.default". */
void
token_put_resource(struct buf *b, const struct token_ask *a)
{
	struct slice resource = slice_of(a->scope), tail = SLICE("/.default");

	if (slice_ends_nocase(resource, tail))
		resource.n -= tail.n;
	token_put_pair(b, "&", "resource", resource);
}

static int
write_identity(const struct token_ask *a, struct token_wire *w, struct err *err)
{
	const char *client_id = conf_text(a->auth, "client_id"), *resource_id = conf_text(a->auth, "resource_id");

	(void)err;
	token_put_base(&w->url, a);
	buf_puts(&w->url, "/metadata/identity/oauth2/token?api-version=2018-02-01");
	token_put_resource(&w->url, a);
	if (client_id != NULL)
		token_put_pair(&w->url, "&", "client_id", slice_of(client_id));
	if (resource_id != NULL)
		token_put_pair(&w->url, "&", "msi_res_id", slice_of(resource_id));
	return 0;
}

const char *const token_identity_headers[] = { "Metadata: true", "Accept: application/json", NULL };

/* 404 while the service is updated, 410 likewise for up to 70 s ("Use managed identities ... to acquire a token"). */
static bool
passes_at_imds(int status)
{
	return status == 404 || status == 410;
}

/* ---- the table -------------------------------------------------------------------- */

static const struct token_kind secret_kind = {
	.name = "client_secret", .method = "POST", .headers = token_form_headers, .keys = secret_keys,
	.base_key = "authority", .wrong_base = token_wrong_authority, .write = write_secret, .is_passing = token_never_passing,
};

static const struct token_kind identity_kind = {
	.name = "managed_identity", .method = "GET", .headers = token_identity_headers, .direct = true, .keys = identity_keys,
	.base_key = "endpoint", .wrong_base = wrong_metadata, .write = write_identity, .is_passing = passes_at_imds,
};

static const struct token_kind *const kinds[] = {
	&secret_kind, &token_kind_certificate, &identity_kind, &token_kind_workload, &token_kind_arc,
};

const struct token_kind *
token_kind_find(const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i]->name, word) == 0)
			return kinds[i];
	return NULL;
}

const struct conf_key *
token_variant(const char *word)
{
	const struct token_kind *kind = token_kind_find(word);

	return kind != NULL ? kind->keys : NULL;
}

int
token_ask_from(struct token_ask *ret, const struct token_kind *kind, const struct conf *auth, const char *scope,
    struct err *err)
{
	struct token_ask a = { .auth = auth, .cloud = find_cloud(conf_text(auth, "cloud")) };
	const char *allowed = NULL, *word = kind->base_key;

	if (a.cloud == NULL)
		return err_set(err, ERR_CONFIG, "auth.cloud: allowed: public, usgov, china");
	a.base = conf_text(auth, kind->base_key);
	if (a.base == NULL && kind->base_env != NULL && (a.base = getenv(kind->base_env)) != NULL)
		word = kind->base_env;
	if (a.base != NULL)			/* once more, with all of the block read */
		allowed = kind->wrong_base(auth, a.base);
	else
		a.base = kind->base != NULL ? kind->base : a.cloud->authority;
	if (allowed != NULL)
		return err_set(err, ERR_CONFIG, "%s:%u: %s%s: allowed: %s", conf_file(auth, kind->base_key),
		    conf_line(auth, kind->base_key), word == kind->base_env ? "variable " : "auth.", word, allowed);
	if (scope == NULL)
		scope = a.cloud->scope;
	if (strlen(scope) >= sizeof(a.scope) || !http_url_host(a.base, a.host, sizeof(a.host)))
		return err_set(err, ERR_CONFIG, "auth: the scope or the URL to ask is not usable");
	memcpy(a.scope, scope, strlen(scope) + 1);
	*ret = a;
	return 0;
}

/* ---- refusals ---------------------------------------------------------------------- */

/* The first line of a description. */
static void
cut(struct buf *b, size_t most)
{
	size_t n = 0;

	while (n < b->n && b->p[n] != '\r' && b->p[n] != '\n')
		n++;
	b->n = utf8_cut(slice_make(b->p, n), most + SAID_SLACK);
}

static void
read_text(const struct json_doc *doc, const char *key, const struct token_wire *w, size_t most, struct buf *ret)
{
	struct slice encoded = SLICE_NONE;

	if (w->encoded_n > 0)
		encoded = slice_make(w->body.p + w->encoded_at, w->encoded_n);
	if (!json_get_text(doc, 0, key, ret) || ret->failed)
		buf_reset(ret);
	cut(ret, most);		/* first, for a search for each of its bytes */
	if (said_repeats(buf_slice(ret), buf_slice(&w->secret), REPEAT_BYTES) || said_repeats(buf_slice(ret), encoded, REPEAT_BYTES))
		buf_reset(ret);
	said_clean(ret, most);	/* behind it: with marks for letters it would not be the same text */
}

int
token_refused(const struct token_kind *kind, const struct token_ask *a, const struct token_wire *w,
    struct json_reader *reader, const struct http_answer *answer, struct err *err)
{
	struct buf code, said;
	struct json_doc doc;
	bool passing = answer->status == 408 || answer->status == 429 || answer->status >= 500 || answer->status < 400 ||
	    kind->is_passing(answer->status);

	buf_init(&code, 32 << 10);
	buf_init(&said, 32 << 10);
	json_doc_init(&doc, 1024);
	if (json_read(reader, answer->body, false, &doc, NULL) == 0 && doc.v[0].type == JSON_OBJECT) {
		read_text(&doc, "error", w, 64, &code);
		read_text(&doc, "error_description", w, SAID_BYTES, &said);
	}
	passing = passing || slice_eq(buf_slice(&code), SLICE("temporarily_unavailable")) ||
	    slice_eq(buf_slice(&code), SLICE("server_error"));
	err_set(err, passing ? ERR_AGAIN : ERR_DENIED, "no token by %s: %s answered %d%s%.*s%s%.*s", kind->name, a->host,
	    answer->status, code.n > 0 ? " " : "", SLICE_ARG(buf_slice(&code)), said.n > 0 ? ": " : "",
	    SLICE_ARG(buf_slice(&said)));
	buf_fini(&code);
	buf_fini(&said);
	json_doc_fini(&doc);
	return -1;
}
