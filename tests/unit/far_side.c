/* far_side.c - the scripted server of the tests: a thread that accepts, and one for each connection. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "far_side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/gzip.h"

#define HEAD_BYTES	(128 << 10)
#define BODY_BYTES	(8 << 20)
#define CONNECTIONS	64
#define REQUESTS	4096
#define REFUSALS	8

enum act { ANSWER, DROP_BEFORE, DROP_AFTER, CUT, STALL };

struct step {
	enum act	 act;
	int		 status;
	char		*headers, *body;
	struct step	*next;
};

struct refusal {
	char		*words;
	int		 status;
};

struct connection {
	struct far_side	*far_side;
	pthread_t	 thread;
	int		 fd;
	SSL		*tls;
	unsigned	 number;
	bool		 began;
};

struct far_side {
	pthread_t	 acceptor;
	int		 fd;
	unsigned	 port;
	char		 url[64];
	SSL_CTX		*tls;

	pthread_mutex_t	 lock;			/* guards all below */
	pthread_cond_t	 moved;
	struct step	*first, *last;
	struct step	 standing;
	struct refusal	 refusals[REFUSALS];
	size_t		 nrefusals, nstalled;
	bool		 stop, released;
	struct connection connections[CONNECTIONS];
	unsigned	 nconnections;
	struct far_side_request requests[REQUESTS];
	size_t		 nrequests;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- the script ------------------------------------------------------------ */

static void
add_step(struct far_side *f, enum act act, int status, const char *headers, const char *body)
{
	struct step *s = must(calloc(1, sizeof(*s)));

	s->act = act;
	s->status = status;
	s->headers = must(strdup(headers != NULL ? headers : ""));
	s->body = must(strdup(body != NULL ? body : ""));
	pthread_mutex_lock(&f->lock);
	if (f->last != NULL)
		f->last->next = s;
	else
		f->first = s;
	f->last = s;
	pthread_mutex_unlock(&f->lock);
}

void
far_side_answer(struct far_side *f, int status, const char *headers, const char *body)
{
	add_step(f, ANSWER, status, headers, body);
}

void
far_side_drop_before(struct far_side *f)
{
	add_step(f, DROP_BEFORE, 0, NULL, NULL);
}

void
far_side_drop_after(struct far_side *f)
{
	add_step(f, DROP_AFTER, 0, NULL, NULL);
}

void
far_side_cut_answer(struct far_side *f, int status, const char *body)
{
	add_step(f, CUT, status, NULL, body);
}

void
far_side_stall(struct far_side *f)
{
	add_step(f, STALL, 0, NULL, NULL);
}

