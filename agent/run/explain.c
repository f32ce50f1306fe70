/* explain.c - the `explain` command: records in, events out, one a line; with --why also how each column came about. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include "base/err.h"
#include "run/input.h"
#include "sinks/encode/encode.h"

#define INPUT_MAX_BYTES	(256u << 20)

static int
print_record(void *arg, struct input *in, struct event_list *events, struct err *err)
{
	(void)arg;
	if (in->told.n > 0 && fwrite(in->told.p, 1, in->told.n, in->out) != in->told.n)
		return err_set_sys(err, ERR_AGAIN, "cannot write");
	return input_print(in, events, err);
}

int
explain_run(const struct decoder *decoder, const char *const *files, size_t nfiles, const char *format, bool why,
    FILE *out, struct err *err)
{
	struct input in = { .decoder = decoder, .out = out, .why = why, .encoder = encoder_find(format), .source = "explain",
		.most_bytes = INPUT_MAX_BYTES, .see = print_record };

	if (in.encoder == NULL)
		return err_set(err, ERR_CONFIG, "%.40s: no such format; allowed: %s", format, ENCODER_WORDS);
	return input_run(&in, files, nfiles, err);
}
