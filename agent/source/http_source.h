/*
 * http_source.h - the inside of source `http`; nobody else includes it.
 *
 * Story:   http.c is the contract of source.h. http_listen.c keeps the listening socket, also while one source takes over from another (reload).
 *          http_serve.c is the server: libmicrohttpd, turned by the intake loop, and how long each peer may take. A request's head is judged
 *          (http_gate.c: who may send what) before its body is read; a whole body is cut into records (http_body.c, by its form's framing) and
 *          these are offered in one go; then the connection sleeps until safe() comes and is answered (http_form.c: what each sender wants to hear).
 * Ticket:  a record's position is its number among all that this source was ever given, 8 bytes, little-endian. There is nothing to go back to: a
 *          request without an answer is sent again by its sender, and its records have the same EventIds.
 * Names:   push_*, since http_* is agent/net's.
 */
#ifndef SOURCE_HTTP_SOURCE_H
#define SOURCE_HTTP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/json.h"
#include "source/source.h"

struct MHD_Connection;
struct MHD_Daemon;

/* ---- forms: one row a protocol; http_form.c ------------------------------------------ */

enum push_frame { PUSH_PLAIN, PUSH_FIREHOSE, PUSH_PUBSUB };

struct push_form {
	const char	*name;		/* in the setting `accept` */
	const char	*path;
	enum push_frame	 frame;
	bool		 token_in_query;	/* its sender can put it nowhere better */
	bool		 token_as_key;		/* X-Amz-Firehose-Access-Key */
	bool		 handshake;		/* Event Grid's, both kinds */
};
extern const struct push_form push_forms[];	/* ends at name NULL */
#define PUSH_FORM_WORDS	"all, or of records, otlp, eventgrid, firehose, pubsub"

const struct push_form *push_form_find(const char *path);	/* NULL: none lives there */

/* Why a request is refused; each has a counter. */
enum push_refusal { PUSH_FINE, PUSH_NO_TOKEN, PUSH_TOO_LARGE, PUSH_NO_ROOM, PUSH_WRONG_FORM, PUSH_TOO_SLOW };

/* The answer's body, always JSON. `id` is of Firehose's request, may be empty; `why` NULL: all is well. */
void	push_form_answer(const struct push_form *, struct slice id, const char *why, int64_t now_ms, struct buf *out);
/* Event Grid's validation: the answer to the event in `body`. -1 ERR_DATA: it has no code. */
int	push_form_validate(struct json_reader *, struct json_doc *, struct slice body, struct buf *out, struct err *);

/* ---- a body and its records; http_body.c -------------------------------------------- */

struct push_body {
	struct json_reader	*json;
	struct json_doc		 doc;
	struct buf		 piece;		/* a text that came as base64 */
	struct slice		 rest;		/* of the text that is being cut */
	bool			 lines;		/* it is cut at its line ends */
	bool			 list;		/* more texts stand in doc, from `at` to `end` */
	uint32_t		 at, end;
};

struct push_record { struct slice bytes; const char *unreadable; };

#define PUSH_KEEP_BYTES	(1 << 20)	/* of a buffer, between requests */

int	push_body_init(struct push_body *, size_t max_bytes, struct err *);	/* ERR_AGAIN */
void	push_body_fini(struct push_body *);
/*
 * Begins with a body, which is padded (BUF_SLACK) and stays where it is until the last record. `lines`: its type says that each line is a
 * record. What is not framed as it should be is one record as it stands: decode says what becomes of it.
 */
void	push_body_open(struct push_body *, enum push_frame, struct slice body, bool lines);
/* The next record; false at the end. It holds until the next call. */
bool	push_body_next(struct push_body *, struct push_record *ret);
void	push_body_close(struct push_body *);	/* done with this body, and with what it needed beyond the usual */

/* ---- the listening socket; http_listen.c ---------------------------------------------- */

/* Kept as long as somebody wants it: the next source begins before the last one ends, and no connection is refused in between. */
struct push_listen;
struct push_listen *push_listen_want(const char *address, struct err *);	/* NULL: no memory */
int	push_listen_fd(struct push_listen *, struct err *);	/* a new descriptor of it, listening, or -1 */
void	push_listen_drop(struct push_listen *);		/* NULL is fine */
/* Whether the address is one ("127.0.0.1:8088", "[::1]:8088", "0.0.0.0:443"), and loopback. */
bool	push_listen_is_address(const char *, bool *ret_loopback);
/* check --online: 1 free, 0 somebody has it, -1 cannot be had. */
int	push_listen_try(const char *address, struct err *);

/* ---- certificate; http_tls.c ---------------------------------------------------------- */

struct push_tls {
	bool		 on;
	struct buf	 cert, key, ca;		/* PEM, NUL at the end; ca empty: no client certificate is asked for */
	int64_t		 until_s;		/* when the certificate ends, Unix time */
	uint64_t	 mark;			/* of the certificate's file: another one when it was replaced */
};
/* Reads what the settings name and tries whether it fits together. ERR_CONFIG says what is wrong, without a word of the key. */
int	push_tls_load(struct push_tls *, const struct conf *source, struct err *);
void	push_tls_wipe_key(struct push_tls *);
void	push_tls_fini(struct push_tls *);
uint64_t push_tls_mark(const struct conf *source);	/* of the file as it is now; 0: not there */
/* The peer has shown a certificate that the authorities of client_ca_file have signed for clients. */
bool	push_tls_knows(void *gnutls_session);

