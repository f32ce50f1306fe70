/* backtest_records.c - `backtest --detector access|config`: records in, that detector's findings out, one JSON line each, in the order of the records. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "decode/decode.h"
#include "detect/detect.h"
#include "run/agent.h"
#include "run/input.h"
#include "run/plot.h"
#include "run/settings.h"
#include "sinks/encode/encode.h"

#define INPUT_MAX_BYTES	(UINT64_C(2) << 30)

struct pass {
	struct detect		*detect;
	struct plot_findings	*plot;		/* NULL: none is wanted */
};

static void
draw(struct plot_findings *plot, const struct event_list *say)
{
	for (size_t i = 0; i < say->n; i++) {
		const struct event *e = &say->v[i];

		plot_findings_add(plot, &(struct plot_finding){ .t_ms = event_number(e, F_TimeGenerated, 0),
		    .severity = event_text(e, F_EventSeverity), .kind = event_text(e, F_EventName), .text = event_text(e, F_EventMessage) });
	}
}

static int
see(void *arg, struct input *in, struct event_list *events, struct err *err)
{
	struct pass *p = arg;
	struct event_list say = { .arena = &in->arena };

	for (size_t i = 0; i < events->n; i++) {
		if (detect_see(p->detect, &events->v[i], &say, err) != 0)
			return -1;
		if (p->plot != NULL)
			plot_findings_event(p->plot, event_number(&events->v[i], F_TimeGenerated, 0));
		input_step(in);
	}
	if (p->plot != NULL)
		draw(p->plot, &say);
	return input_print(in, &say, err);
}

/* The mappings and the detector by the user's configuration, else by the defaults. */
static int
open_parts(const struct backtest *b, struct conf **ret_defaults, struct decoder **ret_decoder, struct detect **ret_detect, struct err *err)
{
	const struct conf *conf = b->conf;
	struct problems problems;
	int rc = 0;

	problems_init(&problems);
	if (conf == NULL) {
		rc = settings_load_text("defaults", SLICE_NONE, ret_defaults, &problems, err);
		conf = *ret_defaults;
		problems_fini(&problems);		/* that there are no sources is no problem here */
		problems_init(&problems);
	}
	if (rc == 0)
		rc = mappings_open(ret_decoder, b->conf, &problems, err);
	if (rc != 0 && problems.errors > 0)
		problems_print(&problems, stderr);
	problems_fini(&problems);
	return rc == 0 ? detect_open_one(ret_detect, conf_block(conf, "detectors"), b->detector, err) : -1;
}

static int
write_plot(const struct backtest *b, struct plot_findings *plot, struct err *err)
{
	const char *what = strcmp(b->detector, "access") == 0 ? "Unusual AI access" : "AI configuration changes", *slash;
	char title[512];

	if (b->nfiles == 0) {
		snprintf(title, sizeof(title), "%s in standard input", what);
	} else {
		slash = strrchr(b->files[0], '/');
		snprintf(title, sizeof(title), "%s in %.*s%s", what, 400, slash != NULL ? slash + 1 : b->files[0], b->nfiles > 1 ? " and others" : "");
	}
	return plot_findings_write(plot, title, err);
}

int
backtest_records(const struct backtest *b, struct err *err)
{
	struct pass p = { 0 };
	struct input in = { .encoder = encoder_find("json"), .out = b->out, .source = "backtest", .most_bytes = INPUT_MAX_BYTES, .relay = true, .see = see, .arg = &p };
	struct conf *defaults = NULL;
	struct decoder *decoder = NULL;
	int rc = open_parts(b, &defaults, &decoder, &p.detect, err);

	if (rc == 0 && b->plot != NULL)
		rc = plot_findings_open(&p.plot, b->plot, err);
	in.decoder = decoder;
	if (rc == 0)
		rc = input_run(&in, b->files, b->nfiles, err);
	if (rc >= 0 && p.plot != NULL && write_plot(b, p.plot, err) != 0)
		rc = -1;
	plot_findings_free(p.plot);
	detect_close(p.detect);
	decoder_close(decoder);
	conf_free(defaults);
	return rc;
}
