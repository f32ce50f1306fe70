/*
 * fuzz_config.c - any bytes as a configuration: refused with words and a line, or each value is of its type and in its limits.
 * Input, parted by NUL: agent.yaml, then files of its conf.d.
 */
#include <stdint.h>
#include <sys/stat.h>

#include "fixed.h"
#include "parts.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "decode/decode.h"
#include "posture/posture.h"
#include "run/agent.h"
#include "run/settings.h"
#include "source/source.h"

#define DROP_INS	4
#define TEXT_MAX_BYTES	8192

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64], paths[1 + DROP_INS][96];
static FILE *nowhere;

static void
remove_all(void)
{
	char conf_d[96];

	for (int i = 0; i < 1 + DROP_INS; i++)
		(void)unlink(paths[i]);
	snprintf(conf_d, sizeof(conf_d), "%s/conf.d", dir);
	(void)rmdir(conf_d);
	(void)rmdir(dir);
}

static void
open_once(void)
{
	char conf_d[96];

	if (dir[0] != '\0')
		return;
	make_dir(dir, "fuzz-config");
	snprintf(conf_d, sizeof(conf_d), "%s/conf.d", dir);
	assert(mkdir(conf_d, 0700) == 0 && atexit(remove_all) == 0);
	snprintf(paths[0], sizeof(paths[0]), "%s/agent.yaml", dir);
	for (int i = 0; i < DROP_INS; i++)
		snprintf(paths[1 + i], sizeof(paths[0]), "%s/conf.d/%d.yaml", dir, i);
	nowhere = fopen("/dev/null", "w");
	assert(nowhere != NULL);
}

/* ---- what was accepted ----------------------------------------------------------------- */

static bool
is_word(const char *words, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = words; *at != '\0'; at += strcspn(at, "|"), at += *at == '|')
		if (strcspn(at, "|") == n && memcmp(at, word, n) == 0)
			return true;
	return false;
}

static void
check_text(const char *text)
{
	size_t n = strlen(text);

	assert(n > 0 && n <= TEXT_MAX_BYTES && utf8_valid_prefix(slice_of(text)) == n);
	for (size_t i = 0; i < n; i++)
		assert((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void
check_limits(const struct conf_key *k, double value)
{
	assert((k->least == 0 && k->most == 0) || (value >= k->least && (k->most == 0 || value <= k->most)));
}

static void check_block(const struct conf *c, const struct conf_key *keys);

static void
check_blocks(const struct conf *c, const struct conf_key *k)
{
	assert(k->type != CONF_BLOCKS || k->most == 0 || (double)conf_blocks(c, k->name) <= k->most);
	for (size_t i = 0; i < conf_blocks(c, k->name); i++) {
		const struct conf *of = conf_block_at(c, k->name, i);

		check_block(of, k->keys);
		if (k->variant != NULL) {
			assert(k->variant(conf_text(of, k->variant_key)) != NULL);
			check_block(of, k->variant(conf_text(of, k->variant_key)));
		}
	}
}

static void
check_value(const struct conf *c, const struct conf_key *k)
{
	const char *text;

	switch (k->type) {
	case CONF_TEXT:
		text = conf_text(c, k->name);
		assert(text != NULL || !(k->flags & CONF_REQUIRED));
		if (text != NULL && conf_given(c, k->name)) {
			check_text(text);
			assert(k->wrong == NULL || k->wrong(c, text) == NULL);
		}
		break;
	case CONF_WORD:
		text = conf_text(c, k->name);
		assert(text == NULL || is_word(k->allowed, text));
		if (text == NULL && k->keys != NULL)
			check_blocks(c, k);
		break;
	case CONF_COUNT: check_limits(k, (double)conf_count(c, k->name)); break;
	case CONF_REAL: check_limits(k, conf_real(c, k->name)); break;
	case CONF_BYTES: check_limits(k, (double)conf_bytes(c, k->name)); break;
	case CONF_TIME: check_limits(k, (double)conf_ms(c, k->name)); break;
	case CONF_TEXTS:
		for (size_t i = 0; i < conf_texts(c, k->name); i++)
			check_text(conf_text_at(c, k->name, i));
		break;
	case CONF_MAP:
		for (size_t i = 0; i < conf_map(c, k->name); i++)
			check_text(conf_map_key(c, k->name, i));
		break;
	case CONF_BLOCK:
	case CONF_BLOCKS: check_blocks(c, k); break;
	default: break;
	}
}

/* A count, size or time that is absent has no limits to be in. */
static bool
is_there(const struct conf *c, const struct conf_key *k)
{
	return conf_given(c, k->name) || k->fallback != NULL || k->type == CONF_TEXT || k->type == CONF_WORD || k->type == CONF_BLOCK;
}

static void
check_block(const struct conf *c, const struct conf_key *keys)
{
	for (const struct conf_key *k = keys; k != NULL && k->name != NULL; k++) {
		assert(is_there(c, k) || !(k->flags & CONF_REQUIRED));
		if (is_there(c, k))
			check_value(c, k);
	}
}

/* What the agent makes of it before it opens anything. */
static void
use(const struct conf *conf)
{
	struct mappings_args args;
	struct posture *posture;
	struct source s = { .name = "fuzz" };
	struct err err = { 0 };
	struct event e;

	for (size_t i = 0; i < conf_blocks(conf, "sources"); i++)
		settings_source_start(conf_block_at(conf, "sources", i), &s);
	(void)mappings_args(conf, &args, &err);
	assert(posture_open(&posture, conf_block(conf, "zones"), &err) == 0);
	event_init(&e);
	event_set_text(&e, F_TargetResourceId, SLICE("/subscriptions/1111/resourceGroups/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/b"));
	posture_stamp(posture, &e);
	assert(event_number(&e, F_GovernanceZone, 0) >= 1 && event_number(&e, F_GovernanceZone, 0) <= ZONES);
	posture_close(posture);
}

static void
check_problems(const struct problems *problems, bool refused)
{
	assert(refused == (problems->errors > 0));
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];

		assert(p->file[0] != '\0' && p->text[0] != '\0');
		assert(is_fit_to_show(p->file) && is_fit_to_show(p->key) && is_fit_to_show(p->text));
	}
	problems_print(problems, nowhere);
}

static int
load(struct slice text, struct slice left, bool files, struct conf **ret, struct problems *problems, struct err *err)
{
	if (!files)
		return settings_load_text("agent.yaml", text, ret, problems, err);
	write_file(paths[0], text);
	for (int i = 1; i <= DROP_INS; i++) {
		(void)unlink(paths[i]);
		if (left.n > 0)
			write_file(paths[i], next_part(&left, SLICE("\0")));
	}
	return settings_load(paths[0], ret, problems, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice left = slice_make(data, n), first = next_part(&left, SLICE("\0"));
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc;

	open_once();
	problems_init(&problems);
	rc = load(first, left, first.n < n, &conf, &problems, &err);
	check_problems(&problems, rc != 0);
	if (rc == 0) {
		check_block(conf, settings_table());
		use(conf);
		conf_free(conf);
	} else {
		assert(err.kind == ERR_CONFIG);
	}
	problems_fini(&problems);
	return 0;
}
