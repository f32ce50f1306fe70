/* steps.h - everything that a scenario can say: the table of forms. README.md of tests tells how to read them. */
#ifndef TESTS_SCENARIO_STEPS_H
#define TESTS_SCENARIO_STEPS_H

#include "script.h"

extern const struct form scenario_forms[];

/* One record as it stands in a file, without its newline. Returns its length. */
size_t	step_record(unsigned number, bool broken, char ret[1024]);

#endif
