/*
 * http.h - requests over libcurl's multi interface, in our loop. Home of libcurl.
 *
 * Gives:   one callback a request, later, from the loop; never from http_send itself.
 * TLS:     verified always, 1.2 at least; own CA, client certificate by setting. No redirect is followed.
 * Plain:   http: only to loopback addresses and IMDS/Arc at their fixed addresses (http_url_check).
 * Bounded: answers past max_answer_bytes are an error (head_counts: are cut there); connect 10 s, whole request timeout_ms.
 * Owns:    connections, reused. A request's body and policy are borrowed until its callback; a call is gone after it.
 * Process: http_open ignores SIGPIPE, since a far side may close at any time.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/conf.h"
#include "base/slice.h"

struct err;
struct http;
struct http_call;
struct loop;

/* `tls` and `proxy` of a block, read once. */
struct http_policy {
	char	*ca_file, *cert_file, *key_file;	/* or NULL */
	char	*proxy;				/* NULL: the usual environment variables; HTTP_NO_PROXY: none at all */
};
#define HTTP_NO_PROXY	"none"
extern const struct conf_key http_tls_keys[];	/* the `tls` block: ca_file, cert_file, key_file */
int	http_tls_from(struct http_policy *ret, const struct conf *block, struct err *);	/* of a block without `proxy` */
int	http_policy_from(struct http_policy *ret, const struct conf *block, struct err *);
void	http_policy_fini(struct http_policy *);

struct http_request {
	const char	*method;		/* "GET", "POST" */
	const char	*url;
	const char	*const *headers;	/* "Name: value", ends with NULL; never logged */
	struct slice	 body;
	uint32_t	 timeout_ms;		/* 0: 60 s */
	uint32_t	 max_answer_bytes;	/* 0: 1 MiB */
	bool		 head_counts;		/* of a body that is too large the beginning is given; half of an answer is still none */
	bool		 direct;		/* never through a proxy (IMDS, Arc) */
	const struct http_policy *policy;	/* NULL: defaults */
};

struct http_answer {
	int		status;			/* 0: no answer, then err says why (ERR_AGAIN; ERR_CONFIG: certificate, URL) */
	const struct err *err;
	struct slice	body;
	int64_t		retry_after_ms;		/* from Retry-After: seconds or a date; -1 absent */
	int64_t		date_ms;		/* from Date; 0 absent */
	bool		sent;			/* false: surely nothing of the body reached the far side */
	/* Any other header by name (any case), or empty. */
	struct slice	(*header)(const struct http_answer *, const char *name);
	void		*impl;
};

int	http_open(struct http **ret, struct loop *, struct err *);
void	http_close(struct http *);		/* cancels all calls without callbacks; NULL is fine */
int	http_send(struct http *, const struct http_request *,
	    void (*done)(void *arg, const struct http_answer *), void *arg,
	    struct http_call **ret, struct err *);
void	http_cancel(struct http_call *);	/* no callback will come; NULL is fine */
size_t	http_in_flight(const struct http *);

/* 0 when the URL is https, or http to a loopback host (127/8, ::1, localhost) or one of IMDS's and Arc's; else ERR_CONFIG. */
int	http_url_check(const char *url, struct err *);
bool	http_url_is_loopback(const char *url);
bool	http_url_is_local(const char *url);	/* loopback or IMDS: never through a proxy */
/* Host of a URL into ret; false if it does not parse. */
bool	http_url_host(const char *url, char *ret, size_t n);
bool	http_url_is_origin(const char *url);	/* no path, query or fragment ("/" alone is fine) */
/* For conf_key.wrong: by http_url_check; a proxy's URL, or "none". */
const char *http_wrong_url(const struct conf *block, const char *text);
const char *http_wrong_proxy(const struct conf *block, const char *text);

#endif
