/* test_base_io.c - digests, gzip and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/sys.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- hash --------------------------------------------------------------------------------- */

static void
assert_digest(struct sha256 *h, const char *want)
{
	unsigned char digest[SHA256_BYTES];
	struct buf hex;

	buf_init(&hex, 100);
	sha256_finish(h, digest);
	buf_put_hex(&hex, digest, sizeof(digest));
	assert_true(slice_eq(buf_slice(&hex), slice_of(want)));
	buf_fini(&hex);
}

static void
sha256_gives_the_standards_digests_again_and_again(void **state)
{
	struct sha256 *h = sha256_new();

	(void)state;
	assert_non_null(h);
	for (int i = 0; i < 3; i++) {
		sha256_start(h);
		sha256_add(h, "abc", 3);
		assert_digest(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		sha256_start(h);
		assert_digest(h, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	}
	sha256_start(h);			/* in pieces; what was begun and not finished is forgotten */
	sha256_add(h, "zzz", 3);
	sha256_start(h);
	sha256_add(h, "abcdbcdecdefdefgefghfghighijhijk", 32);
	sha256_add(h, NULL, 0);
	sha256_add(h, "ijkljklmklmnlmnomnopnopq", 24);
	assert_digest(h, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	sha256_free(h);
	sha256_free(NULL);
}

static void
the_crc_is_that_of_ieee_and_goes_on_in_pieces(void **state)
{
	(void)state;
	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_ieee(crc32_ieee(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(crc32_ieee(0, "", 0), 0);
}

static void
siphash_gives_the_papers_values(void **state)
{
	/* appendix A of the paper, and the first and last of the authors' table */
	unsigned char key[16], data[64];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)i;
	assert_true(siphash24(key, data, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(siphash24(key, data, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(siphash24(key, data, 8) == UINT64_C(0x93f5f5799a932462));
	assert_true(siphash24(key, data, 63) == UINT64_C(0x958a324ceb064572));
}

static void
hashes_are_keyed_for_strangers_and_stable_for_ourselves(void **state)
{
	uint32_t seen = 0;
	char a[16] = "", b[16] = "";

	(void)state;
	assert_true(hash_keyed("abc", 3) == hash_keyed("abc", 3));
	assert_true(hash_keyed("abc", 3) != hash_keyed("abd", 3));
	assert_true(hash_stable("", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_stable("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_stable("foobar", 6) == UINT64_C(0x85944171f73967e8));
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (int i = 0; i < 500; i++) {
		uint32_t v = random_below(5);

		assert_in_range(v, 0, 4);
		seen |= 1u << v;
	}
	assert_int_equal(seen, 31);
	assert_int_equal(random_below(1), 0);
}

/* ---- gzip --------------------------------------------------------------------------------- */

static struct buf
text_of(size_t n)
{
	struct buf b;
	uint32_t random = 7;

	buf_init(&b, n);
	while (b.n < n) {
		random = random * 1103515245 + 12345;
		buf_putc(&b, "abcdefgh \n"[(random >> 20) % 10]);
	}
	return b;
}

static void
pack(struct slice in, struct buf *out)
{
	struct gzip_writer *w = gzip_writer_new(1);

	assert_non_null(w);
	assert_int_equal(gzip_compress(w, in, out, NULL), 0);
	gzip_writer_free(w);
}

static void
what_was_packed_unpacks_to_the_same(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 65535, 65536, 65537, 1000000 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf text = text_of(sizes[i]), packed, back;

		buf_init(&packed, 2 << 20);
		buf_init(&back, sizes[i]);		/* exactly enough is enough */
		pack(buf_slice(&text), &packed);
		assert_true(gzip_is(buf_slice(&packed)));
		assert_int_equal(gzip_decompress(buf_slice(&packed), &back, NULL), 0);
		assert_true(slice_eq(buf_slice(&text), buf_slice(&back)));
		buf_fini(&text);
		buf_fini(&packed);
		buf_fini(&back);
	}
	gzip_writer_free(NULL);
	gzip_reader_free(NULL);
	assert_false(gzip_is(SLICE("\x1f\x8b")));
}

static void
what_does_not_fit_packed_leaves_the_buffer_as_it_was(void **state)
{
	struct buf text = text_of(10000), out;
	struct gzip_writer *w = gzip_writer_new(6);
	struct err err = { 0 };

	(void)state;
	buf_init(&out, 300);
	buf_puts(&out, "before");
	assert_int_equal(gzip_compress(w, buf_slice(&text), &out, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_false(out.failed);
	assert_true(slice_eq(buf_slice(&out), SLICE("before")));
	assert_int_equal(gzip_compress(w, SLICE("small"), &out, &err), 0);	/* room for it, though not for the worst case */
	assert_int_equal(gzip_decompress(slice_make(out.p + 6, out.n - 6), &text, &err), -1);
	buf_reset(&text);
	assert_int_equal(gzip_decompress(slice_make(out.p + 6, out.n - 6), &text, &err), 0);
	assert_true(slice_eq(buf_slice(&text), SLICE("small")));
	gzip_writer_free(w);
	buf_fini(&out);
	buf_fini(&text);
}

static void
members_in_a_row_are_one_text_and_rubbish_behind_them_is_an_error(void **state)
{
	struct buf packed, back;
	struct err err = { 0 };

	(void)state;
	buf_init(&packed, 10000);
	buf_init(&back, 10000);
	pack(SLICE("one, "), &packed);
	pack(SLICE(""), &packed);
	pack(SLICE("two"), &packed);
	assert_int_equal(gzip_decompress(buf_slice(&packed), &back, &err), 0);
	assert_true(slice_eq(buf_slice(&back), SLICE("one, two")));
	buf_puts(&packed, "rubbish");
	buf_reset(&back);
	buf_puts(&back, "kept");
	assert_int_equal(gzip_decompress(buf_slice(&packed), &back, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_true(slice_eq(buf_slice(&back), SLICE("kept")));
	buf_fini(&packed);
	buf_fini(&back);
}

static void
every_cut_and_every_flipped_byte_is_noticed(void **state)
{
	struct buf text = text_of(500), packed, back;
	struct err err = { 0 };

	(void)state;
	buf_init(&packed, 10000);
	buf_init(&back, 10000);
	pack(buf_slice(&text), &packed);
	for (size_t n = 0; n < packed.n; n++) {
		err.kind = ERR_NONE;
		assert_int_equal(gzip_decompress(slice_make(packed.p, n), &back, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	for (size_t i = 10; i < packed.n; i++) {	/* behind the header, whose time and system mean nothing */
		packed.p[i] ^= 0x10;
		buf_reset(&back);
		if (gzip_decompress(buf_slice(&packed), &back, &err) == 0) {
			assert_int_equal(i, packed.n - 9);	/* the bits that fill up the last byte of the data */
			assert_true(slice_eq(buf_slice(&text), buf_slice(&back)));
		}
		packed.p[i] ^= 0x10;
	}
	assert_int_equal(gzip_decompress(SLICE("not gzip at all"), &back, &err), -1);
	assert_int_equal(gzip_decompress(SLICE_NONE, &back, &err), -1);
	buf_fini(&text);
	buf_fini(&packed);
	buf_fini(&back);
}

static void
a_bomb_stops_at_the_limit(void **state)
{
	struct buf zeros, packed, back;
	struct err err = { 0 };

	(void)state;
	buf_init(&zeros, 20 << 20);
	buf_init(&packed, 1 << 20);
	buf_init(&back, 100000);
	assert_true(buf_reserve(&zeros, 20 << 20));
	zeros.n = 20 << 20;
	pack(buf_slice(&zeros), &packed);
	assert_int_equal(gzip_decompress(buf_slice(&packed), &back, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_true(back.cap <= 100000);
	buf_fini(&zeros);
	buf_fini(&packed);
	buf_fini(&back);
}

static void
a_stream_comes_out_in_pieces_of_any_size(void **state)
{
	struct buf text = text_of(5000), packed, back;
	struct gzip_reader *r = gzip_reader_new();
	size_t at = 0, used, turns = 0;
	int rc = 0;

	(void)state;
	buf_init(&packed, 10000);
	buf_init(&back, 10000);
	pack(slice_make(text.p, 3000), &packed);
	pack(slice_make(text.p + 3000, 2000), &packed);
	while (at < packed.n || rc == 0) {
		size_t before = back.n, piece = packed.n - at < 7 ? packed.n - at : 7;

		rc = gzip_read(r, slice_make(packed.p + at, piece), &used, &back, 11, NULL);
		assert_true(rc >= 0);
		assert_true(back.n - before <= 11);
		at += used;
		assert_true(++turns < 10000);
	}
	assert_int_equal(rc, 1);
	assert_true(slice_eq(buf_slice(&text), buf_slice(&back)));
	assert_int_equal(gzip_read(r, SLICE("x"), &used, &back, 10, NULL), 0);	/* "\x1f" might have followed */
	assert_int_equal(gzip_read(r, SLICE("xxxxxxxxxxx"), &used, &back, 10, NULL), -1);
	gzip_reader_free(r);
	buf_fini(&text);
	buf_fini(&packed);
	buf_fini(&back);
}

/* ---- files -------------------------------------------------------------------------------- */

static char dir[64];

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/base-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static const char *
in_dir(const char *name)
{
	static char path[2][512];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static int
remove_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	(void)state;
	sys_reset();
	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlink(in_dir(e->d_name));
	closedir(d);
	return rmdir(dir);
}

static void
assert_content(const char *path, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(buf_read_file(&b, path, NULL), 0);
	assert_true(slice_eq(buf_slice(&b), slice_of(want)));
	buf_fini(&b);
}

static unsigned calls, dir_syncs;

static ssize_t
write_a_little(int fd, const void *p, size_t n)
{
	if (calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return write(fd, p, n < 3 ? n : 3);
}

static ssize_t
pwrite_a_little(int fd, const void *p, size_t n, off_t at)
{
	if (calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return pwrite(fd, p, n < 3 ? n : 3, at);
}

static ssize_t
pread_a_little(int fd, void *p, size_t n, off_t at)
{
	if (calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return pread(fd, p, n < 3 ? n : 3, at);
}

static void
short_and_interrupted_calls_are_finished(void **state)
{
	char back[32] = "";
	int fd = sys.open(in_dir("f"), O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	sys.write = write_a_little;
	sys.pwrite = pwrite_a_little;
	sys.pread = pread_a_little;
	assert_int_equal(sys_write_full(fd, "0123456789", 10), 0);
	assert_int_equal(sys_pwrite_full(fd, "abcdefgh", 8, 1), 0);
	assert_int_equal(sys_pread_full(fd, back, 8, 2), 8);
	assert_string_equal(back, "bcdefgh9");
	assert_int_equal(sys_pread_full(fd, back, 20, 6), 4);	/* the end of the file */
	close(fd);
	assert_int_equal(sys_pread_full(fd, back, 1, 0), -1);
	assert_int_equal(sys_write_full(fd, "x", 1), -1);
}

static void
a_replaced_file_is_new_whole_and_private(void **state)
{
	struct err err = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(sys_replace_file(in_dir("f"), "first, and longer", 17, &err), 0);
	assert_int_equal(sys_replace_file(in_dir("f"), "second", 6, &err), 0);
	assert_content(in_dir("f"), "second");
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access(in_dir("f.tmp"), F_OK), -1);
	assert_int_equal(sys_replace_file(in_dir("no/such"), "x", 1, &err), -1);
}

static int
fsync_full(int fd)
{
	(void)fd;
	errno = ENOSPC;
	return -1;
}

static int
fsync_interrupted(int fd)
{
	struct stat st;

	if (calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	assert_int_equal(fstat(fd, &st), 0);
	dir_syncs += S_ISDIR(st.st_mode);
	return fsync(fd);
}

static int
rename_not(const char *from, const char *to)
{
	(void)from;
	(void)to;
	errno = EIO;
	return -1;
}

static void
a_replacement_that_fails_leaves_the_old_file(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(sys_replace_file(in_dir("f"), "old", 3, NULL), 0);
	sys.fsync = fsync_full;
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(err.sys, ENOSPC);
	assert_content(in_dir("f"), "old");
	sys_reset();
	sys.rename = rename_not;
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, &err), -1);
	assert_int_equal(err.kind, ERR_AGAIN);
	assert_content(in_dir("f"), "old");
	assert_int_equal(access(in_dir("f.tmp"), F_OK), -1);
	sys_reset();
	sys.fsync = fsync_interrupted;
	calls = dir_syncs = 0;
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, &err), 0);
	assert_int_equal(dir_syncs, 1);		/* the rename lasts too */
	assert_content(in_dir("f"), "new");
}

static void
a_file_is_read_whole_or_not_at_all(void **state)
{
	struct buf text = text_of(200000), b;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(sys_replace_file(in_dir("f"), text.p, text.n, NULL), 0);
	buf_init(&b, 200000);
	assert_int_equal(buf_read_file(&b, in_dir("f"), &err), 0);
	assert_true(slice_eq(buf_slice(&b), buf_slice(&text)));
	buf_fini(&b);
	buf_init(&b, 199999);
	buf_puts(&b, "");
	assert_int_equal(buf_read_file(&b, in_dir("f"), &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "larger than 199999"));
	assert_int_equal(b.n, 0);
	assert_int_equal(buf_read_file(&b, in_dir("none"), &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(buf_read_file(&b, dir, &err), -1);
	assert_int_equal(err.sys, EISDIR);
	assert_int_equal(buf_read_file(&b, "/dev/null", &err), 0);
	buf_fini(&b);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_standards_digests_again_and_again),
		cmocka_unit_test(the_crc_is_that_of_ieee_and_goes_on_in_pieces),
		cmocka_unit_test(siphash_gives_the_papers_values),
		cmocka_unit_test(hashes_are_keyed_for_strangers_and_stable_for_ourselves),
		cmocka_unit_test(what_was_packed_unpacks_to_the_same),
		cmocka_unit_test(what_does_not_fit_packed_leaves_the_buffer_as_it_was),
		cmocka_unit_test(members_in_a_row_are_one_text_and_rubbish_behind_them_is_an_error),
		cmocka_unit_test(every_cut_and_every_flipped_byte_is_noticed),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(a_stream_comes_out_in_pieces_of_any_size),
		cmocka_unit_test_setup_teardown(short_and_interrupted_calls_are_finished, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_replaced_file_is_new_whole_and_private, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_replacement_that_fails_leaves_the_old_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_file_is_read_whole_or_not_at_all, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
