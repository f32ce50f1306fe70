/*
 * page_parts.h - inside the status page: cells and figures as HTML, and its sections.
 *
 * Every state is said in words; colour and sign only repeat it. Cells bear their column's name, which stands beside them where the window is narrow.
 */
#ifndef RUN_PAGE_PARTS_H
#define RUN_PAGE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct stat_block;
struct web_world;

#define TROUBLE_FRESH_MS	600000	/* a source's complaint is of now for so long */

/* <section> with its <h2>; `id` is what links name. */
void	page_begin_section(struct buf *, const char *id, const char *title);
void	page_end_section(struct buf *);

/* Heads: one a column; a leading '#' means figures. The last is NULL. `wide`: it needs more room than a tablet has. */
void	page_begin_table(struct buf *, const char *caption, const char *const *heads, bool wide);
void	page_end_table(struct buf *);
void	page_begin_row(struct buf *, const char *name, const char *type);	/* <tr> and its head; type "" or NULL: none */
void	page_cell(struct buf *, const char *head);				/* opens <td>; text follows */
void	page_cell_text(struct buf *, const char *head, struct slice text);	/* a sentence: has a line of its own where it is narrow */
void	page_cell_number(struct buf *, const char *head, uint64_t v);
void	page_cell_state(struct buf *, const char *head, const char *tone, const char *word);	/* tone: good, warn, bad, quiet */
void	page_cell_when(struct buf *, const char *head, uint64_t unix_ms);	/* 0: none yet */

void	page_put_when(struct buf *, uint64_t unix_ms);		/* a time, and how long ago that is */
void	page_put_span(struct buf *, uint64_t ms);		/* 3 min, 2 h 5 min, 4 d 1 h */
void	page_put_bytes(struct buf *, uint64_t v);		/* 28.1 MiB */
void	page_put_bar(struct buf *, const char *id, const char *label, uint64_t part, uint64_t whole);

/* What a block said last, and when, as far as is known. */
void	page_cell_said(struct buf *, const char *head, struct stat_block *, uint64_t unix_ms);

/* page_tables.c */
void	page_put_sources(struct buf *);
void	page_put_findings(struct buf *);
void	page_put_detectors(struct buf *, const struct web_world *);
void	page_put_spool(struct buf *);
void	page_put_sinks(struct buf *);
void	page_put_posture(struct buf *, const struct web_world *);

#endif
