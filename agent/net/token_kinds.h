/*
 * token_kinds.h - inside net only: one row a way to prove who we are.
 *
 * A new kind: a table of keys, a function that writes the request, a row in token_kinds.c, and its
 * word in TOKEN_WORDS.
 */
#ifndef NET_TOKEN_KINDS_H
#define NET_TOKEN_KINDS_H

#include "base/buf.h"
#include "base/conf.h"
#include "net/http.h"

struct err;
struct json_reader;
struct token_ask;

struct token_wire {
	struct buf	url, body, secret;	/* wiped after each request */
	size_t		encoded_at, encoded_n;	/* the secret's other form, in body */
};
void	token_wire_init(struct token_wire *);
void	token_wire_wipe(struct token_wire *);
void	token_wire_fini(struct token_wire *);

struct token_cloud {
	const char	*name, *authority, *scope, *ingest_suffix, *hubs_suffix;
	const char	*logins[6];		/* hosts that `authority` may name; ends with NULL */
};

struct token_kind {
	const char		*name;
	const char		*method;
	const char		*const *headers;
	bool			 direct;	/* never through a proxy */
	const struct conf_key	*keys;
	const char		*base_key;	/* the setting that says where to ask; absent: the cloud's authority */
	const char		*(*wrong_base)(const struct conf *auth, const char *url);
	int	(*write)(const struct token_ask *, struct token_wire *, struct err *);
	bool	(*is_passing)(int status);	/* a refusal that ends by itself, besides 408, 429 and 5xx */
};

struct token_ask {
	const struct conf		*auth;
	const struct token_cloud	*cloud;
	const char			*base;		/* scheme://host[:port][/] of the endpoint */
	char				 host[256], scope[256];
};

const struct token_kind *token_kind_find(const char *word);	/* NULL: no such kind */
int	token_ask_from(struct token_ask *ret, const struct token_kind *, const struct conf *auth, const char *scope,
	    struct err *);
/* Fills err from an answer that is no token; returns -1. Names the code, never a secret. */
int	token_refused(const struct token_kind *, const struct token_ask *, const struct token_wire *,
	    struct json_reader *, const struct http_answer *, struct err *);

#endif
