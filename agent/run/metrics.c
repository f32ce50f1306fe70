/*
 * metrics.c - the counters of stats.tbl as metrics.
 * Sources: OpenMetrics 1.0 (a counter's samples end in _total, its name does not; "# EOF" ends it); Prometheus text format 0.0.4.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/stat.h"
#include "run/web.h"

#ifdef WITH_KAFKA
#define WITH_KAFKA_WORD	"yes"
#else
#define WITH_KAFKA_WORD	"no"
#endif

struct metric {
	struct buf	*out;
	enum stat_id	 id;
	bool		 open, told, is_time;
	char		 name[96];
};

/* What a block's name and type are called; NULL: there is one block alone. */
static const struct { const char *name, *type; } labels[STAT_SCOPES] = {
	[STAT_SOURCE] = { "source", "type" }, [STAT_DETECTOR] = { "detector", "type" }, [STAT_SINK] = { "sink", "type" },
	[STAT_CLASS] = { "class", "severity" },
};

/* A time in milliseconds is shown in the base unit. */
static void
name_of(struct metric *m)
{
	const struct stat_row *row = stat_row(m->id);

	m->is_time = strcmp(row->unit, "unix_ms") == 0 || strcmp(row->unit, "ms") == 0;
	snprintf(m->name, sizeof(m->name), "aispm_%s%s", row->name, m->is_time ? "_seconds" : "");
}

static void
put_head(struct metric *m)
{
	const struct stat_row *row = stat_row(m->id);
	const char *total = row->kind == STAT_COUNTER && !m->open ? "_total" : "";

	buf_printf(m->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->name, total, row->help, m->name, total,
	    row->kind == STAT_COUNTER ? "counter" : "gauge");
}

static void
put_label(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buf_putc(out, '\\');
		buf_putc(out, *text == '\n' ? ' ' : *text);
	}
}

static void
put_sample(void *arg, struct stat_block *b)
{
	struct metric *m = arg;
	const struct stat_row *row = stat_row(m->id);
	const uint64_t v = stat_get(b, m->id);

	if (b->scope != row->scope)
		return;
	if (!m->told)
		put_head(m);
	m->told = true;
	buf_puts(m->out, m->name);
	buf_puts(m->out, row->kind == STAT_COUNTER ? "_total" : "");
	if (labels[row->scope].name != NULL) {
		buf_printf(m->out, "{%s=\"", labels[row->scope].name);
		put_label(m->out, b->name);
		buf_printf(m->out, "\",%s=\"", labels[row->scope].type);
		put_label(m->out, b->type);
		buf_puts(m->out, "\"}");
	}
	if (m->is_time)
		buf_printf(m->out, " %llu.%03u\n", (unsigned long long)(v / 1000), (unsigned)(v % 1000));
	else
		buf_printf(m->out, " %llu\n", (unsigned long long)v);
}

/* Not of the table: who runs here, and what time it is to them, which tells a clock that is wrong. */
static void
put_self(struct buf *out)
{
	const uint64_t now_ms = clock_wall_ms();

	buf_printf(out, "# HELP aispm_build_info What runs here.\n# TYPE aispm_build_info gauge\n"
	    "aispm_build_info{version=\"" PACKAGE_VERSION "\",json=\"%s\",kafka=\"%s\"} 1\n", json_library(), WITH_KAFKA_WORD);
	buf_printf(out, "# HELP aispm_time_seconds The agent's clock, at this answer.\n# TYPE aispm_time_seconds gauge\n"
	    "aispm_time_seconds %llu.%03u\n", (unsigned long long)(now_ms / 1000), (unsigned)(now_ms % 1000));
}

void
metrics_put(struct buf *out, bool open)
{
	put_self(out);
	for (int id = 0; id < STAT_COUNT; id++) {
		struct metric m = { .out = out, .id = (enum stat_id)id, .open = open };

		name_of(&m);
		stat_each(put_sample, &m);
	}
	if (open)
		buf_puts(out, "# EOF\n");
}
