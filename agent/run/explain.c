/* explain.c - the `explain` command: records in, events out, one a line; with --why also how each column came about. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "model/record.h"
#include "posture/posture.h"
#include "run/input.h"
#include "sinks/encode/encode.h"

#define INPUT_MAX_BYTES	(256u << 20)

/* What the zones' rules add, in the form of decode_why. */
static void
tell_zone(struct input *in, const struct event *e)
{
	char when[TIME_TEXT_BYTES];

	fprintf(in->out, "  %-24s <- %-40s \"%lld\"\n", "GovernanceZone", "zones.rules, else zones.default",
	    (long long)event_number(e, F_GovernanceZone, 0));
	if (!event_has(e, F_SlaDueTime))
		return;
	time_format_ms(event_number(e, F_SlaDueTime, 0), when);
	fprintf(in->out, "  %-24s <- %-40s \"%s\"\n", "SlaDueTime",
	    event_has(e, F_EventStartTime) ? "$EventStartTime + the zone's term" : "$arrival + the zone's term", when);
}

static int
print_record(void *arg, struct input *in, struct event_list *events, struct err *err)
{
	struct event_list one = *events;

	if (in->told.n > 0 && fwrite(in->told.p, 1, in->told.n, in->out) != in->told.n)
		return err_set_sys(err, ERR_AGAIN, "cannot write");
	for (size_t i = 0; i < events->n; i++) {
		one.v = &events->v[i];
		one.n = 1;
		posture_see(arg, one.v, in->arrived_ms, POSTURE_RECORDS);
		if (in->why)
			tell_zone(in, one.v);
		if (input_print(in, &one, err) != 0)
			return -1;
	}
	return 0;
}

int
explain_run(const struct decoder *decoder, const struct conf *zones, const char *const *files, size_t nfiles, const char *format,
    bool why, bool relay, FILE *out, struct err *err)
{
	struct posture *posture;
	struct input in = { .decoder = decoder, .out = out, .why = why, .relay = relay, .encoder = encoder_find(format), .source = "explain",
		.most_bytes = INPUT_MAX_BYTES, .see = print_record };
	int rc;

	if (in.encoder == NULL)
		return err_set(err, ERR_CONFIG, "%.40s: no such format; allowed: %s", format, ENCODER_WORDS);
	if (posture_open(&posture, zones, err) != 0)
		return -1;
	in.arg = posture;
	rc = input_run(&in, files, nfiles, err);
	posture_close(posture);
	return rc;
}
