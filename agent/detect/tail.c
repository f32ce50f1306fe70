/* tail.c - the upper tail of a statistic. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/tail.h"

#include <math.h>
#include <stdbool.h>

#define SCALE_MOST	1000.0f

float
tail_place(float v, float lowest)
{
	return v > lowest ? smaller(TAIL_PER_E * logf(v / lowest), TAIL_CELLS - 0.5f) : -1;
}

void
tail_add(struct tail *t, float place, float weight, float forget_rows)
{
	t->scale = t->scale > 0 ? t->scale * (1 + 1 / forget_rows) : 1;
	t->total += weight * t->scale;
	if (place >= 0)
		t->cell[(int)place] += weight * t->scale;
	if (t->scale < SCALE_MOST)
		return;
	for (int i = 0; i < TAIL_CELLS; i++)
		t->cell[i] /= t->scale;
	t->total /= t->scale;
	t->scale = 1;
}

void
tail_gap(struct tail *t, float rows, float forget_rows)
{
	float kept = expf(-rows / forget_rows);

	if (t->scale <= 0)
		t->scale = 1;
	for (int i = 0; i < TAIL_CELLS; i++)
		t->cell[i] *= kept;
	t->total = t->total * kept + t->scale * forget_rows * (1 - kept);
}

/* Both shares in one walk from the top. */
void
tail_measure(struct tail *t, float lowest, float share_high, float share_low)
{
	float want = share_high * t->total, sum = 0;
	bool first = true;

	t->high = t->low = lowest;
	for (int i = TAIL_CELLS - 1; i >= 0; i--) {
		float next = sum + t->cell[i];

		while (next >= want && t->cell[i] > 0) {
			float v = lowest * expf(((float)i + (next - want) / t->cell[i]) / TAIL_PER_E);

			if (!first) {
				t->low = v;
				return;
			}
			t->high = v;
			first = false;
			want = share_low * t->total;
		}
		sum = next;
	}
}

float
tail_above(const struct tail *t, float place)
{
	float sum = 0;

	for (int i = place > 0 ? (int)place : 0; i < TAIL_CELLS; i++)
		sum += t->cell[i];
	return t->scale > 0 ? sum / t->scale : 0;
}
