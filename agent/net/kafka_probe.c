/* kafka_probe.c - asks brokers for the metadata of topics, on a thread, while the loop serves the client's wishes for a token. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/kafka_probe.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/kafka_client.h"

#define LIMIT_MS	25000
#define SLICE_MS	1000
#define SETTLES_MS	5000
#define NAP_US		200000

struct kafka_probe {
	struct kafka_token	*token;
	rd_kafka_t		*rk;
	rd_kafka_queue_t	*queue;
	struct loop_fd		*watch;
	int			 knock_fd;
	const char		*const *topics;
	size_t			 n;
	void			(*told)(void *arg, const struct err *);
	void			*arg;
	struct kafka_reaper	 reaper;
	struct err		 trouble;	/* what the client complained of */
	pthread_t		 thread;
	bool			 running;
	_Atomic bool		 stop, done;
	/* the thread's, until done */
	rd_kafka_resp_err_t	 code;
	const char		*topic;		/* which one the code is about, or NULL */
};

/* ---- the thread ------------------------------------------------------------------ */

static rd_kafka_resp_err_t
ask_once(struct kafka_probe *p, rd_kafka_topic_t *rkt)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t code = rd_kafka_metadata(p->rk, 0, rkt, &md, SLICE_MS);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;
	if (rkt != NULL && md->topic_cnt == 1)
		code = md->topics[0].err;
	rd_kafka_metadata_destroy(md);
	return code;
}

/* What a broker says of a topic that was just made is not its last word. */
static bool
is_last_word(rd_kafka_resp_err_t code, uint64_t since_ms)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
		return clock_mono_ms() - since_ms >= LIMIT_MS;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		return clock_mono_ms() - since_ms >= SETTLES_MS;
	default:
		return true;
	}
}

static rd_kafka_resp_err_t
ask(struct kafka_probe *p, const char *topic)
{
	rd_kafka_topic_t *rkt = topic != NULL ? rd_kafka_topic_new(p->rk, topic, NULL) : NULL;
	const uint64_t since_ms = clock_mono_ms();
	rd_kafka_resp_err_t code;

	if (topic != NULL && rkt == NULL)
		return rd_kafka_last_error();
	while (!is_last_word(code = ask_once(p, rkt), since_ms) && !atomic_load(&p->stop))
		usleep(NAP_US);
	if (rkt != NULL)
		rd_kafka_topic_destroy(rkt);
	return code;
}

static void *
run(void *arg)
{
	struct kafka_probe *p = arg;

	p->code = RD_KAFKA_RESP_ERR_NO_ERROR;
	for (size_t i = 0; i < p->n && p->code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		p->topic = p->topics[i][0] != '^' ? p->topics[i] : NULL;
		p->code = ask(p, p->topic);
	}
	atomic_store(&p->done, true);
	eventfd_write(p->knock_fd, 1);
	return NULL;
}

/* ---- the loop -------------------------------------------------------------------- */

static void
take_error(struct kafka_probe *p, rd_kafka_event_t *ev)
{
	const rd_kafka_resp_err_t code = rd_kafka_event_error(ev);

	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && p->trouble.kind != ERR_NONE)
		return;				/* says less than what came before it */
	kafka_client_explain(code, rd_kafka_event_error_string(ev), &p->trouble);
	kafka_token_explain(p->token, &p->trouble);
}

static void
answer(struct kafka_probe *p)
{
	struct err why = { 0 };

	pthread_join(p->thread, NULL);
	p->running = false;
	if (p->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->told(p->arg, NULL);
		return;
	}
	if (p->trouble.kind != ERR_NONE && (p->code == RD_KAFKA_RESP_ERR__TIMED_OUT || p->code == RD_KAFKA_RESP_ERR__TRANSPORT)) {
		kafka_token_settle(p->token, &p->trouble);
		why = p->trouble;
	} else {
		kafka_client_explain(p->code, p->topic, &why);
	}
	p->told(p->arg, &why);
}

static void
knocked(void *arg, unsigned ready)
{
	struct kafka_probe *p = arg;
	rd_kafka_event_t *ev;
	eventfd_t n;

	(void)ready;
	(void)eventfd_read(p->knock_fd, &n);
	while ((ev = rd_kafka_queue_poll(p->queue, 0)) != NULL) {
		if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR)
			take_error(p, ev);
		else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH)
			kafka_token_refresh(p->token, p->rk);
		rd_kafka_event_destroy(ev);
	}
	if (p->running && atomic_load(&p->done))
		answer(p);
}

/* ---- life ------------------------------------------------------------------------ */

static int
open_client(struct kafka_probe *p, const struct conf *conf, struct err *err)
{
	static const struct kafka_setting rows[] = { { NULL, NULL, NULL } };
	static const uint64_t one = 1;
	rd_kafka_conf_t *settings = NULL;
	int rc;

	if (kafka_client_conf(&settings, conf, rows, "aispm-agent-check", err) != 0)
		return -1;
	rd_kafka_conf_set_events(settings, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH);
	rc = kafka_client_new(&p->rk, RD_KAFKA_PRODUCER, settings, conf, err);
	rd_kafka_conf_destroy(settings);
	if (rc != 0)
		return -1;
	p->queue = rd_kafka_queue_get_main(p->rk);
	rd_kafka_queue_io_event_enable(p->queue, p->knock_fd, &one, sizeof(one));
	eventfd_write(p->knock_fd, 1);		/* what came before that makes no knock */
	return 0;
}

int
kafka_probe_open(struct kafka_probe **ret, struct loop *loop, const struct conf *conf, struct kafka_token *token, const char *const *topics,
    size_t n, void (*told)(void *arg, const struct err *), void *arg, struct err *err)
{
	struct kafka_probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a probe");
	p->token = token;
	p->topics = topics;
	p->n = n;
	p->told = told;
	p->arg = arg;
	p->knock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->knock_fd < 0) {
		err_set_sys(err, ERR_AGAIN, "no descriptor for a probe");
		goto fail;
	}
	p->watch = loop_watch(loop, p->knock_fd, LOOP_READ, knocked, p, err);
	if (p->watch == NULL || open_client(p, conf, err) != 0)
		goto fail;
	p->running = pthread_create(&p->thread, NULL, run, p) == 0;
	if (!p->running) {
		err_set(err, ERR_AGAIN, "no thread for a probe");
		goto fail;
	}
	*ret = p;
	return 0;
fail:
	kafka_probe_close(p);
	return -1;
}

void
kafka_probe_close(struct kafka_probe *p)
{
	if (p == NULL)
		return;
	if (p->running) {
		atomic_store(&p->stop, true);
		pthread_join(p->thread, NULL);
	}
	loop_unwatch(p->watch);
	if (p->queue != NULL) {
		rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(p->queue);
	}
	kafka_token_forget(p->token, p->rk);
	kafka_client_drop(&p->reaper, p->rk);
	kafka_client_join(&p->reaper);
	if (p->knock_fd >= 0)
		close(p->knock_fd);
	free(p);
}
