/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcap/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a writer of either byte order ----------------------------------------- */

static uint8_t file[1 << 16];
static size_t len;
static bool big;
static struct pcap_reader r;
static struct pcap_record rec;
static struct err e;

static void put(uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = big ? n - 1 - i : i;
		file[len++] = at < 8 ? (uint8_t)(v >> 8 * at) : 0;
	}
}

static void bytes(const void *p, size_t n)
{
	memcpy(file + len, p, n);
	len += n;
}

static void begin(bool swapped)
{
	/* What a test reads too much of is not what an earlier one wrote. */
	memset(file, 0xee, sizeof(file));
	len = 0;
	big = swapped;
	memset(&e, 0, sizeof(e));
}

static void classic(uint32_t magic, uint32_t link)
{
	put(magic, 4);
	put(2, 2);
	put(4, 2);
	put(0, 8);
	put(65535, 4);
	put(link, 4);
}

static void record(uint32_t sec, uint32_t frac, const char *text, uint32_t wire)
{
	put(sec, 4);
	put(frac, 4);
	put(strlen(text), 4);
	put(wire, 4);
	bytes(text, strlen(text));
}

static size_t block(uint32_t type)
{
	size_t at = len;
	put(type, 4);
	put(0, 4);
	return at;
}

static void end(size_t at)
{
	while (len & 3)
		put(0, 1);
	size_t now = len + 4;
	len = at + 4;
	put(now - at, 4);
	len = now - 4;
	put(now - at, 4);
}

static void opt(uint16_t code, const void *p, uint16_t n)
{
	put(code, 2);
	put(n, 2);
	bytes(p, n);
	while (len & 3)
		put(0, 1);
}

static void section(void)
{
	size_t at = block(0x0a0d0d0a);
	put(0x1a2b3c4d, 4);
	put(1, 2);
	put(0, 2);
	put(UINT64_MAX, 8);
	end(at);
}

static void iface(uint16_t link, const char *name, int tsresol, int64_t tsoffset)
{
	size_t at = block(1);
	put(link, 2);
	put(0, 2);
	put(0, 4);
	if (name)
		opt(2, name, (uint16_t)strlen(name));
	if (tsresol >= 0)
		opt(9, &(uint8_t){ (uint8_t)tsresol }, 1);
	if (tsoffset) {
		put(14, 2);
		put(8, 2);
		put((uint64_t)tsoffset, 8);
	}
	put(0, 4);
	end(at);
}

static void epb(uint32_t i, uint64_t ts, const char *text, uint32_t wire, int dir, const char *comment)
{
	size_t at = block(6);
	put(i, 4);
	put(ts >> 32, 4);
	put(ts & 0xffffffff, 4);
	put(strlen(text), 4);
	put(wire, 4);
	bytes(text, strlen(text));
	while (len & 3)
		put(0, 1);
	if (comment)
		opt(1, comment, (uint16_t)strlen(comment));
	if (dir) {
		put(2, 2);
		put(4, 2);
		put((uint32_t)dir, 4);
	}
	put(0, 4);
	end(at);
}

static int open_it(void)
{
	return pcap_reader_memory(&r, slice_of(file, len), &e);
}

static void next_is(const char *text, uint64_t time)
{
	assert_int_equal(pcap_reader_next(&r, &rec, &e), 1);
	assert_int_equal(rec.bytes.n, strlen(text));
	assert_memory_equal(rec.bytes.p, text, rec.bytes.n);
	assert_true(rec.time == time);
}

static void at_end(bool cut)
{
	assert_int_equal(pcap_reader_next(&r, &rec, &e), 0);
	assert_int_equal(r.cut, cut);
}

/* ---- pcap ------------------------------------------------------------------ */

static void classic_of_four_kinds(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		bool nano = i & 2;
		begin(i & 1);
		classic(nano ? 0xa1b23c4d : 0xa1b2c3d4, 1);
		record(7, 5, "first", 5);
		record(8, 999999, "a second one", 1500);
		assert_int_equal(open_it(), 0);
		next_is("first", 7000000000ull + (nano ? 5 : 5000));
		assert_int_equal(rec.wirelen, 5);
		assert_true(rec.timed && rec.link == 1);
		next_is("a second one", 8000000000ull + (nano ? 999999 : 999999000));
		assert_int_equal(rec.wirelen, 1500);
		at_end(false);
	}
}

static void checksums_of_frames_are_taken_off(void **state)
{
	(void)state;
	begin(false);
	classic(0xa1b2c3d4, 0x24000001); /* 2 units of 16 bits */
	record(1, 0, "frame....", 9);
	record(1, 0, "cut", 9);
	assert_int_equal(open_it(), 0);
	next_is("frame", 1000000000);
	assert_int_equal(rec.wirelen, 5);
	next_is("cut", 1000000000);
	assert_int_equal(rec.wirelen, 5);
}

