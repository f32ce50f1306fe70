/*
 * script.h - a scenario file as a list of steps.
 *
 * Form:    one statement a line; `#` begins a comment; "a text" may hold blanks, \n, \t, \" and \\.
 *          `server {` and `tokens {` put their word in front of each line up to `}`; a form that ends in `{` takes the lines up to
 *          a lone `}` as they are.
 * Table:   what may be said is a table of forms, words with typed places: "append PATH records COUNT". Types below.
 * Fails:   "FILE:LINE: what is wrong; allowed: ...", the first fault only; the file is then not run.
 */
#ifndef TESTS_SCENARIO_SCRIPT_H
#define TESTS_SCENARIO_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP_ARGS	6

struct site;
struct step;

/*
 * Places of a form: PATH a path that begins with $TMP/; COUNT a whole number, or size(PATH) where the form is an expectation;
 * STATUS 200..599; TIME 5s, 500ms, 2h; BYTES 64KiB; RANGE 3 or 3-7; NAME letters, digits, _ . / and -; TEXT anything.
 */
struct form {
	const char	*words;
	/* False: `say` tells what was expected and what is. */
	bool		(*act)(struct site *, const struct step *, char say[512]);
	bool		 expects;	/* only looks; torture passes over it */
};

struct step {
	const struct form *form;
	unsigned	 line;
	char		*args[STEP_ARGS];	/* what stood in its places, in order */
	char		*block;			/* lines of a form that ends in { */
};

struct script {
	char		 name[128];		/* the file's, without .scn */
	char		 about[256];		/* its first comment */
	struct step	*steps;
	size_t		 n;
};

/* forms: ends at words NULL. -1: `say` has "FILE:LINE: ...". */
int	script_read(struct script *ret, const char *path, const struct form *forms, char say[512]);
void	script_free(struct script *);

/* Values of places; the reader has checked them. */
uint64_t step_count(const struct step *, size_t i);
uint64_t step_ms(const struct step *, size_t i);
uint64_t step_bytes(const struct step *, size_t i);
void	step_range(const struct step *, size_t i, unsigned *ret_from, unsigned *ret_to);

#endif
