/*
 * fuzz_token.c - any answers of Entra ID, of the metadata service, of Azure Arc's agent: a token that is fit for a header and ends within a week, or an error
 * that shows no secret. The first part of the input is the kind (see far.h): a word of TOKEN_WORDS, or "kafka".
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdint.h>
#include <sys/stat.h>

#include "fixed.h"
#include "far.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/loop.h"
#ifdef WITH_KAFKA
#include "net/kafka_client.h"
#endif
#include "net/token.h"
#include "net/token_kinds.h"

#define BEGAN_MS	UINT64_C(1790000000000)
#define LIFE_MOST_MS	(UINT64_C(7) * 86400 * 1000)
#define BEARER_MOST	(32u << 10)
#define ROUNDS		12
#define SECRET_SHOWN	8		/* bytes of a secret in a row are too many */
#define KEYS_FD		700		/* so that the directory has the same name in each process */
#define KEYS_DIR	"/proc/self/fd/700"
#define SECRET		"Zq8~S3cr3t%/value+of=the-client"
#define ARC_KEY		"arc-Key-4711-0815-abcdefgh"
#define FEDERATED	"eyJhbGciOiJSUzI1NiJ9.ZmVkZXJhdGVk.c2lnbmF0dXJl"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct conf_key top[] = {
	{ .name = "auths", .type = CONF_BLOCKS, .keys = token_keys, .variant_key = "type", .variant = token_variant, .variant_words = TOKEN_WORDS, .help = "" },
#ifdef WITH_KAFKA
	{ .name = "kafka", .type = CONF_BLOCK, .keys = (const struct conf_key[]){ KAFKA_CLIENT_KEYS, CONF_END }, .help = "" },
#endif
	CONF_END
};

static char dir[64];
static struct conf *conf;
static struct loop *loop;
static unsigned heard, asked;
static bool is_arc, has_key;		/* has_key: the last request carried it */
static struct slice secret;		/* of the kind at hand */

/* ---- what is asked ------------------------------------------------------------------------ */

static bool
look(const struct http_request *r)
{
	has_key = false;
	for (size_t i = 0; r->headers[i] != NULL; i++) {
		if (strncmp(r->headers[i], "Authorization:", 14) != 0)
			continue;
		assert(is_arc && strcmp(r->headers[i], "Authorization: Basic " ARC_KEY) == 0);
		has_key = true;
	}
	assert(strlen(r->url) < 4096);
	return false;
}

/* ---- what is told ------------------------------------------------------------------------- */

static void
check_bearer(const char *p, size_t n)
{
	assert(n > 0 && n <= BEARER_MOST);
	for (size_t i = 0; i < n; i++)
		assert((unsigned char)p[i] > 0x20 && (unsigned char)p[i] < 0x7f);
}

/* A far side may say what it likes, but not repeat what it was told. */
static void
check_words(const char *text)
{
	assert(text[0] != '\0' && is_fit_to_show(text));
	assert(!far_tells(text, secret, SECRET_SHOWN) && !(has_key && far_tells(text, SLICE(ARC_KEY), SECRET_SHOWN)));
}

static void
got(void *arg, struct slice bearer, const struct err *err)
{
	struct token *t = *(struct token **)arg;

	heard++;
	if (err == NULL) {
		check_bearer(bearer.p, bearer.n);
		assert(token_left_ms(t) > 0 && token_left_ms(t) <= LIFE_MOST_MS);
	} else {
		assert(err->kind == ERR_AGAIN || err->kind == ERR_DENIED || err->kind == ERR_CONFIG);
		check_words(err->text);
	}
}

#ifdef WITH_KAFKA
rd_kafka_resp_err_t __wrap_rd_kafka_oauthbearer_set_token(rd_kafka_t *, const char *token, int64_t until_ms, const char *principal, const char **extensions,
	    size_t n, char *why, size_t why_n);
rd_kafka_resp_err_t __wrap_rd_kafka_oauthbearer_set_token_failure(rd_kafka_t *, const char *why);

static bool broker_refuses;

