/*
 * azure_source.h - the inside of source `azure`; nobody else includes it.
 *
 * Story:   azure.c has the settings, and a job for each subscription and dataset, each with its own interval; one request is under way at
 *          a time. azure_page.c takes an answer apart: each item is a record, offered when it is new or has changed, then a record that
 *          says the dataset was read (family azure_poll), whose position is the time of the poll.
 * Sources: learn.microsoft.com REST reference of Microsoft.Security (alerts 2022-01-01, assessments 2021-06-01, pricings 2024-01-01, secureScores
 *          2020-01-01) and Microsoft.ResourceGraph (resources 2022-10-01).
 */
#ifndef SOURCE_AZURE_SOURCE_H
#define SOURCE_AZURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "net/backoff.h"
#include "net/http.h"
#include "source/source.h"

#define AZURE_SEEN	65536		/* items whose last content is remembered */
#define AZURE_PAGES_MOST	1000		/* of one poll */

struct token;

struct azure_dataset {
	const char	*name;		/* in the configuration, in records and in status */
	const char	*path;		/* below /subscriptions/ID/providers/, with its api-version; NULL: a Resource Graph query */
	const char	*query;
};
extern const struct azure_dataset azure_datasets[];	/* ends at name NULL */

struct azure_job {
	const struct azure_dataset *set;
	const char	*subscription;
	uint64_t	 stream, polled_ms;	/* wall clock of the last whole poll; 0: never */
	uint64_t	 due_ms, every_ms;	/* clock_mono_ms */
	struct backoff	 backoff;
	bool		 done;			/* --once: polled, or given up */
};

struct azure_seen { uint64_t id, content; };

struct azure_source {
	struct source		*s;
	struct http		*http;
	struct http_policy	 policy;
	struct token		*token;
	char			*endpoint;
	struct loop_timer	*timer;
	struct azure_job	*jobs;
	size_t			 njobs;
	struct azure_seen	*seen;		/* 2 * AZURE_SEEN slots, open addressing */
	uint32_t		 nseen;

	/* the poll under way */
	struct azure_job	*job;
	struct http_call	*call;
	struct buf		 url, body, bearer, page, record;
	struct json_reader	*json;
	struct json_doc		 doc;
	uint32_t		 item, items_end;	/* of the page, by index in doc */
	uint64_t		 items, changed, began_ms;
	unsigned		 pages, denied;
	bool			 has_page, paused, probing, started;
};

/* azure_page.c */
/* Takes the answer's body: items are ready to be offered. -1: it is no page (err says why). */
int	azure_page_take(struct azure_source *, struct slice body, struct err *);
/* Offers what is left of the page. False: no room, come again by resume. */
bool	azure_page_offer(struct azure_source *);
/* Where the next page is: 1 url or body are set for it, 0 this was the last, -1. */
int	azure_page_next(struct azure_source *, struct err *);
/* The record that the dataset was read, with the job's new position. False: no room. */
bool	azure_page_finish(struct azure_source *);
/* The first request of a job into url and body. */
int	azure_page_first(struct azure_source *, struct err *);
void	azure_position(const struct azure_job *, uint64_t polled_ms, struct position *ret);

#endif
