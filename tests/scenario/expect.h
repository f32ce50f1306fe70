/* expect.h - the acts of the forms that only look. All as form.act of script.h. */
#ifndef TESTS_SCENARIO_EXPECT_H
#define TESTS_SCENARIO_EXPECT_H

#include <stdbool.h>

struct site;
struct step;

#define EXPECT(name)	bool expect_##name(struct site *, const struct step *, char say[512])
EXPECT(requests);
EXPECT(tokens);
EXPECT(header);
EXPECT(server_has);
EXPECT(server_has_no);
EXPECT(server_times);
EXPECT(file_has);
EXPECT(file_has_no);
EXPECT(file_lines);
EXPECT(dead_has);
EXPECT(dead_letters);
EXPECT(dead_says);
EXPECT(sink_state);
EXPECT(says);
EXPECT(cursor);
EXPECT(pending);
EXPECT(paused);
EXPECT(reading);
EXPECT(at);
EXPECT(counter);
EXPECT(counter_above);
EXPECT(events);
EXPECT(log);
EXPECT(delivered);
#undef EXPECT

#endif
