/*
 * ledger.h - what was written for the agent to read, and what has come of it: the judge of the promises.
 *
 * Records: numbered from 1 over the whole scenario; number 7 is "scn-000007" in the record (its correlationId), so it is in every
 *          event made of it (EventOriginalUid), and in every dead letter.
 * Stream:  a file's content between two rotations; inside it the order must be kept.
 */
#ifndef TESTS_SCENARIO_LEDGER_H
#define TESTS_SCENARIO_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_RECORDS	20000

struct site;

struct ledger_record {
	uint32_t	stream;
	bool		written;	/* whole, with its newline */
	bool		broken;		/* no JSON: belongs into the dead letter */
	bool		perishable;	/* its file was truncated, or went where no source looks, before it was in the spool */
	bool		refused;	/* the server takes no body with it: may be in the dead letter of its sink */
};

struct ledger {
	struct ledger_record *v;	/* v[number] */
	unsigned	 n;		/* newest number */
	struct { char path[256]; uint32_t stream; } *files;
	size_t		 nfiles;
	uint32_t	 nstreams;
	struct { char name[65]; unsigned from; } sinks[16];	/* from: the first record written while it was in the settings */
	size_t		 nsinks;
	struct { size_t from, to; } forgotten[64];	/* requests of a process that had been killed by then */
	size_t		 nforgotten;
};

/* One place's account: v[number]. */
struct account {
	unsigned	*acked;		/* times that the far side said yes, or that it stands in the file */
	unsigned	*arrived;	/* times that it came there whole */
	char		(*id)[33];	/* EventId; "" none yet */
	size_t		 events;	/* all, also those without a number */
	char		 flaw[256];	/* an EventId that is not the same each time, an order that was not kept, a line that is none */
};

void	ledger_init(struct ledger *);
void	ledger_fini(struct ledger *);
/* The next number, for a record that is appended to this path. */
unsigned ledger_add(struct ledger *, const char *path, bool broken);
/* What comes next to this path is another stream. `gone`: nobody can read any more what was in it. */
void	ledger_rotated(struct site *, const char *path, bool gone);
void	ledger_sink(struct ledger *, const char *name);
void	ledger_forget(struct ledger *, size_t from, size_t to);

void	account_init(struct account *, const struct ledger *);
void	account_fini(struct account *);
void	account_server(struct account *, struct site *);
void	account_file(struct account *, struct site *, const char *path);	/* expanded */
/* Dead letters: acked[number], and all in *ret_n. `words`: count only those whose reason holds them, or NULL. */
void	account_dead(struct account *, struct site *, const char *words, size_t *ret_n);

/* Promises that hold at any time: equal EventIds, order, whole lines, no stranger among the dead letters. False: say. */
bool	ledger_sound(struct site *, char say[512]);
/* And at the end: every record is with every sink, or set aside where it is refused. Lenient: perishable ones may be lost. */
bool	ledger_complete(struct site *, bool lenient, char say[512]);

#endif