/* A file that ends anywhere: nothing is read behind it, whole records are found. */
static void every_truncation(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		size_t ends[3];
		begin(kind & 1);
		if (kind < 2) {
			classic(0xa1b2c3d4, 1);
		} else {
			section();
			iface(1, "eth0", 9, 0);
		}
		ends[0] = len;
		for (int i = 1; i < 3; i++) {
			if (kind < 2)
				record(1, 0, "thirteen byte", 13);
			else
				epb(0, 5, "thirteen byte", 13, 1, "verdict=drop");
			ends[i] = len;
		}
		for (size_t n = 0; n <= ends[2]; n++) {
			uint8_t *exact = malloc(n ? n : 1);
			memcpy(exact, file, n);
			int got = pcap_reader_memory(&r, slice_of(exact, n), &e), seen = 0;
			if (got < 0) {
				assert_true(n < ends[0]);
				free(exact);
				continue;
			}
			while ((got = pcap_reader_next(&r, &rec, &e)) == 1)
				seen++;
			assert_int_equal(got, 0);
			assert_int_equal(seen, n >= ends[2] ? 2 : n >= ends[1] ? 1 : 0);
			if (n >= ends[0])
				assert_int_equal(r.cut, n != ends[0] && n != ends[1] && n != ends[2]);
			free(exact);
		}
	}
}

static void hostile_lengths_of_pcap(void **state)
{
	(void)state;
	static const uint32_t lengths[] = { 0xffffffff, 0xfffffff0, 0x80000000, 1u << 24, 1u << 20, PCAP_RECORD_MAX };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		begin(false);
		classic(0xa1b2c3d4, 1);
		put(0, 8);
		put(lengths[i], 4);
		put(10, 4);
		bytes("0123456789", 10);
		assert_int_equal(open_it(), 0);
		assert_int_equal(pcap_reader_next(&r, &rec, &e), -EBADMSG);
		assert_non_null(strstr(e.text, "at byte 24"));
	}
	/* One that could be, but is not all there: the file was cut. */
	begin(false);
	classic(0xa1b2c3d4, 1);
	put(0, 8);
	put(11, 4);
	put(11, 4);
	bytes("0123456789", 10);
	assert_int_equal(open_it(), 0);
	at_end(true);
}

static void no_captures(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(open_it(), -EINVAL);
	bytes("\x1f\x8b\x08\0\0\0\0\0", 8);
	assert_int_equal(open_it(), -EINVAL);
	assert_non_null(strstr(e.text, "compressed"));
	begin(false);
	bytes("name: honeynet\n and so on, and on", 30);
	assert_int_equal(open_it(), -EINVAL);
	begin(false);
	put(0xa1b2c3d4, 4);
	put(9, 2);
	put(9, 2);
	put(0, 8);
	put(0, 8);
	assert_int_equal(open_it(), -EINVAL);
	uint8_t small[16];
	assert_int_equal(pcap_reader_open(&r, 0, small, sizeof(small), &e), -EINVAL);
}

/* ---- pcapng ---------------------------------------------------------------- */

static void sections_and_interfaces(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(i);
		section();
		iface(1, "web", 9, 0);
		iface(101, NULL, -1, 0);          /* microseconds */
		iface(1, "shifted", 3, 100);      /* milliseconds, 100 s later */
		iface(1, "binary", 0x80 | 10, 0); /* 1/1024 s */
		iface(1, "pico", 12, 0);
		epb(0, 123456789, "nano", 4, 1, "verdict=drop reason=denied");
		epb(1, 123, "micro", 5, 2, NULL);
		epb(2, 5, "milli", 5, 0, NULL);
		epb(3, 1536, "binary", 6, 0, NULL);
		epb(4, 5000, "pico", 4, 0, NULL);
		/* The other byte order from here on, and no interfaces of before. */
		big = !i;
		section();
		iface(113, "cooked", 6, -1);
		epb(0, 2000000, "second", 6, 0, NULL);
		assert_int_equal(open_it(), 0);
		next_is("nano", 123456789);
		assert_int_equal(rec.dir, PCAP_DIR_IN);
		assert_int_equal(rec.comment.n, 26);
		assert_string_equal(r.ifaces[rec.iface].name, "web");
		next_is("micro", 123000);
		assert_int_equal(rec.dir, PCAP_DIR_OUT);
		assert_int_equal(rec.link, 101);
		assert_int_equal(rec.comment.n, 0);
		next_is("milli", 100005000000ull);
		next_is("binary", 1500000000);
		next_is("pico", 5);
		next_is("second", 1000000000);
		assert_int_equal(rec.link, 113);
		assert_string_equal(r.ifaces[rec.iface].name, "cooked");
		at_end(false);
	}
}