/* librdkafka shows in its reason what it was given. */
rd_kafka_resp_err_t
__wrap_rd_kafka_oauthbearer_set_token(rd_kafka_t *rk, const char *token, int64_t until_ms, const char *principal, const char **extensions, size_t n,
    char *why, size_t why_n)
{
	(void)rk;
	check_bearer(token, strlen(token));
	assert(principal[0] != '\0' && extensions == NULL && n == 0);
	assert(until_ms > (int64_t)clock_wall_ms() && (uint64_t)until_ms <= clock_wall_ms() + LIFE_MOST_MS);
	snprintf(why, why_n, "bad token %s", token);
	broker_refuses = !broker_refuses;
	return broker_refuses ? RD_KAFKA_RESP_ERR__INVALID_ARG : RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t
__wrap_rd_kafka_oauthbearer_set_token_failure(rd_kafka_t *rk, const char *why)
{
	(void)rk;
	check_words(why);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}
#endif

/* ---- the story ---------------------------------------------------------------------------- */

static void
put_key(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_file(path, slice_of(text));
}

static void
remove_all(void)
{
	static const char *const names[] = { "good.key", "large.key", "empty.key", "words.key", "link.key", "federated" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void
make_keys(void)
{
	static char large[5000];
	char path[128];
	int fd;

	make_dir(dir, "fuzz-token");
	memset(large, 'x', sizeof(large) - 1);
	put_key("good.key", ARC_KEY "\n");
	put_key("large.key", large);
	put_key("empty.key", "");
	put_key("words.key", "a b\r\nX-More: c");
	put_key("federated", FEDERATED "\n");
	snprintf(path, sizeof(path), "%s/link.key", dir);
	assert(symlink("/etc/passwd", path) == 0 && atexit(remove_all) == 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(fd >= 0 && dup2(fd, KEYS_FD) == KEYS_FD);
	close(fd);
	token_arc_dir = KEYS_DIR;
}

static void
open_once(void)
{
	static const char yaml[] = "auths:\n"
	    "  - {type: client_secret, tenant: t.example, client_id: 00-11, secret: {env: AISPM_FUZZ_SECRET}}\n"
	    "  - {type: managed_identity, client_id: 00-11}\n"
	    "  - {type: workload_identity, tenant: t.example, client_id: 00-11, token_file: " KEYS_DIR "/federated}\n"
	    "  - {type: azure_arc}\n"
#ifdef WITH_KAFKA
	    "kafka: {brokers: \"n.servicebus.windows.net:9093\", auth: {type: managed_identity}}\n"
#endif
	    ;
	struct problems problems;
	struct err err = { 0 };

	if (loop != NULL)
		return;
	clock_fake(BEGAN_MS);
	loop = loop_new(&err);
	problems_init(&problems);
	assert(loop != NULL && setenv("AISPM_FUZZ_SECRET", SECRET, 1) == 0 && unsetenv("IDENTITY_ENDPOINT") == 0 && unsetenv("AZURE_AUTHORITY_HOST") == 0);
	if (conf_load_text("fuzz", slice_of(yaml), top, &conf, &problems, &err) != 0) {
		fprintf(stderr, "%s: %s\n", err.text, problems.n > 0 ? problems.v[0].text : "");
		exit(1);
	}
	problems_fini(&problems);
	make_keys();
	far_look = look;
}

static const struct conf *
auth_of(struct slice word)
{
	for (size_t i = 0; i < conf_blocks(conf, "auths"); i++)
		if (slice_eq(word, slice_of(conf_text(conf_block_at(conf, "auths", i), "type"))))
			return conf_block_at(conf, "auths", i);
	return conf_block_at(conf, "auths", 0);
}

static void
pass(unsigned round)
{
	while (far_turn())
		;
	clock_fake_advance(round % 3 == 0 ? 20000 : 1800000);
	(void)loop_turn(loop, 0);
}

static void
ask_token(const struct conf *auth)
{
	struct token *t = NULL;
	struct err err = { 0 };

	has_key = false;
	is_arc = strcmp(conf_text(auth, "type"), "azure_arc") == 0;
	secret = strcmp(conf_text(auth, "type"), "client_secret") == 0 ? SLICE(SECRET) :
	    strcmp(conf_text(auth, "type"), "workload_identity") == 0 ? SLICE(FEDERATED) : SLICE_NONE;
	assert(token_open(&t, NULL, loop, auth, NULL, NULL, &err) == 0);
	for (unsigned round = 0; round < ROUNDS && far_script.n > 0; round++) {
		if (heard == asked) {
			asked++;
			token_get(t, got, &t);
		}
		pass(round);
		assert(heard <= asked && token_left_ms(t) <= LIFE_MOST_MS);
		if (round % 4 == 3)
			token_spoiled(t);
	}
	token_close(t);
	assert(!far_waits());
}

#ifdef WITH_KAFKA
static void
ask_kafka(void)
{
	struct kafka_token *t = NULL;
	static char clients[2];
	struct err err = { 0 };

	is_arc = has_key = broker_refuses = false;
	secret = SLICE_NONE;
	assert(kafka_token_open(&t, loop, conf_block(conf, "kafka"), &err) == 0);
	for (unsigned round = 0; round < ROUNDS && far_script.n > 0; round++) {
		struct err why = { .kind = ERR_DENIED, .text = "kafka: authentication failed" };

		kafka_token_refresh(t, (rd_kafka_t *)(void *)&clients[round % 2]);
		pass(round);
		if (round % 4 == 1)
			kafka_token_explain(t, &why);
		else if (round % 4 == 2)
			kafka_token_settle(t, &why);
		else if (round % 4 == 3)
			kafka_token_good(t);
		check_words(why.text);
	}
	kafka_token_close(t);
	assert(!far_waits());
}
#endif

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice word;

	open_once();
	far_script = slice_make(data, n);
	word = slice_trim(next_part(&far_script, FAR_BETWEEN));
	asked = heard = 0;
	clock_fake(BEGAN_MS);
#ifdef WITH_KAFKA
	if (slice_eq(word, SLICE("kafka"))) {
		ask_kafka();
		return 0;
	}
#endif
	ask_token(auth_of(word));
	return 0;
}
