/* deliver.c - right of the spool: one loop, and a `send` for each sink. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/note.h"
#include "net/http.h"
#include "run/agent.h"
#include "run/settings.h"
#include "sinks/send.h"
#include "spool/spool.h"

#define SETTLE_MS	5000	/* for answers to what is out, so that it does not come again */
#define HEARTBEAT_MS	1000	/* a loop with nothing to do turns too, and the watchdog sees it */

struct deliver {
	struct world		 world;
	struct loop		*loop;
	struct http		*http;
	struct send		**sends;
	size_t			 n;
	struct loop_timer	*heartbeat;
	pthread_t		 thread;
	bool			 started, threaded, draining, settling;
	_Atomic bool		 reopen, drain, settle, settled, stop;
	_Atomic uint64_t	 done_seq;	/* acknowledged by every sink */
	_Atomic uint64_t	 set_aside;
};

static void
look(struct deliver *d)
{
	uint64_t durable = spool_durable_seq(d->world.spool), set_aside = 0;
	size_t out = 0;
	bool done = true;

	for (size_t i = 0; i < d->n; i++) {
		done = done && send_done(d->sends[i], durable);
		set_aside += send_set_aside(d->sends[i]);
		out += send_out(d->sends[i]);
	}
	if (d->settling)
		atomic_store(&d->settled, out == 0);
	if (done)
		atomic_store(&d->done_seq, durable);
	atomic_store(&d->set_aside, set_aside);
}

static void
progress(void *arg)
{
	struct deliver *d = arg;

	d->world.freed(d->world.arg);
	look(d);
}

static void
woken(void *arg)
{
	struct deliver *d = arg;
	bool drain = atomic_load(&d->drain);

	d->settling = atomic_load(&d->settle);
	if (atomic_exchange(&d->reopen, false))
		for (size_t i = 0; i < d->n; i++)
			send_reopen(d->sends[i]);
	for (size_t i = 0; i < d->n; i++) {
		if (d->settling)
			send_settle(d->sends[i]);
		else if (drain && !d->draining)
			send_drain(d->sends[i]);
		else
			send_more(d->sends[i]);
	}
	d->draining = drain;
	look(d);
	if (atomic_load(&d->stop))
		loop_stop(d->loop);
}

static void
beat(void *arg)
{
	struct deliver *d = arg;

	look(d);
	loop_timer_set(d->heartbeat, HEARTBEAT_MS);
}

static void *
run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

int
deliver_open(struct deliver **ret, const struct world *world, const struct conf *conf, struct err *err)
{
	struct deliver *d = calloc(1, sizeof(*d));
	size_t n = conf_blocks(conf, "sinks");
	struct send_world sw;

	if (d == NULL || (d->sends = calloc(n > 0 ? n : 1, sizeof(*d->sends))) == NULL) {
		free(d);
		return err_set(err, ERR_AGAIN, "no memory for delivery");
	}
	d->world = *world;
	d->loop = loop_new(err);
	if (d->loop == NULL || http_open(&d->http, d->loop, err) != 0 ||
	    (d->heartbeat = loop_timer_new(d->loop, beat, d, err)) == NULL)
		goto fail;
	loop_on_wake(d->loop, woken, d);
	sw = (struct send_world){ .loop = d->loop, .http = d->http, .spool = world->spool, .dead = world->dead,
		.agent_id = world->agent_id, .agent_version = PACKAGE_VERSION, .hostname = world->hostname, .once = world->once,
		.progress = progress, .arg = d };
	for (; d->n < n; d->n++)
		if (send_open(&d->sends[d->n], &sw, conf_block_at(conf, "sinks", d->n), err) != 0) {
			settings_place("sinks", conf_block_at(conf, "sinks", d->n), err);
			goto fail;
		}
	*ret = d;
	return 0;
fail:
	deliver_close(d);
	return -1;
}

int
deliver_start(struct deliver *d, bool thread, struct err *err)
{
	for (size_t i = 0; i < d->n; i++)
		if (send_start(d->sends[i], err) != 0)
			return -1;
	d->started = true;
	look(d);
	loop_timer_set(d->heartbeat, HEARTBEAT_MS);
	if (thread && pthread_create(&d->thread, NULL, run_loop, d->loop) != 0)
		return err_set(err, ERR_AGAIN, "no thread for delivery");
	d->threaded = thread;
	return 0;
}

static bool
is_settled(const struct deliver *d)
{
	return atomic_load(&d->settled);
}

static void
wait_until(struct deliver *d, bool (*what)(const struct deliver *), uint64_t ms)
{
	const uint64_t until_ms = clock_mono_ms() + ms;
	const struct timespec nap = { 0, 10 * 1000 * 1000 };

	while (d->threaded && !what(d) && clock_mono_ms() < until_ms) {
		nanosleep(&nap, NULL);
		loop_wake(d->loop);
	}
}

bool
deliver_stop(struct deliver *d, uint64_t drain_ms)
{
	if (d == NULL || !d->started)
		return true;
	if (drain_ms > 0) {
		atomic_store(&d->drain, true);
		loop_wake(d->loop);
		wait_until(d, deliver_done, drain_ms);
	}
	atomic_store(&d->settle, true);
	loop_wake(d->loop);
	wait_until(d, is_settled, SETTLE_MS);
	atomic_store(&d->stop, true);
	loop_wake(d->loop);
	if (d->threaded)
		pthread_join(d->thread, NULL);
	d->started = d->threaded = false;
	look(d);
	return deliver_done(d);
}

void
deliver_close(struct deliver *d)
{
	if (d == NULL)
		return;
	deliver_stop(d, 0);
	for (size_t i = 0; i < d->n; i++)
		send_close(d->sends[i]);
	loop_timer_free(d->heartbeat);
	http_close(d->http);
	loop_free(d->loop);
	free(d->sends);
	free(d);
}

void
deliver_more(struct deliver *d)
{
	loop_wake(d->loop);
}

void
deliver_reopen(struct deliver *d)
{
	atomic_store(&d->reopen, true);
	loop_wake(d->loop);
}

bool
deliver_done(const struct deliver *d)
{
	return atomic_load(&d->done_seq) >= spool_durable_seq(d->world.spool);
}

uint64_t
deliver_turns(const struct deliver *d)
{
	return loop_turns(d->loop);
}

uint64_t
deliver_set_aside(const struct deliver *d)
{
	return atomic_load(&d->set_aside);
}

int
deliver_turn(struct deliver *d, int max_wait_ms)
{
	return loop_turn(d->loop, max_wait_ms);
}

size_t
deliver_out(const struct deliver *d, size_t *ret_requests)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += send_out(d->sends[i]);
	*ret_requests = http_in_flight(d->http);
	return n;
}
