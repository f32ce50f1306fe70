/*
 * encode_rows.c - events made of nothing but columns, for tests of the encodings: any bytes in any column, as no record could bring them.
 * Use: encode_rows FORMAT <ROWS. A row is lines "Column HEX" (texts, JSON) or "Column NUMBER", ended by an empty line; out comes its
 * encoding and a NUL.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sinks/encode/encode.h"

#define LINE_BYTES	(4u << 20)

static unsigned
digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(ascii_lower((unsigned char)c) - 'a') + 10;
}

static struct slice
from_hex(struct arena *arena, struct slice hex)
{
	char *p = arena_alloc(arena, hex.n / 2 + 1);

	if (p == NULL)
		exit(74);
	for (size_t i = 0; i + 1 < hex.n; i += 2)
		p[i / 2] = (char)(digit(hex.p[i]) << 4 | digit(hex.p[i + 1]));
	return slice_make(p, hex.n / 2);
}

static void
set_column(struct event *e, struct arena *arena, struct slice name, struct slice value)
{
	int f = field_find(name);
	int64_t number = 0;
	double real = 0;

	if (f < 0)
		exit(64);
	switch (field_rows[f].type) {
	case FIELD_TEXT:
	case FIELD_JSON:
		event_set_text(e, (enum field)f, from_hex(arena, value));
		break;
	case FIELD_REAL:
		if (!slice_to_double(value, &real))
			exit(64);
		event_set_real(e, (enum field)f, real);
		break;
	default:
		if (!slice_to_i64(value, &number))
			exit(64);
		event_set_number(e, (enum field)f, number);
		break;
	}
}

static void
encode_row(const struct encoder *encoder, const struct event *e, struct buf *out)
{
	struct err err = { 0 };

	buf_reset(out);
	if (encoder->encode(e, out, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(65);
	}
	buf_putc(out, '\0');
	fwrite(out->p, 1, out->n, stdout);
}

int
main(int argc, char **argv)
{
	const struct encoder *encoder = argc == 2 ? encoder_find(argv[1]) : NULL;
	char *line = malloc(LINE_BYTES);
	struct arena arena;
	struct event e;
	struct buf out;

	if (encoder == NULL || line == NULL)
		return 64;
	arena_init(&arena, 1u << 20, (size_t)1 << 30);
	buf_init(&out, (size_t)64 << 20);
	event_init(&e);
	while (fgets(line, LINE_BYTES, stdin) != NULL) {
		struct slice text = slice_trim(slice_of(line));
		const char *blank = text.n > 0 ? memchr(text.p, ' ', text.n) : NULL;

		if (blank != NULL) {
			size_t n = (size_t)(blank - text.p);

			set_column(&e, &arena, slice_make(text.p, n), slice_make(blank + 1, text.n - n - 1));
			continue;
		}
		encode_row(encoder, &e, &out);
		event_init(&e);
		arena_reset(&arena);
	}
	arena_fini(&arena);
	buf_fini(&out);
	free(line);
	return fflush(stdout) == 0 ? 0 : 74;
}
