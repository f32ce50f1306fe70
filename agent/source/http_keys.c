/* http_keys.c - settings of source `http`; also in a build without libmicrohttpd, so that a configuration reads the same there. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <arpa/inet.h>
#include <string.h>

#define LISTEN_WORDS	"ADDRESS:PORT, such as 127.0.0.1:8088, [::1]:8088 or 0.0.0.0:8443"
#define SAFE_WORDS	"a loopback address such as 127.0.0.1:8088, or tls and token beside it"

const struct push_form push_forms[] = {
	{ "records", "/records", PUSH_PLAIN, false, false, false },
	{ "otlp", "/v1/traces", PUSH_PLAIN, false, false, false },
	{ "otlp", "/v1/logs", PUSH_PLAIN, false, false, false },
	{ "eventgrid", "/eventgrid", PUSH_PLAIN, true, false, true },
	{ "firehose", "/firehose", PUSH_FIREHOSE, false, true, false },
	{ "pubsub", "/pubsub", PUSH_PUBSUB, true, false, false },
	{ NULL, NULL, PUSH_PLAIN, false, false, false },
};

const struct push_form *
push_form_find(const char *path)
{
	for (const struct push_form *f = push_forms; f->name != NULL; f++)
		if (strcmp(f->path, path) == 0)
			return f;
	return NULL;
}

bool
push_listen_is_address(const char *text, bool *ret_loopback)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	struct in6_addr v6;
	struct in_addr v4;
	int64_t port;

	if (n == 0 || n >= sizeof(host) || !slice_to_i64(slice_of(colon + 1), &port) || port < 1 || port > 65535)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, &v4) == 1) {
		*ret_loopback = ntohl(v4.s_addr) >> 24 == 127;
		return true;
	}
	if (n < 3 || host[0] != '[' || host[n - 1] != ']')
		return false;
	host[n - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &v6) != 1)
		return false;
	*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	return true;
}

static const char *
wrong_listen(const struct conf *block, const char *text)
{
	bool loopback = false;

	if (!push_listen_is_address(text, &loopback))
		return LISTEN_WORDS;
	return loopback || (conf_block(block, "tls") != NULL && conf_given(block, "token")) ? NULL : SAFE_WORDS;
}

static const char *
wrong_form(const struct conf *block, const char *text)
{
	(void)block;
	if (strcmp(text, "all") == 0)
		return NULL;
	for (const struct push_form *f = push_forms; f->name != NULL; f++)
		if (strcmp(f->name, text) == 0)
			return NULL;
	return PUSH_FORM_WORDS;
}

static const char *
wrong_path(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] == '/' ? NULL : "an absolute path";
}

static const struct conf_key tls_keys[] = {
	{ .name = "cert_file", .type = CONF_TEXT, .flags = CONF_REQUIRED | CONF_FILE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "certificate (PEM), followed by those between it and its authority. Replaced, it is taken into use within seconds" },
	{ .name = "key", .type = CONF_SECRET, .flags = CONF_REQUIRED, .help = "its private key (PEM, without a password)" },
	{ .name = "client_ca_file", .type = CONF_TEXT, .flags = CONF_FILE, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "authorities (PEM) of clients: who has no certificate of theirs is refused, whatever its token. Absent: none is asked for" },
	CONF_END
};

const struct conf_key push_keys[] = {
	{ .name = "listen", .type = CONF_TEXT, .fallback = "127.0.0.1:8088", .allowed = LISTEN_WORDS, .wrong = wrong_listen,
	  .help = "where requests are taken. Other than on loopback only with tls and a token" },
	{ .name = "accept", .type = CONF_TEXTS, .fallback = "all", .allowed = PUSH_FORM_WORDS, .wrong = wrong_form,
	  .help = "whose requests are taken: each form has a path of its own, see HTTP PUSH" },
	{ .name = "token", .type = CONF_SECRET,
	  .help = "what a sender must show, 16 characters at least. Each line of it is a token that is taken, so that one can follow another; read anew for each request" },
	{ .name = "tls", .type = CONF_BLOCK, .keys = tls_keys, .help = "TLS 1.2 or 1.3. Absent: plain http, for a proxy on this machine" },
	{ .name = "max_body", .type = CONF_BYTES, .fallback = "16MiB", .least = 65536, .most = 64 << 20,
	  .help = "of a request, as it comes and unpacked; a larger one is answered 413" },
	{ .name = "max_pending", .type = CONF_BYTES, .fallback = "64MiB", .least = 1 << 20, .most = 512 << 20,
	  .help = "of all bodies that are in memory at a time; past it 503" },
	{ .name = "max_waiting", .type = CONF_COUNT, .fallback = "128", .least = 1, .most = 4096,
	  .help = "requests under way: coming in, or not yet durable; past it 503" },
	{ .name = "max_connections", .type = CONF_COUNT, .fallback = "256", .least = 2, .most = 4096,
	  .help = "open at a time; who comes then waits to be let in" },
	{ .name = "timeout", .type = CONF_TIME, .fallback = "25s", .least = 1000, .most = 300000,
	  .help = "for the head of a request, and again for its body and its way to disk: a slower sender is cut off, a slower disk is answered 503" },
	CONF_END
};
