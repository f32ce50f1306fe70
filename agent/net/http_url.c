/* http_url.c - which addresses may be spoken to, and how: URL checks and the settings of TLS and proxy. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/conf.h"
#include "base/err.h"

#define IMDS_HOST	"169.254.169.254"

struct parts {
	char	scheme[8], host[256], port[8];
};

static bool
copy_part(CURLU *u, CURLUPart part, unsigned flags, char *ret, size_t n)
{
	char *text = NULL;
	bool fits = false;

	if (curl_url_get(u, part, &text, flags) == CURLUE_OK) {
		fits = strlen(text) < n;
		if (fits)
			memcpy(ret, text, strlen(text) + 1);
	}
	curl_free(text);
	return fits;
}

/* Only http and https, without user and password. */
static bool
split(const char *url, struct parts *ret)
{
	CURLU *u = curl_url();
	struct parts p;
	bool good;

	good = u != NULL && strlen(url) < 8192 &&
	    curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    copy_part(u, CURLUPART_SCHEME, 0, p.scheme, sizeof(p.scheme)) &&
	    copy_part(u, CURLUPART_HOST, 0, p.host, sizeof(p.host)) &&
	    copy_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, p.port, sizeof(p.port)) && p.host[0] != '\0' &&
	    (strcasecmp(p.scheme, "http") == 0 || strcasecmp(p.scheme, "https") == 0);
	curl_url_cleanup(u);
	if (good)
		*ret = p;
	return good;
}

static bool
is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* IMDS answers at one address and port; Arc's agent is on a loopback port. */
static bool
is_imds(const struct parts *p)
{
	return strcmp(p->host, IMDS_HOST) == 0 && strcmp(p->port, "80") == 0 && strcasecmp(p->scheme, "http") == 0;
}

int
http_url_check(const char *url, struct err *err)
{
	struct parts p;

	if (!split(url, &p))
		return err_set(err, ERR_CONFIG, "not a URL that can be used; allowed: https://HOST/..., without user and password");
	if (strcasecmp(p.scheme, "https") == 0 || is_loopback(p.host) || is_imds(&p))
		return 0;
	return err_set(err, ERR_CONFIG, "plain http to %s is refused; use https", p.host);
}

bool
http_url_is_loopback(const char *url)
{
	struct parts p;

	return split(url, &p) && is_loopback(p.host);
}

bool
http_url_is_local(const char *url)
{
	struct parts p;

	return split(url, &p) && (is_loopback(p.host) || is_imds(&p));
}

bool
http_url_host(const char *url, char *ret, size_t n)
{
	struct parts p;

	if (!split(url, &p) || strlen(p.host) >= n)
		return false;
	memcpy(ret, p.host, strlen(p.host) + 1);
	return true;
}

/* scheme://host[:port] and nothing behind it. */
bool
http_url_is_origin(const char *url)
{
	const char *host = strstr(url, "://");
	struct parts p;

	if (!split(url, &p) || host == NULL)
		return false;
	host += 3;
	host += strcspn(host, "/?#");
	return *host == '\0' || strcmp(host, "/") == 0;
}

const char *
http_wrong_url(const struct conf *block, const char *text)
{
	(void)block;
	return http_url_check(text, NULL) == 0 ? NULL : "https://HOST[:PORT] (http only to a loopback address)";
}

/* The scheme of a proxy's URL into ret, and whether it names a user. */
static bool
split_proxy(const char *text, char *ret, size_t n, bool *ret_user)
{
	CURLU *u = curl_url();
	char *user = NULL;
	bool good;

	good = u != NULL && curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    copy_part(u, CURLUPART_SCHEME, 0, ret, n);
	*ret_user = good && curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK;
	curl_free(user);
	curl_url_cleanup(u);
	return good;
}

/* One with a password passes here, since complaints show the value; http_policy_from refuses it without. */
const char *
http_wrong_proxy(const struct conf *block, const char *text)
{
	static const char *const schemes[] = { "http", "https", "socks5h" };
	char scheme[16];
	bool user;

	(void)block;
	if (strcmp(text, HTTP_NO_PROXY) == 0)
		return NULL;
	if (split_proxy(text, scheme, sizeof(scheme), &user))
		for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
			if (strcmp(scheme, schemes[i]) == 0)
				return NULL;
	return "none, or http://HOST:PORT, https://HOST:PORT, socks5h://HOST:PORT";
}

/* ---- settings ------------------------------------------------------------ */

static const char *
wrong_path(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] == '/' ? NULL : "an absolute path";
}

const struct conf_key http_tls_keys[] = {
	{ .name = "ca_file", .type = CONF_TEXT, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "PEM file of the certificate authorities to trust, instead of the system's" },
	{ .name = "cert_file", .type = CONF_TEXT, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "PEM file of the client certificate to show" },
	{ .name = "key_file", .type = CONF_TEXT, .flags = CONF_PRIVATE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "PEM file of its key (default: in cert_file)" },
	CONF_END
};

static int
take_file(char **ret, const struct conf *tls, const char *key, struct err *err)
{
	const char *path = conf_text(tls, key);

	if (path == NULL)
		return 0;
	if (access(path, R_OK) != 0)
		return err_set_sys(err, ERR_CONFIG, "%s:%u: tls.%s: %s cannot be read", conf_file(tls, key),
		    conf_line(tls, key), key, path);
	*ret = strdup(path);
	return *ret != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for the TLS settings");
}

static int
take_proxy(char **ret, const struct conf *block, struct err *err)
{
	const char *proxy = conf_text(block, "proxy");
	char scheme[16];
	bool user;

	if (proxy == NULL)
		return 0;
	if (split_proxy(proxy, scheme, sizeof(scheme), &user) && user)
		return err_set(err, ERR_CONFIG, "%s:%u: proxy: user and password are refused here; set the variable "
		    "https_proxy instead", conf_file(block, "proxy"), conf_line(block, "proxy"));
	*ret = strdup(proxy);
	return *ret != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for the proxy setting");
}

int
http_tls_from(struct http_policy *ret, const struct conf *block, struct err *err)
{
	const struct conf *tls = conf_block(block, "tls");
	struct http_policy p = { 0 };

	if (tls != NULL && (take_file(&p.ca_file, tls, "ca_file", err) != 0 ||
	    take_file(&p.cert_file, tls, "cert_file", err) != 0 || take_file(&p.key_file, tls, "key_file", err) != 0))
		goto fail;
	if (p.key_file != NULL && p.cert_file == NULL) {
		err_set(err, ERR_CONFIG, "%s:%u: tls.key_file needs cert_file too", conf_file(tls, "key_file"),
		    conf_line(tls, "key_file"));
		goto fail;
	}
	*ret = p;
	return 0;
fail:
	http_policy_fini(&p);
	return -1;
}

int
http_policy_from(struct http_policy *ret, const struct conf *block, struct err *err)
{
	struct http_policy p;

	if (http_tls_from(&p, block, err) != 0)
		return -1;
	if (take_proxy(&p.proxy, block, err) != 0) {
		http_policy_fini(&p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
http_policy_fini(struct http_policy *p)
{
	free(p->ca_file);
	free(p->cert_file);
	free(p->key_file);
	free(p->proxy);
	memset(p, 0, sizeof(*p));
}
