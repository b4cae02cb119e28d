/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a capture: every record lies within the bytes, the reader comes to
 * an end, and it reads from memory as it reads from a file.
 */
#include "pcap/pcap.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

/* Reads all; a number made of everything that was read. */
static uint64_t all(struct pcap_reader *r, const uint8_t *data, size_t size, bool memory)
{
	static uint8_t room[70000];
	struct pcap_record rec;
	uint64_t h = 1, n = 0, before = 0;
	int got;
	while ((got = pcap_reader_next(r, &rec, NULL)) == 1) {
		struct slice f;
		uint32_t wire;
		bool made;
		if (++n > size || r->at <= before || r->at > size || rec.wirelen < rec.bytes.n ||
		    rec.iface >= r->nifaces)
			abort();
		before = r->at;
		if (memory && rec.bytes.n && (rec.bytes.p < data || rec.bytes.n > (size_t)(data + size - rec.bytes.p)))
			abort();
		h = mix(h, rec.bytes.p, rec.bytes.n);
		h = mix(h, rec.comment.p, rec.comment.n);
		h = mix(h, (const uint8_t *)&rec.time, sizeof(rec.time));
		if (pcap_ethernet(&rec, room, sizeof(room), &f, &wire, &made)) {
			if (wire < f.n || (made && f.p != room))
				abort();
			h = mix(h, f.p, f.n);
		}
	}
	return mix(h, (const uint8_t *)&got, sizeof(got)) + r->cut;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t window[PCAP_WINDOW_MIN];
	static struct pcap_reader r;
	static int fd = -1;
	int a = pcap_reader_memory(&r, slice_of(data, size), NULL);
	uint64_t x = a == 0 ? all(&r, data, size, true) : 0;
	if (fd < 0 && (fd = memfd_create("pcap", 0)) < 0)
		abort();
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	int b = pcap_reader_open(&r, fd, window, sizeof(window), NULL);
	uint64_t y = b == 0 ? all(&r, data, size, false) : 0;
	if (a != b || x != y)
		abort();
	return 0;
}
