/*
 * token_kinds.h - inside net only: one row a way to prove who we are.
 *
 * A new kind: a table of keys, a function that writes the request, a row in token_kinds.c, and its
 * word in TOKEN_WORDS. token_kinds.c has the clouds, secrets and metadata service; token_assertion.c certificates and
 * workload identity; token_arc.c Azure Arc.
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
	struct buf	header;			/* one more line than the kind's, NUL-terminated; wiped too */
	size_t		encoded_at, encoded_n;	/* the secret's other form, in body */
};
void	token_wire_init(struct token_wire *);
void	token_wire_wipe(struct token_wire *);
void	token_wire_fini(struct token_wire *);

struct token_cloud {
	const char	*name, *authority, *scope, *ingest_suffix, *manager, *hubs_suffix;
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
	const char		*base;		/* its default; NULL: the cloud's authority */
	const char		*base_env;	/* the variable that names it where the setting is absent, or NULL */
	int	(*write)(const struct token_ask *, struct token_wire *, struct err *);
	/* NULL, or what an answer that is no token asks for: 1 the wire holds the next request, 0 it is a refusal, -1. */
	int	(*challenge)(const struct token_ask *, struct token_wire *, const struct http_answer *, struct err *);
	bool	(*is_passing)(int status);	/* a refusal that ends by itself, besides 408, 429 and 5xx */
};

struct token_ask {
	const struct conf		*auth;
	const struct token_cloud	*cloud;
	const char			*base;		/* scheme://host[:port][/] of the endpoint */
	char				 host[256], scope[256];
};

/* Parts of requests. */
void	token_put_pair(struct buf *, const char *before, const char *name, struct slice value);	/* name=percent-encoded */
void	token_put_base(struct buf *, const struct token_ask *);		/* without slashes at its end */
void	token_put_resource(struct buf *, const struct token_ask *);	/* &resource=, the scope without "/.default" */
void	token_wipe(struct buf *);
extern const char *const token_form_headers[], *const token_identity_headers[];
/* The client_assertion form of the v2.0 endpoint; the assertion is w->secret. */
int	token_write_assertion(const struct token_ask *, const char *tenant, const char *client_id, struct token_wire *,
	    struct err *);
/* A setting, else the environment variable, checked by `wrong`; ERR_CONFIG names both. */
int	token_setting(const struct conf *auth, const char *key, const char *env, const char *(*wrong)(const struct conf *, const char *),
	    const char **ret, struct err *);

/* Checks of settings. */
const char *token_wrong_tenant(const struct conf *block, const char *text);
const char *token_wrong_id(const struct conf *block, const char *text);
const char *token_wrong_authority(const struct conf *block, const char *text);
bool	token_never_passing(int status);

extern const struct token_kind token_kind_certificate, token_kind_workload, token_kind_arc;
extern const char *token_arc_dir;		/* where Arc's agent puts its keys; a test points it elsewhere */

const struct token_kind *token_kind_find(const char *word);	/* NULL: no such kind */
int	token_ask_from(struct token_ask *ret, const struct token_kind *, const struct conf *auth, const char *scope,
	    struct err *);
/* Fills err from an answer that is no token; returns -1. Names the code, never a secret. */
int	token_refused(const struct token_kind *, const struct token_ask *, const struct token_wire *,
	    struct json_reader *, const struct http_answer *, struct err *);

#endif
