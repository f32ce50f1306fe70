/* spool_cli.c - `aispm-agent spool`: a look into a spool and its dead letter; nothing is changed. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/wire.h"
#include "run/cli.h"
#include "sinks/encode/encode.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define LINE_BYTES	(64u << 20)

struct printing {
	FILE		*out;
	struct buf	 line;
	bool		 bytes;
};

static int
print_line(struct printing *p)
{
	buf_putc(&p->line, '\n');
	return p->line.failed || fwrite(p->line.p, 1, p->line.n, p->out) != p->line.n ? -1 : 0;
}

static int
print_entry(void *arg, uint64_t seq, struct slice entry)
{
	struct printing *p = arg;
	struct err err = { 0 };
	struct event e;

	buf_reset(&p->line);
	buf_puts(&p->line, "{\"seq\":");
	buf_put_u64(&p->line, seq);
	buf_puts(&p->line, ",\"event\":");
	if (wire_get(entry, &e, &err) != 0 || encoder_find("json")->encode(&e, &p->line, &err) != 0)
		buf_puts(&p->line, "null");
	buf_putc(&p->line, '}');
	return print_line(p);
}

static int
print_letter(void *arg, const struct dead_letter *l)
{
	struct printing *p = arg;
	char when[TIME_TEXT_BYTES];

	time_format_ms(l->when_ms, when);
	buf_reset(&p->line);
	buf_printf(&p->line, "{\"when\":\"%s\",\"kind\":\"%s\",\"from\":", when, l->kind == DEAD_EVENT ? "event" : "record");
	buf_put_json(&p->line, l->from);
	buf_puts(&p->line, ",\"reason\":");
	buf_put_json(&p->line, l->reason);
	buf_puts(&p->line, ",\"length\":");
	buf_put_u64(&p->line, l->bytes.n);
	if (p->bytes) {
		buf_puts(&p->line, ",\"base64\":\"");
		buf_put_base64(&p->line, l->bytes.p, l->bytes.n, false);
		buf_putc(&p->line, '"');
	}
	buf_putc(&p->line, '}');
	return print_line(p);
}

static int
say(const struct err *err)
{
	fprintf(stderr, "aispm-agent: %s\n", err->text);
	return EX_IOERR;
}

static int
dump(const char *dir, FILE *out)
{
	struct printing p = { .out = out };
	struct err err = { 0 };
	int rc;

	buf_init(&p.line, LINE_BYTES);
	rc = spool_dump(dir, 0, print_entry, &p, &err);
	buf_fini(&p.line);
	return rc == 0 ? 0 : say(&err);
}

static int
letters(const char *dir, bool bytes, FILE *out)
{
	struct printing p = { .out = out, .bytes = bytes };
	struct err err = { 0 };
	uint64_t damaged = 0;
	int rc;

	buf_init(&p.line, 2 * (size_t)LINE_BYTES);
	rc = dead_each(dir, print_letter, &p, &damaged, &err);
	buf_fini(&p.line);
	if (rc != 0)
		return say(&err);
	if (damaged == 0)
		return 0;
	fprintf(stderr, "aispm-agent: %llu files of the dead letter end in bytes that are no letter\n",
	    (unsigned long long)damaged);
	return EX_DATAERR;
}

static int
usage(void)
{
	fprintf(stderr, "aispm-agent: usage: spool stat [--json] [DIR], spool verify [DIR], spool dump [DIR], "
	    "spool dead [--bytes] [DIR]\n");
	return EX_USAGE;
}

int
spool_cli(int argc, char **argv, const char *state_dir, FILE *out)
{
	const char *word = argc > 0 ? argv[0] : "", *dir = NULL;
	bool json = false, bytes = false;
	struct err err = { 0 };
	char path[4096];
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0 && strcmp(word, "stat") == 0)
			json = true;
		else if (strcmp(argv[i], "--bytes") == 0 && strcmp(word, "dead") == 0)
			bytes = true;
		else if (argv[i][0] == '-' || dir != NULL)
			return usage();
		else
			dir = argv[i];
	}
	if (dir == NULL) {
		snprintf(path, sizeof(path), "%s/%s", state_dir, strcmp(word, "dead") == 0 ? "dead" : "spool");
		dir = path;
	}
	if (strcmp(word, "stat") == 0)
		return spool_stat_print(dir, json, &err) == 0 ? 0 : say(&err);
	if (strcmp(word, "verify") == 0) {
		rc = spool_verify_print(dir, &err);
		return rc == -1 ? say(&err) : rc == 0 ? 0 : EX_DATAERR;
	}
	if (strcmp(word, "dump") == 0)
		return dump(dir, out);
	if (strcmp(word, "dead") == 0)
		return letters(dir, bytes, out);
	return usage();
}