void
far_side_release(struct far_side *f)
{
	pthread_mutex_lock(&f->lock);
	f->released = true;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

void
far_side_otherwise(struct far_side *f, int status, const char *headers, const char *body)
{
	pthread_mutex_lock(&f->lock);
	free(f->standing.headers);
	free(f->standing.body);
	f->standing = (struct step){ .act = ANSWER, .status = status,
		.headers = must(strdup(headers != NULL ? headers : "")), .body = must(strdup(body != NULL ? body : "")) };
	pthread_mutex_unlock(&f->lock);
}

void
far_side_refuse(struct far_side *f, const char *words, int status)
{
	pthread_mutex_lock(&f->lock);
	if (f->nrefusals == REFUSALS)
		abort();
	f->refusals[f->nrefusals++] = (struct refusal){ must(strdup(words)), status };
	pthread_mutex_unlock(&f->lock);
}

void
far_side_forget_script(struct far_side *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->first != NULL) {
		struct step *s = f->first;

		f->first = s->next;
		free(s->headers);
		free(s->body);
		free(s);
	}
	f->last = NULL;
	f->released = true;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

size_t
far_side_stalled(struct far_side *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->nstalled;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void
free_step(struct step *s)
{
	free(s->headers);
	free(s->body);
	free(s);
}

static struct step *
copy_standing(struct far_side *f)
{
	struct step *s = must(calloc(1, sizeof(*s)));

	s->act = ANSWER;
	s->status = f->standing.status;
	s->headers = must(strdup(f->standing.headers));
	s->body = must(strdup(f->standing.body));
	return s;
}

static struct step *
next_step(struct far_side *f)
{
	struct step *s;

	pthread_mutex_lock(&f->lock);
	s = f->first;
	if (s != NULL) {
		f->first = s->next;
		if (f->first == NULL)
			f->last = NULL;
	} else {
		s = copy_standing(f);
	}
	pthread_mutex_unlock(&f->lock);
	return s;
}

/* ---- one connection ---------------------------------------------------------- */

static ssize_t
take(struct connection *c, char *p, size_t n)
{
	ssize_t got;

	if (c->tls != NULL)
		return SSL_read(c->tls, p, (int)n);
	do
		got = recv(c->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static bool
give(struct connection *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = c->tls != NULL ? SSL_write(c->tls, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);

		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* Up to and with the empty line; one byte at a time, so that nothing of the body is taken. */
static char *
take_head(struct connection *c)
{
	char *head = must(malloc(HEAD_BYTES));
	size_t n = 0;

	while (n + 1 < HEAD_BYTES && take(c, head + n, 1) == 1) {
		n++;
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0) {
			head[n] = '\0';
			return head;
		}
	}
	free(head);
	return NULL;
}

/* "POST /x HTTP/1.1\r\nheaders\r\n\r\n" into its parts. */
static bool
split_head(const char *head, struct far_side_request *r)
{
	size_t method_n = strcspn(head, " "), target_n;
	const char *target = head + method_n + 1, *lines = strstr(head, "\r\n");

	if (lines == NULL || head[method_n] != ' ' || method_n >= sizeof(r->method))
		return false;
	target_n = strcspn(target, " \r");
	memcpy(r->method, head, method_n);
	r->target = must(strndup(target, target_n));
	r->headers = must(strdup(lines + 2));
	return true;
}

struct slice
far_side_header(const struct far_side_request *r, const char *name)
{
	struct slice wanted = slice_of(name);

	for (const char *line = r->headers; *line != '\0'; ) {
		size_t n = strcspn(line, "\n");

		if (n > wanted.n && line[wanted.n] == ':' && slice_starts_nocase(slice_make(line, n), wanted))
			return slice_trim(slice_make(line + wanted.n + 1, n - wanted.n - 1));
		line += n + (line[n] == '\n');
	}
	return SLICE("");
}

static void
take_body(struct connection *c, struct far_side_request *r)
{
	int64_t n = 0;

	if (!slice_to_i64(far_side_header(r, "Content-Length"), &n) || n < 0 || n > BODY_BYTES)
		n = 0;
	r->body = must(calloc(1, (size_t)n + 1));
	while (r->body_n < (size_t)n) {
		ssize_t got = take(c, r->body + r->body_n, (size_t)n - r->body_n);

		if (got <= 0)
			return;
		r->body_n += (size_t)got;
	}
	r->whole = true;
}

static void
record(struct connection *c, struct far_side_request *r)
{
	struct far_side *f = c->far_side;

	if (r->body == NULL)
		r->body = must(calloc(1, 1));
	r->connection = c->number;
	pthread_mutex_lock(&f->lock);
	if (f->nrequests == REQUESTS)
		abort();
	f->requests[f->nrequests++] = *r;
	pthread_mutex_unlock(&f->lock);
}

static bool
send_answer(struct connection *c, const struct step *s, size_t body_n)
{
	char head[8192];
	size_t whole_n = strlen(s->body);
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %d Scripted\r\n%s", s->status, s->headers);

	if (n < 0 || (size_t)n >= sizeof(head))
		abort();
	if (s->status != 204)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Content-Length: %zu\r\n", whole_n);
	if (n < 0 || (size_t)n + 3 >= sizeof(head))
		abort();
	memcpy(head + n, "\r\n", 3);
	return give(c, head, (size_t)n + 2) && give(c, s->body, body_n);
}

static void
wait_for_release(struct far_side *f)
{
	pthread_mutex_lock(&f->lock);
	f->nstalled++;
	while (!f->released && !f->stop)
		pthread_cond_wait(&f->moved, &f->lock);
	f->nstalled--;
	pthread_mutex_unlock(&f->lock);
}

static bool
do_step(struct connection *c, const struct step *s)
{
	struct step *standing;
	bool go_on;

	switch (s->act) {
	case ANSWER:
		return send_answer(c, s, strlen(s->body));
	case CUT:
		send_answer(c, s, strlen(s->body) / 2);
		return false;
	case STALL:
		wait_for_release(c->far_side);
		pthread_mutex_lock(&c->far_side->lock);
		standing = copy_standing(c->far_side);
		go_on = !c->far_side->stop;
		pthread_mutex_unlock(&c->far_side->lock);
		go_on = go_on && send_answer(c, standing, strlen(standing->body));
		free_step(standing);
		return go_on;
	case DROP_BEFORE:
	case DROP_AFTER:
		break;
	}
	return false;
}

/* A standing refusal takes the place of a yes. */
static void
refuse(struct far_side *f, const struct far_side_request *r, struct step *s)
{
	struct buf body;

	pthread_mutex_lock(&f->lock);
	buf_init(&body, BODY_BYTES * 8);
	if (f->nrefusals > 0 && s->act == ANSWER && s->status / 100 == 2 && far_side_body(r, &body))
		for (size_t i = 0; i < f->nrefusals; i++)
			if (memmem(body.p, body.n, f->refusals[i].words, strlen(f->refusals[i].words)) != NULL) {
				s->status = f->refusals[i].status;
				break;
			}
	buf_fini(&body);
	pthread_mutex_unlock(&f->lock);
}

static bool
begin_tls(struct connection *c)
{
	if (c->far_side->tls == NULL)
		return true;
	c->tls = must(SSL_new(c->far_side->tls));
	return SSL_set_fd(c->tls, c->fd) == 1 && SSL_accept(c->tls) == 1;
}

/* As a proxy: what follows a CONNECT is for us, too. */
static bool
accept_connect(struct connection *c, struct far_side_request *r)
{
	static const char yes[] = "HTTP/1.1 200 Connected\r\n\r\n";

	r->whole = true;
	record(c, r);
	return give(c, yes, sizeof(yes) - 1) && begin_tls(c);
}

static bool
serve_one(struct connection *c)
{
	struct far_side_request r = { 0 };
	char *head = take_head(c);
	struct step *s;
	bool go_on;

	if (head == NULL)
		return false;
	if (!split_head(head, &r)) {
		free(head);
		return false;
	}
	free(head);
	if (strcmp(r.method, "CONNECT") == 0)
		return accept_connect(c, &r);
	s = next_step(c->far_side);
	if (s->act != DROP_BEFORE) {
		take_body(c, &r);
		refuse(c->far_side, &r, s);
	}
	r.answered = s->act == ANSWER ? s->status : 0;
	record(c, &r);
	go_on = do_step(c, s);
	free_step(s);
	return go_on;
}

/* A TLS server may get a CONNECT in the clear first, when it plays the proxy as well. */
static bool
greets_in_clear(struct connection *c)
{
	char first = 0;

	return recv(c->fd, &first, 1, MSG_PEEK) == 1 && first == 'C';
}

static void *
serve(void *arg)
{
	struct connection *c = arg;

	if (greets_in_clear(c) || begin_tls(c))
		while (serve_one(c))
			;
	if (c->tls != NULL && SSL_is_init_finished(c->tls))
		SSL_shutdown(c->tls);
	ERR_clear_error();
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

/* ---- life ---------------------------------------------------------------------- */

static void *
accept_all(void *arg)
{
	struct far_side *f = arg;
	int fd;

	while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
		struct connection *c;

		pthread_mutex_lock(&f->lock);
		if (f->stop || f->nconnections == CONNECTIONS) {
			pthread_mutex_unlock(&f->lock);
			close(fd);
			continue;
		}
		c = &f->connections[f->nconnections++];
		*c = (struct connection){ .far_side = f, .fd = fd, .number = f->nconnections };
		c->began = pthread_create(&c->thread, NULL, serve, c) == 0;
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static SSL_CTX *
make_tls(const struct far_side_options *o)
{
	SSL_CTX *tls = must(SSL_CTX_new(TLS_server_method()));

	if (SSL_CTX_use_certificate_chain_file(tls, o->cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, o->key_file, SSL_FILETYPE_PEM) != 1)
		abort();
	if (o->tls_1_1_only) {
		SSL_CTX_set_security_level(tls, 0);
		SSL_CTX_set_min_proto_version(tls, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(tls, TLS1_1_VERSION);
		SSL_CTX_set_cipher_list(tls, "ALL:@SECLEVEL=0");
	}
	if (o->client_ca_file != NULL) {
		if (SSL_CTX_load_verify_locations(tls, o->client_ca_file, NULL) != 1)
			abort();
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return tls;
}

struct far_side *
far_side_start(const struct far_side_options *o)
{
	struct far_side *f = must(calloc(1, sizeof(*f)));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	far_side_otherwise(f, 204, NULL, NULL);
	if (o != NULL && o->cert_file != NULL)
		f->tls = make_tls(o);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(f->fd, 64) != 0 ||
	    getsockname(f->fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	f->port = ntohs(a.sin_port);
	snprintf(f->url, sizeof(f->url), "%s://127.0.0.1:%u", f->tls != NULL ? "https" : "http", f->port);
	if (pthread_create(&f->acceptor, NULL, accept_all, f) != 0)
		abort();
	return f;
}

static void
free_connections(struct far_side *f)
{
	for (unsigned i = 0; i < f->nconnections; i++) {
		struct connection *c = &f->connections[i];

		shutdown(c->fd, SHUT_RDWR);
		if (c->began)
			pthread_join(c->thread, NULL);
		SSL_free(c->tls);
		close(c->fd);
	}
}

void
far_side_stop(struct far_side *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->acceptor, NULL);
	close(f->fd);
	free_connections(f);
	while (f->first != NULL) {
		struct step *s = f->first;

		f->first = s->next;
		free_step(s);
	}
	for (size_t i = 0; i < f->nrequests; i++) {
		free(f->requests[i].target);
		free(f->requests[i].headers);
		free(f->requests[i].body);
	}
	for (size_t i = 0; i < f->nrefusals; i++)
		free(f->refusals[i].words);
	free(f->standing.headers);
	free(f->standing.body);
	SSL_CTX_free(f->tls);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->moved);
	free(f);
}

const char *
far_side_url(const struct far_side *f)
{
	return f->url;
}

unsigned
far_side_port(const struct far_side *f)
{
	return f->port;
}

/* ---- what it got ----------------------------------------------------------------- */

size_t
far_side_count(struct far_side *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->nrequests;
	pthread_mutex_unlock(&f->lock);
	return n;
}

unsigned
far_side_connections(struct far_side *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->nconnections;
	pthread_mutex_unlock(&f->lock);
	return n;
}

const struct far_side_request *
far_side_request(struct far_side *f, size_t i)
{
	if (i >= far_side_count(f))
		abort();
	return &f->requests[i];
}

bool
far_side_body(const struct far_side_request *r, struct buf *ret)
{
	struct slice body = slice_make(r->body, r->body_n);

	if (slice_eq_nocase(far_side_header(r, "Content-Encoding"), SLICE("gzip")))
		return gzip_decompress(body, ret, NULL) == 0;
	buf_put_slice(ret, body);
	return !ret->failed;
}

uint64_t
far_side_real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
