/*
 * far_side.h - for tests: an HTTP or HTTPS server on a loopback port that does as it is told, and remembers what it got.
 *
 * Script:  answers are taken from a queue, one a request; when it is empty, the standing answer (204 at first) is given.
 *          CONNECT is always accepted (and recorded); what follows is served as if the server were its target.
 * Threads: all calls from the test's thread; each connection is served by one of its own.
 * Fails:   by abort, as a test should.
 */
#ifndef TESTS_UNIT_FAR_SIDE_H
#define TESTS_UNIT_FAR_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/slice.h"

struct far_side;

struct far_side_options {
	const char	*cert_file, *key_file;	/* HTTPS when given; PEM */
	const char	*client_ca_file;	/* a client must show a certificate of this CA */
	bool		 tls_1_1_only;
};

struct far_side_request {
	char		 method[16];
	char		*target;	/* "/path?query", or host:port of a CONNECT */
	char		*headers;	/* lines as they came */
	char		*body;		/* with a NUL behind */
	size_t		 body_n;
	unsigned	 connection;	/* from 1 */
	bool		 whole;		/* the body came completely */
	int		 answered;	/* the status; 0: no whole answer, or a stalled one */
};

struct far_side *far_side_start(const struct far_side_options *);	/* NULL: plain HTTP */
void	far_side_stop(struct far_side *);
const char *far_side_url(const struct far_side *);	/* "http://127.0.0.1:PORT" */
unsigned far_side_port(const struct far_side *);

/* headers: "Name: value\r\n..." or NULL; body NULL: none. */
void	far_side_answer(struct far_side *, int status, const char *headers, const char *body);
void	far_side_otherwise(struct far_side *, int status, const char *headers, const char *body);
void	far_side_drop_before(struct far_side *);	/* closes when the headers are in; the body is left unread */
void	far_side_drop_after(struct far_side *);		/* takes the whole request, closes without an answer */
void	far_side_cut_answer(struct far_side *, int status, const char *body);	/* half of the body, then closes */
void	far_side_stall(struct far_side *);		/* takes the request and keeps silent until far_side_release or stop */
void	far_side_release(struct far_side *);		/* stalled ones are answered by the standing answer */

size_t	far_side_stalled(struct far_side *);		/* how many are kept waiting just now */
/* From now on a body (unpacked) that holds these words is answered so, where it would have been a 2xx. */
void	far_side_refuse(struct far_side *, const char *words, int status);
/* Queued answers are dropped and stalled requests released; standing ones and refusals stay. */
void	far_side_forget_script(struct far_side *);

/* Time that a held clock does not hold, and how much of it a test lets pass before it gives up: a busy machine is slow. */
#define FAR_SIDE_PATIENCE_MS	60000
uint64_t far_side_real_ms(void);

/* Requests so far; each stays where it is until far_side_stop. */
size_t	far_side_count(struct far_side *);
const struct far_side_request *far_side_request(struct far_side *, size_t i);
unsigned far_side_connections(struct far_side *);
struct slice far_side_header(const struct far_side_request *, const char *name);	/* empty: absent */
/* The body, unpacked if Content-Encoding says gzip; false if that fails. */
bool	far_side_body(const struct far_side_request *, struct buf *ret);

/*
 * Certificates, made anew in `dir`: ca.pem signs server.pem/server.key (127.0.0.1, localhost, *.ingest.monitor.azure.com,
 * login.microsoftonline.com), stranger.pem/stranger.key (another name), past.pem/past.key (expired) and
 * client.pem/client.key; other_ca.pem signs nothing.
 */
void	far_side_make_certs(const char *dir);
void	far_side_drop_certs(const char *dir);

#endif
