/* chart.c - the last windows of the busiest series, for the status page. Not saved: after a restart the pictures begin anew. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "detect/volume.h"

#define WEIGHT_RATE	0.02f
#define TAKES_OVER	1.5f		/* who wants a place must be this much busier */
#define KNOWN_WINDOWS	10

static struct chart *
chart_of(struct volume *v, uint32_t slot, float observed)
{
	struct chart *least = &v->charts[0];

	for (int i = 0; i < DETECT_CHARTS; i++) {
		struct chart *c = &v->charts[i];

		if (c->hash != 0 && c->slot == slot && c->hash == v->entities[slot].hash)
			return c;
		if (c->hash == 0 || c->hash != v->entities[c->slot].hash)
			c->hash = 0, c->weight = 0;
		if (c->weight < least->weight)
			least = c;
	}
	if (v->entities[slot].windows_seen < KNOWN_WINDOWS || (least->hash != 0 && observed < TAKES_OVER * least->weight))
		return NULL;
	memset(least, 0, sizeof(*least));
	least->slot = slot;
	least->hash = v->entities[slot].hash;
	least->weight = observed;
	return least;
}

void
chart_row(struct volume *v, uint32_t slot, int64_t window, double observed, const struct score *s, const struct score_says *says)
{
	struct chart *c = chart_of(v, slot, (float)observed);
	struct chart_point *p;
	double low = 0, high = 0;

	if (c == NULL)
		return;
	c->weight += WEIGHT_RATE * ((float)observed - c->weight);
	if (!score_range(s, v->window_ms, says->expected, &low, &high))
		low = high = says->expected;
	c->newest = window;
	p = &c->points[window % DETECT_POINTS];
	*p = (struct chart_point){ window, (float)observed, (float)low, (float)high, says->surprise >= 1 };
}

static void
name_of(const struct volume *v, const struct entity *e, char *ret, size_t n)
{
	const struct slice resource = entity_who(v, e, W_RESOURCE_NAME), deployment = entity_who(v, e, W_DEPLOYMENT);

	(void)v;
	if (e->kind == E_TOTAL)
		snprintf(ret, n, "all resources");
	else if (e->kind == E_DEPLOYMENT)
		snprintf(ret, n, "deployment %.*s of %.*s", SLICE_ARG(deployment), SLICE_ARG(resource));
	else
		snprintf(ret, n, "%.*s", SLICE_ARG(resource));
}

size_t
volume_charts(void *state, struct detect_chart *ret, size_t max)
{
	const struct volume *v = state;
	size_t n = 0;

	for (int i = 0; i < DETECT_CHARTS && n < max; i++) {
		const struct chart *c = &v->charts[i];
		struct detect_chart *out = &ret[n];

		if (c->hash == 0 || c->hash != v->entities[c->slot].hash)
			continue;
		memset(out, 0, sizeof(*out));
		name_of(v, &v->entities[c->slot], out->name, sizeof(out->name));
		out->window_ms = v->window_ms;
		out->first_ms = (c->newest - DETECT_POINTS + 1) * (int64_t)v->window_ms;
		for (int k = 0; k < DETECT_POINTS; k++) {
			const int64_t w = c->newest - DETECT_POINTS + 1 + k;
			const struct chart_point *p = &c->points[((w % DETECT_POINTS) + DETECT_POINTS) % DETECT_POINTS];

			if (p->window == w && w > 0)
				out->points[k] = (struct detect_point){ p->value, p->low, p->high, p->alert, true };
		}
		n++;
	}
	return n;
}
