/* SPDX-License-Identifier: ISC */
#include "proc/gateway/checksum.h"

uint32_t checksum_add(uint32_t sum, const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t acc = sum;
	while (n >= 8) {
		uint64_t w;
		memcpy(&w, b, 8);
		w = __builtin_bswap64(w);
		acc += (w >> 32) + (uint32_t)w;
		b += 8;
		n -= 8;
	}
	while (n >= 2) {
		acc += (uint32_t)(b[0] << 8 | b[1]);
		b += 2;
		n -= 2;
	}
	if (n)
		acc += (uint32_t)b[0] << 8;
	while (acc >> 32)
		acc = (acc & 0xffffffff) + (acc >> 32);
	return (uint32_t)acc;
}

uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint32_t checksum_pseudo(const struct tuple *t, uint32_t len)
{
	size_t n = t->family == 4 ? 4 : 16;
	uint32_t sum = checksum_add(0, t->saddr, n);
	sum = checksum_add(sum, t->daddr, n);
	return checksum_fold(sum) + t->proto + (len >> 16) + (len & 0xffff);
}
