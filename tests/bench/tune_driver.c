/* tune_driver.c - the scorer with its knobs loose, as a shared library for tune.py. */
#include <stdlib.h>

#include "detect/score_knobs.h"

struct score_knobs score_knobs = {
#define KNOB(name, value, meaning)	.name = value,
	KNOBS
#undef KNOB
};

const char *
tune_names(void)
{
#define KNOB(name, value, meaning)	#name " "
	return KNOBS;
#undef KNOB
}

float *
tune_knobs(void)
{
	return (float *)&score_knobs;
}

/* R of each row of a series. */
void
tune_run(int n, const double *t_s, const double *x, float *ret_surprise)
{
	struct score *s = malloc(sizeof(*s));
	struct score_spacing spacing = { 0 };

	if (s == NULL)
		abort();
	score_init(s, SCORE_FINE_MS);
	for (int i = 0; i < n; i++) {
		int64_t t_ms = (int64_t)(t_s[i] * 1000);

		ret_surprise[i] = (float)score_row(s, t_ms, score_spacing(&spacing, t_ms), x[i], 1).surprise;
	}
	free(s);
}
