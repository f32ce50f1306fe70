/*
 * token.h - access tokens for Azure: fetched ahead of need, shared by those who ask, never shown.
 *
 * Kinds:   client_secret, client_certificate, managed_identity, workload_identity, azure_arc (rows in token_kinds.c).
 * Renews:  at 80 % of the life the answer names; the old one serves until it ends.
 * Bounded: one request at a time; after a failure the next waits (the error is answered meanwhile).
 * Fails:   the callback's err: ERR_DENIED (wrong secret, no identity; text names code and cause), ERR_AGAIN.
 * Never:   a secret or token in any text.
 * Sources: learn.microsoft.com "OAuth 2.0 client credentials flow"; "How to use managed identities ... on a VM" (IMDS).
 */
#ifndef NET_TOKEN_H
#define NET_TOKEN_H

#include "base/slice.h"
#include "net/http.h"

struct loop;
struct token;

/* The `auth` block: .keys = token_keys, .variant_key = "type", .variant = token_variant, .variant_words = TOKEN_WORDS */
extern const struct conf_key token_keys[];
#define TOKEN_WORDS	"client_secret|client_certificate|managed_identity|workload_identity|azure_arc"
const struct conf_key *token_variant(const char *word);

/* `scope` NULL: the cloud's monitor scope ("https://monitor.azure.com/.default"). `auth` and the policy outlive the token. */
int	token_open(struct token **ret, struct http *, struct loop *, const struct conf *auth,
	    const char *scope, const struct http_policy *, struct err *);
void	token_close(struct token *);		/* NULL is fine; no callbacks after */
/* The token, now (called before it returns) or later; err NULL means `bearer` is good and borrowed. One waiting callback a token. */
void	token_get(struct token *, void (*got)(void *arg, struct slice bearer, const struct err *), void *arg);
/* The far side answered 401 to this token: the next token_get fetches anew. */
void	token_spoiled(struct token *);
/* From now on a line is told about each token that comes, for who looks closely; never the token. */
void	token_on_news(struct token *, void (*told)(void *arg, const char *text), void *arg);
uint64_t token_left_ms(const struct token *);	/* how long the present token lives; 0: there is none */
/* Host suffix of the ingestion endpoints of a cloud word ("public", "usgov", "china"); NULL: no such cloud. */
const char *cloud_ingest_suffix(const char *cloud);
const char *cloud_monitor_scope(const char *cloud);
const char *cloud_manager(const char *cloud);		/* Azure Resource Manager, https://HOST; its scope is that and "/.default" */
const char *cloud_hubs_suffix(const char *cloud);	/* of Event Hubs namespaces */

#endif
