/* backtest_volume.c - `backtest --detector volume`: a CSV of windows in, the same with score and alert out. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include "base/err.h"

int
backtest_volume(const struct backtest *b, struct err *err)
{
	(void)b;
	return err_set(err, ERR_DATA, "not yet");
}
