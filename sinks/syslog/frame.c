/* frame.c - syslog headers and framing. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/syslog/frame.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "sinks/batch.h"

#define HEADER_BYTES	384
#define LENGTH_BYTES	24

void
frame_host(char *ret, size_t n)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		snprintf(host, sizeof(host), "-");
	for (char *p = host; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			*p = '-';
	snprintf(ret, n, "%s", host);
}

static bool
is_cef(struct slice message)
{
	return message.n >= 4 && memcmp(message.p, "CEF:", 4) == 0;
}

/* RFC 5424, table 2: critical 2 to informational 6. */
static unsigned
priority(const struct frame_style *style, const struct batch_entry *entry)
{
	static const unsigned severities[] = { 6, 5, 4, 3, 2 };

	return style->facility * 8 + severities[entry->level < 5 ? entry->level : 0];
}

static int
put_5424(const struct frame_style *style, const struct batch_entry *entry, char *ret)
{
	char when[TIME_TEXT_BYTES];

	time_format_ms(entry->time_ms, when);
	return snprintf(ret, HEADER_BYTES, "<%u>1 %s %s aispm-agent - - - ", priority(style, entry), when,
	    style->host != NULL ? style->host : "-");
}

static int
put_3164(const struct frame_style *style, const struct batch_entry *entry, bool cef, char *ret)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(entry->time_ms / 1000);
	struct tm tm = { 0 };

	(void)localtime_r(&seconds, &tm);
	return snprintf(ret, HEADER_BYTES, "<%u>%s %2d %02d:%02d:%02d %s%s%s", priority(style, entry), months[tm.tm_mon % 12], tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, style->host != NULL ? style->host : "", style->host != NULL ? " " : "",
	    cef ? "" : "aispm-agent: ");
}

int
frame_put(const struct frame_style *style, const struct batch *batch, size_t i, struct buf *out, struct err *err)
{
	struct slice message = batch_entry_bytes(batch, i);
	char header[HEADER_BYTES];
	int n = style->header == FRAME_RFC5424 ? put_5424(style, &batch->v[i], header) :
	    put_3164(style, &batch->v[i], is_cef(message), header);
	size_t whole = (size_t)n + message.n;

	if (whole > style->max_bytes)
		return err_set(err, ERR_DATA, "a message of %zu bytes is longer than max_message allows", whole);
	if (style->framing == FRAMING_NEWLINE && memchr(message.p, '\n', message.n) != NULL)
		return err_set(err, ERR_DATA, "a message with a line end in it");
	if (!buf_reserve(out, whole + LENGTH_BYTES))
		return err_set(err, ERR_AGAIN, "no memory for a message");
	if (style->framing == FRAMING_OCTETS) {
		buf_put_u64(out, whole);
		buf_putc(out, ' ');
	}
	buf_put(out, header, (size_t)n);
	buf_put_slice(out, message);
	if (style->framing == FRAMING_NEWLINE)
		buf_putc(out, '\n');
	return 0;
}
