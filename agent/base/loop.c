/* loop.c - epoll, an eventfd to knock on, and timers in a heap. What is freed inside a callback is kept until the turn ends. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

#define EVENTS	64
#define UNSET	SIZE_MAX

struct loop_fd {
	struct loop	*loop;
	int		 fd;
	unsigned	 want;		/* 0: not in the epoll, which tells of a hang-up even who wants nothing */
	void		(*ready)(void *arg, unsigned ready);
	void		*arg;
	bool		 gone;
	struct loop_fd	*next_gone, *prev, *next;
};

struct loop_timer {
	struct loop		*loop;
	void			(*fire)(void *arg);
	void			*arg;
	uint64_t		 at_ms;
	uint64_t		 order;		/* equal times fire in the order they were set */
	size_t			 place;		/* in the heap, or UNSET */
	bool			 gone;
	struct loop_timer	*next_gone, *prev, *next;
};

struct loop {
	int			 epoll_fd, wake_fd;
	struct loop_fd		*fds, *gone_fds;
	struct loop_timer	*timers, *gone_timers;
	struct loop_timer	**heap;
	size_t			 heap_n, heap_cap, ntimers;
	uint64_t		 next_order;
	void			(*woken)(void *arg);
	void			*woken_arg;
	int			 depth;		/* of loop_turn: freeing waits for the outermost */
	_Atomic uint64_t	 turns;
	_Atomic bool		 stop;
};

/* ---- descriptors ----------------------------------------------------------- */

static uint32_t
events_of(unsigned want)
{
	return ((want & LOOP_READ) ? (uint32_t)EPOLLIN : 0) | ((want & LOOP_WRITE) ? (uint32_t)EPOLLOUT : 0);
}

struct loop_fd *
loop_watch(struct loop *l, int fd, unsigned want, void (*ready)(void *arg, unsigned ready), void *arg, struct err *err)
{
	struct loop_fd *w = calloc(1, sizeof(*w));
	struct epoll_event e = { .events = events_of(want) };

	assert(ready != NULL);
	if (w == NULL) {
		err_set(err, ERR_AGAIN, "no memory to watch a descriptor");
		return NULL;
	}
	*w = (struct loop_fd){ .loop = l, .fd = fd, .want = want, .ready = ready, .arg = arg, .next = l->fds };
	e.data.ptr = w;
	if (want != 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0) {
		err_set_sys(err, ERR_AGAIN, "cannot watch a descriptor");
		free(w);
		return NULL;
	}
	if (l->fds != NULL)
		l->fds->prev = w;
	l->fds = w;
	return w;
}

int
loop_rewatch(struct loop_fd *w, unsigned want)
{
	struct epoll_event e = { .events = events_of(want), .data.ptr = w };
	int op = want == 0 ? EPOLL_CTL_DEL : w->want == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	assert(!w->gone);
	if (w->want == want)
		return 0;
	if (epoll_ctl(w->loop->epoll_fd, op, w->fd, &e) != 0)
		return -1;
	w->want = want;
	return 0;
}

void
loop_unwatch(struct loop_fd *w)
{
	struct loop *l;

	if (w == NULL || w->gone)
		return;
	l = w->loop;
	if (w->want != 0)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		l->fds = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->gone = true;
	w->next_gone = l->gone_fds;
	l->gone_fds = w;
}

/* What a neighbour's callback made stale in this turn is not told: 1 if called. */
static int
dispatch_fd(struct loop_fd *w, uint32_t events)
{
	unsigned ready = 0;

	if (w->gone || w->want == 0)
		return 0;
	if (events & (EPOLLERR | EPOLLHUP))
		ready = LOOP_READ | LOOP_WRITE;
	else
		ready = w->want & (((events & EPOLLIN) ? LOOP_READ : 0) | ((events & EPOLLOUT) ? LOOP_WRITE : 0));
	if (ready == 0)
		return 0;
	w->ready(w->arg, ready);
	return 1;
}

/* ---- timers: a binary heap by time ------------------------------------------ */

static bool
earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void
put_at(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->place = i;
}

static void
sift_up(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	for (; i > 0 && earlier(t, l->heap[(i - 1) / 2]); i = (i - 1) / 2)
		put_at(l, i, l->heap[(i - 1) / 2]);
	put_at(l, i, t);
}

static void
sift_down(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	for (size_t child; (child = 2 * i + 1) < l->heap_n; i = child) {
		if (child + 1 < l->heap_n && earlier(l->heap[child + 1], l->heap[child]))
			child++;
		if (!earlier(l->heap[child], t))
			break;
		put_at(l, i, l->heap[child]);
	}
	put_at(l, i, t);
}

struct loop_timer *
loop_timer_new(struct loop *l, void (*fire)(void *arg), void *arg, struct err *err)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t != NULL && l->ntimers == l->heap_cap) {	/* room for every timer: setting one never fails */
		size_t cap = l->heap_cap > 0 ? l->heap_cap * 2 : 16;
		struct loop_timer **heap = realloc(l->heap, cap * sizeof(struct loop_timer *));

		if (heap == NULL) {
			free(t);
			t = NULL;
		} else {
			l->heap = heap;
			l->heap_cap = cap;
		}
	}
	if (t == NULL) {
		err_set(err, ERR_AGAIN, "no memory for a timer");
		return NULL;
	}
	*t = (struct loop_timer){ .loop = l, .fire = fire, .arg = arg, .place = UNSET, .next = l->timers };
	if (l->timers != NULL)
		l->timers->prev = t;
	l->timers = t;
	l->ntimers++;
	return t;
}

