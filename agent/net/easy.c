/* easy.c - what every libcurl handle is told, and what its answers and errors mean to us. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/easy.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "net/http.h"

#define CONNECT_MS		10000L
#define RETRY_AFTER_MOST_MS	(INT64_C(7) * 86400 * 1000)
#define USER_AGENT		"aispm-agent/" PACKAGE_VERSION

/* An HTTP-date (RFC 9110, 5.6.7) in ms, or 0. */
int64_t
easy_date_ms(struct slice s)
{
	char text[64];
	time_t t;

	if (s.n == 0 || s.n >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	t = curl_getdate(text, NULL);
	return t > 0 ? (int64_t)t * 1000 : 0;
}

static bool
is_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

int64_t
easy_retry_after_ms(struct slice s, int64_t date_ms)
{
	int64_t seconds, at_ms, wait_ms;

	if (s.n == 0)
		return -1;
	if (is_digits(s)) {		/* of any length */
		wait_ms = slice_to_i64(s, &seconds) && seconds < RETRY_AFTER_MOST_MS / 1000 ? seconds * 1000 : RETRY_AFTER_MOST_MS;
	} else {
		at_ms = easy_date_ms(s);
		if (at_ms == 0)
			return -1;
		wait_ms = at_ms - (date_ms > 0 ? date_ms : (int64_t)clock_wall_ms());
	}
	if (wait_ms < 0)
		return 0;
	return wait_ms < RETRY_AFTER_MOST_MS ? wait_ms : RETRY_AFTER_MOST_MS;
}

bool
easy_is_settings_fault(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return true;
	default:
		return false;
	}
}

/* libcurl's own words name hosts and files; for other codes the general sentence is enough. */
const char *
easy_words(CURLcode code, const char *why)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PROXY:
		return why[0] != '\0' ? why : curl_easy_strerror(code);
	default:
		return curl_easy_strerror(code);
	}
}

#define SET(option, value)	(good = good && curl_easy_setopt(e, (option), (value)) == CURLE_OK)

static bool
set_safety(CURL *e)
{
	bool good = true;

#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_USERAGENT, USER_AGENT);
	return good;
}

static bool
set_policy(CURL *e, const struct http_policy *p, bool direct)
{
	bool good = true;

	if (direct || (p != NULL && p->proxy != NULL && strcmp(p->proxy, HTTP_NO_PROXY) == 0)) {
		SET(CURLOPT_PROXY, "");
		SET(CURLOPT_NOPROXY, "*");
	} else if (p != NULL && p->proxy != NULL) {
		SET(CURLOPT_PROXY, p->proxy);
		SET(CURLOPT_NOPROXY, "");
	}
	if (p == NULL)
		return good;
	if (p->ca_file != NULL) {
		SET(CURLOPT_CAINFO, p->ca_file);
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_PROXY_CAINFO, p->ca_file);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	if (p->cert_file != NULL) {
		SET(CURLOPT_SSLCERT, p->cert_file);
		SET(CURLOPT_SSLKEY, p->key_file != NULL ? p->key_file : p->cert_file);
	}
	return good;
}

bool
easy_secure(CURL *e, const struct http_policy *policy, bool direct)
{
	return set_safety(e) && set_policy(e, policy, direct);
}
