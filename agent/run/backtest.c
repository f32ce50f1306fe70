/* backtest.c - the frame of `backtest`: which detector reads what. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include <string.h>

#include "base/err.h"

static const struct {
	const char	*detector;
	int		(*run)(const struct backtest *, struct err *);
} rows[] = {
	{ "volume", backtest_volume },
	{ "access", backtest_records },
	{ "config", backtest_records },
};
#define DETECTOR_WORDS	"volume, access, config"

int
backtest_run(const struct backtest *b, struct err *err)
{
	if (b->detector == NULL)
		return err_set(err, ERR_CONFIG, "backtest needs --detector; allowed: " DETECTOR_WORDS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].detector, b->detector) == 0)
			return rows[i].run(b, err);
	return err_set(err, ERR_CONFIG, "--detector: %.40s is none; allowed: " DETECTOR_WORDS, b->detector);
}