/* ---- the server: http_serve.c; a request: http_gate.c, http_request.c --------------------------- */

enum push_stage {
	PUSH_READING,		/* its body comes */
	PUSH_DRAINING,		/* refused, but its body comes all the same */
	PUSH_HELD,		/* offered up to a record that found no room */
	PUSH_WAITING,		/* its records are taken; not yet durable */
	PUSH_ANSWERING,
};

struct push_server {		/* libmicrohttpd with one certificate */
	struct push		*push;
	struct MHD_Daemon	*daemon;
	struct loop_fd		*watch;
	unsigned		 connections;
};

struct push_peer {		/* a connection */
	struct push_server	*server;
	struct MHD_Connection	*c;
	struct push_request	*request;
	struct push_peer	*prev, *next;	/* by deadline: each has the same time from its last step */
	uint64_t		 deadline_ms;
	bool			 listed, served;
};

struct push_request {
	struct push		*push;
	struct push_peer	*peer;
	struct MHD_Connection	*c;
	const struct push_form	*form;		/* NULL: for none of them */
	enum push_stage		 stage;
	enum push_refusal	 refusal;
	unsigned		 status;	/* of the answer, once it is known */
	const char		*why;		/* for a refused one: words without anything of the request */
	bool			 trusted;	/* token and certificate were right */
	bool			 counted;	/* among push->requests */
	bool			 gzip, lines, validation, suspended;
	struct buf		 body, reply;
	char			 id[132];	/* Firehose's */
	char			 origin[260], rate[12];	/* of CloudEvents' handshake */
	uint64_t		 ticket;	/* of its last record; 0: none was taken */
	uint64_t		 arrived_ms, began_ms;	/* wall clock; clock_mono_ms */
	size_t			 received;	/* bytes of its body */
	struct push_request	*next;		/* those that wait, in the order of their tickets */
};

#define PUSH_REFUSALS	6

struct push {
	struct source		*s;
	const struct conf	*conf;
	struct push_listen	*listen;
	struct push_tls		 tls;
	struct push_server	*server, *old;	/* old: with a certificate that was replaced, until its connections have ended */
	struct loop_timer	*turn, *tick;
	unsigned		 forms;		/* a bit a row of push_forms */
	bool			 needs_token;
	size_t			 max_body, max_pending;
	unsigned		 max_waiting, max_connections;
	uint64_t		 timeout_ms;

	struct push_body	 body;		/* of the request that is offered */
	struct buf		 plain;		/* its bytes without gzip */
	struct push_record	 record;	/* that found no room; bytes.p NULL: none */
	struct push_request	*held;
	struct push_request	*first, *last;	/* that wait */
	struct push_peer	*soonest, *latest;
	uint64_t		 ticket, safe;
	size_t			 pending_bytes;	/* of all bodies at hand */
	unsigned		 requests;	/* under way, from their heads to their answers */
	bool			 paused;	/* intake has no room */
	bool			 again;		/* a connection was woken: another turn at once */
	bool			 started, closing;
	uint64_t		 unfit;		/* mark of a new certificate that could not be used */
	uint64_t		 retry_ms, expiry_ms;	/* when to listen again; when to look at the certificate's end again */
	struct { uint64_t sum, at_ms; } trouble;	/* told last */
	struct { unsigned n[PUSH_REFUSALS]; uint64_t at_ms; bool trouble; char peer[64]; } refused;	/* not told yet */
};

/* Listens, or (a server is there) takes p->tls into use for connections from now on. */
int	push_serve_open(struct push *, struct err *);
/* Answers what can be answered within a moment, then all connections end. */
void	push_serve_close(struct push *);
void	push_serve_turn(struct push *);		/* what the servers have to do, and whose time is up */
void	push_peer_step(struct push_peer *);	/* it has its time anew */

/* Judges a head. PUSH_FINE, or the refusal, with status and words in the request. */
enum push_refusal push_gate(struct push_request *, const char *url, const char *method);
int	push_gate_token(const struct conf *source, struct err *);	/* can it be read, and is it one? */

/* libmicrohttpd's callbacks; `method` "GET" and so on. enum MHD_Result. */
int	push_request_begin(struct push_peer *, const char *url, const char *method, void **state);
int	push_request_go_on(struct push_request *, const char *upload, size_t *upload_n);
void	push_request_end(struct push_request *);
void	push_request_refuse(struct push_request *, enum push_refusal, unsigned status, const char *why);
/* Its time is up. True: it has an answer; false: cut the connection. */
bool	push_request_expire(struct push_request *);
void	push_request_stop_all(struct push *);	/* whatever waits is refused */
void	push_request_safe(struct push *);	/* durable up to p->safe: who waited for it is answered */
void	push_request_resume(struct push *);	/* there may be room again */
void	push_request_tell(struct push *);	/* a word of the refused ones, at most one a minute */

void	push_say_trouble(struct push *, const char *text);	/* the same at most once a minute */
extern const struct conf_key push_keys[];	/* http_keys.c */

#endif