void
loop_timer_unset(struct loop_timer *t)
{
	struct loop *l = t->loop;
	size_t i = t->place;

	if (i == UNSET)
		return;
	t->place = UNSET;
	if (i == --l->heap_n)
		return;
	put_at(l, i, l->heap[l->heap_n]);
	sift_down(l, i);
	sift_up(l, l->heap[i]->place);
}

void
loop_timer_set(struct loop_timer *t, uint64_t after_ms)
{
	struct loop *l = t->loop;

	assert(!t->gone);
	loop_timer_unset(t);
	t->at_ms = clock_mono_ms();
	t->at_ms += after_ms < UINT64_MAX - t->at_ms ? after_ms : UINT64_MAX - t->at_ms;
	t->order = l->next_order++;
	l->heap[l->heap_n] = t;
	sift_up(l, l->heap_n++);
}

bool
loop_timer_is_set(const struct loop_timer *t)
{
	return t->place != UNSET;
}

void
loop_timer_free(struct loop_timer *t)
{
	struct loop *l;

	if (t == NULL || t->gone)
		return;
	l = t->loop;
	loop_timer_unset(t);
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		l->timers = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	l->ntimers--;
	t->gone = true;
	t->next_gone = l->gone_timers;
	l->gone_timers = t;
}

/* Fires what is due now, but not what those set anew: else two could keep each other busy for ever. */
static int
fire_timers(struct loop *l)
{
	uint64_t now_ms = clock_mono_ms(), until = l->next_order;
	int fired = 0;

	while (l->heap_n > 0 && l->heap[0]->at_ms <= now_ms && l->heap[0]->order < until) {
		struct loop_timer *t = l->heap[0];

		loop_timer_unset(t);
		t->fire(t->arg);
		fired++;
	}
	return fired;
}

int64_t
loop_next_timer_ms(const struct loop *l)
{
	uint64_t now_ms = clock_mono_ms();

	if (l->heap_n == 0)
		return -1;
	if (l->heap[0]->at_ms <= now_ms)
		return 0;
	return l->heap[0]->at_ms - now_ms < INT64_MAX ? (int64_t)(l->heap[0]->at_ms - now_ms) : INT64_MAX;
}

/* ---- knocking --------------------------------------------------------------- */

void
loop_wake(struct loop *l)
{
	const uint64_t one = 1;
	int saved = errno;

	/* Full means that a knock is waiting already. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

void
loop_on_wake(struct loop *l, void (*woken)(void *arg), void *arg)
{
	l->woken = woken;
	l->woken_arg = arg;
}

static int
answer_knock(struct loop *l)
{
	uint64_t knocks;

	if (read(l->wake_fd, &knocks, sizeof(knocks)) != sizeof(knocks) || l->woken == NULL)
		return 0;
	l->woken(l->woken_arg);
	return 1;
}

void
loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	loop_wake(l);
}

/* ---- turning ---------------------------------------------------------------- */

static void
bury(struct loop *l)
{
	while (l->gone_fds != NULL) {
		struct loop_fd *w = l->gone_fds;

		l->gone_fds = w->next_gone;
		free(w);
	}
	while (l->gone_timers != NULL) {
		struct loop_timer *t = l->gone_timers;

		l->gone_timers = t->next_gone;
		free(t);
	}
}

static int
wait_ms(struct loop *l, int max_wait_ms)
{
	int64_t timer_ms = loop_next_timer_ms(l);

	/* Held hands do not move while we sleep: look again soon. */
	if (clock_is_fake() && (max_wait_ms < 0 || max_wait_ms > 1))
		max_wait_ms = 1;
	if (timer_ms >= 0 && (max_wait_ms < 0 || timer_ms < max_wait_ms))
		return (int)(timer_ms < 3600000 ? timer_ms : 3600000);
	return max_wait_ms;
}

int
loop_turn(struct loop *l, int max_wait_ms)
{
	struct epoll_event events[EVENTS];
	int n, called = 0;

	n = epoll_wait(l->epoll_fd, events, EVENTS, wait_ms(l, max_wait_ms));
	assert(n >= 0 || errno == EINTR);
	l->depth++;
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			called += answer_knock(l);
		else
			called += dispatch_fd(events[i].data.ptr, events[i].events);
	}
	called += fire_timers(l);
	if (--l->depth == 0)
		bury(l);
	atomic_fetch_add_explicit(&l->turns, 1, memory_order_relaxed);
	return called;
}

void
loop_run(struct loop *l)
{
	while (!atomic_load(&l->stop))
		loop_turn(l, -1);
}

uint64_t
loop_turns(const struct loop *l)
{
	return atomic_load_explicit(&l->turns, memory_order_relaxed);
}

/* ---- life ------------------------------------------------------------------- */

struct loop *
loop_new(struct err *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event e = { .events = EPOLLIN };

	if (l == NULL) {
		err_set(err, ERR_AGAIN, "no memory for a loop");
		return NULL;
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &e) != 0) {
		err_set_sys(err, ERR_AGAIN, "cannot make a loop");
		loop_free(l);
		return NULL;
	}
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	while (l->fds != NULL)
		loop_unwatch(l->fds);
	while (l->timers != NULL)
		loop_timer_free(l->timers);
	bury(l);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	free(l->heap);
	free(l);
}