static void other_blocks(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(i);
		section();
		iface(1, NULL, 9, 0);
		size_t at = block(5); /* statistics */
		put(0, 12);
		end(at);
		at = block(0x0bad);
		bytes("a custom one, of some length", 28);
		end(at);
		at = block(3); /* simple packet, with padding */
		put(5, 4);
		bytes("simple", 5);
		end(at);
		at = block(2); /* obsolete packet */
		put(0, 2);
		put(77, 2); /* drops */
		put(0, 4);
		put(9, 4);
		put(3, 4);
		put(60, 4);
		bytes("old", 3);
		end(at);
		assert_int_equal(open_it(), 0);
		next_is("simpl", 0);
		assert_false(rec.timed);
		next_is("old", 9);
		assert_int_equal(rec.wirelen, 60);
		at_end(false);
	}
}

static void breaks(void (*damage)(void))
{
	begin(false);
	section();
	iface(1, NULL, 9, 0);
	damage();
	epb(0, 1, "after", 5, 0, NULL);
	assert_int_equal(open_it(), 0);
	assert_int_equal(pcap_reader_next(&r, &rec, &e), -EBADMSG);
}

static void length_zero(void)
{
	put(6, 4);
	put(0, 4);
}

static void length_odd(void)
{
	put(6, 4);
	put(33, 4);
	put(0, 25);
	put(33, 4);
}

static void lengths_differ(void)
{
	size_t at = len;
	epb(0, 1, "text", 4, 0, NULL);
	file[at + 4] ^= 4;
}

static void caplen_too_long(void)
{
	size_t at = len;
	epb(0, 1, "text", 4, 0, NULL);
	file[at + 20] = 9;
}

static void caplen_huge(void)
{
	size_t at = len;
	epb(0, 1, "text", 4, 0, NULL);
	memset(file + at + 20, 0xff, 4);
}

static void no_interface(void)
{
	epb(1, 1, "text", 4, 0, NULL);
}

static void too_long(void)
{
	put(6, 4);
	put(PCAP_RECORD_MAX + 4, 4);
}

static void section_without_order(void)
{
	size_t at = len;
	section();
	file[at + 8] = 0;
}

static void interfaces_without_end(void)
{
	for (unsigned i = 0; i < PCAP_IFACES; i++)
		iface(1, NULL, -1, 0);
}

static void hostile_blocks(void **state)
{
	(void)state;
	breaks(length_zero);
	breaks(length_odd);
	breaks(lengths_differ);
	breaks(caplen_too_long);
	breaks(caplen_huge);
	breaks(no_interface);
	breaks(too_long);
	breaks(interfaces_without_end);
	begin(false);
	section();
	section_without_order();
	assert_int_equal(open_it(), 0);
	assert_int_equal(pcap_reader_next(&r, &rec, &e), -EINVAL);
	/* Options that lie about their length end the options, not the packet. */
	begin(false);
	section();
	iface(1, NULL, 9, 0);
	size_t at = len;
	epb(0, 1, "text", 4, 0, "a comment");
	file[at + 34] = 0xff;
	assert_int_equal(open_it(), 0);
	next_is("text", 1);
	assert_int_equal(rec.comment.n, 0);
}

static void times_that_do_not_fit(void **state)
{
	(void)state;
	begin(false);
	section();
	iface(1, NULL, 0, 0);         /* seconds */
	iface(1, NULL, 9, -10);       /* before 1970 */
	iface(1, NULL, 127, 0);       /* 10^-127 */
	iface(1, NULL, 0xff, 0);      /* 2^-127 */
	iface(1, NULL, 9, INT64_MAX); /* after all times */
	for (unsigned i = 0; i < 5; i++)
		epb(i, UINT64_MAX >> (i == 1 ? 60 : 0), "x", 1, 0, NULL);
	assert_int_equal(open_it(), 0);
	next_is("x", UINT64_MAX);
	next_is("x", 0);
	next_is("x", 0);
	next_is("x", 0);
	next_is("x", UINT64_MAX);
}

/* ---- files, and the window -------------------------------------------------- */

static void window_moves(void **state)
{
	(void)state;
	enum { N = 400, SIZE = 9000 };
	static uint8_t window[PCAP_WINDOW_MIN];
	int fd = memfd_create("pcap", 0);
	assert_true(fd >= 0);
	begin(false);
	section();
	iface(1, NULL, 9, 0);
	assert_int_equal(write(fd, file, len), len);
	for (unsigned i = 0; i < N; i++) {
		static char text[SIZE + 1];
		memset(text, 'a' + i % 26, SIZE - i);
		text[SIZE - i] = 0;
		begin(false);
		epb(0, i, text, SIZE, 0, NULL);
		if (i % 7 == 0) {
			size_t at = block(0x0bad);
			memset(file + len, 6, 20000);
			len += 20000;
			end(at);
		}
		assert_int_equal(write(fd, file, len), len);
	}
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pcap_reader_open(&r, fd, window, sizeof(window), &e), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(pcap_reader_next(&r, &rec, &e), 1);
		assert_int_equal(rec.bytes.n, SIZE - i);
		assert_int_equal(rec.bytes.p[0], 'a' + i % 26);
		assert_int_equal(rec.bytes.p[SIZE - i - 1], 'a' + i % 26);
		assert_true(rec.time == i);
	}
	at_end(false);
	/* A block that is passed over may be larger than the window. */
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	begin(false);
	section();
	size_t huge = PCAP_WINDOW_MIN * 3;
	put(0x0bad, 4);
	put(huge, 4);
	assert_int_equal(write(fd, file, len), len);
	assert_true(lseek(fd, (off_t)(28 + huge - 4), SEEK_SET) > 0);
	begin(false);
	put(huge, 4);
	iface(1, NULL, 9, 0);
	epb(0, 4, "far behind", 10, 0, NULL);
	assert_int_equal(write(fd, file, len), len);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pcap_reader_open(&r, fd, window, sizeof(window), &e), 0);
	next_is("far behind", 4);
	at_end(false);
	close(fd);
	assert_int_equal(pcap_reader_open(&r, fd, window, sizeof(window), &e), -EBADF);
}

/* ---- link layers ------------------------------------------------------------ */

static bool ether(uint16_t link, const void *p, size_t n, struct slice *frame, uint32_t *wire, bool *made)
{
	static uint8_t room[256];
	rec = (struct pcap_record){ .bytes = slice_of(p, n), .wirelen = (uint32_t)n + 100, .link = link };
	return pcap_ethernet(&rec, room, sizeof(room), frame, wire, made);
}

static void link_layers(void **state)
{
	(void)state;
	struct slice f;
	uint32_t wire;
	bool made;
	uint8_t p[64] = { 0x45, 1, 2, 3 };
	assert_true(ether(1, p, 60, &f, &wire, &made));
	assert_true(!made && f.p == p && f.n == 60 && wire == 160);
	static const uint16_t raw[] = { 12, 101, 228 };
	for (int i = 0; i < 3; i++) {
		assert_true(ether(raw[i], p, 20, &f, &wire, &made));
		assert_true(made && f.n == 34 && wire == 134 && f.p[12] == 8 && f.p[13] == 0);
		assert_memory_equal(f.p + 14, p, 20);
		assert_memory_equal(f.p, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	}
	p[0] = 0x60;
	assert_true(ether(229, p, 40, &f, &wire, &made));
	assert_true(f.p[12] == 0x86 && f.p[13] == 0xdd);
	p[0] = 0x15;
	assert_false(ether(101, p, 40, &f, &wire, &made));
	assert_false(ether(101, p, 0, &f, &wire, &made));
	assert_false(ether(147, p, 40, &f, &wire, &made));
	static const uint8_t sll[] = { 0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 0x08, 0x00, 0x45, 0xaa };
	assert_true(ether(113, sll, sizeof(sll), &f, &wire, &made));
	assert_true(made && f.n == 16 && wire == 116 && f.p[6] == 2 && f.p[11] == 9 && f.p[12] == 8 && f.p[14] == 0x45);
	static const uint8_t sll2[] = { 0x86, 0xdd, 0, 0, 0, 0, 0, 2,    0,    1,    4,
					6,    2,    0, 0, 0, 0, 7, 0xff, 0xff, 0x60, 0xbb };
	assert_true(ether(276, sll2, sizeof(sll2), &f, &wire, &made));
	assert_true(made && f.n == 16 && f.p[11] == 7 && f.p[12] == 0x86 && f.p[14] == 0x60 && f.p[15] == 0xbb);
	for (size_t n = 0; n < 16; n++)
		assert_false(ether(113, sll, n, &f, &wire, &made));
	for (size_t n = 0; n < 20; n++)
		assert_false(ether(276, sll2, n, &f, &wire, &made));
	static uint8_t large[300] = { 0x45 };
	assert_false(ether(101, large, sizeof(large), &f, &wire, &made));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classic_of_four_kinds), cmocka_unit_test(checksums_of_frames_are_taken_off),
		cmocka_unit_test(every_truncation),      cmocka_unit_test(hostile_lengths_of_pcap),
		cmocka_unit_test(no_captures),           cmocka_unit_test(sections_and_interfaces),
		cmocka_unit_test(other_blocks),          cmocka_unit_test(hostile_blocks),
		cmocka_unit_test(times_that_do_not_fit), cmocka_unit_test(window_moves),
		cmocka_unit_test(link_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
