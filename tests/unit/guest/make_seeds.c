/* SPDX-License-Identifier: ISC */
/*
 * Writes the seeds of the fuzzers plan, hook and gmem: make_seeds DIRECTORY (that
 * of tests/fuzz/seeds). Run by hand when a format changes.
 */
#include "proto/hook.h"
#include "proto/ring.h"
#include "synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *place;

static void seed(const char *fuzzer, const char *name, const void *p, size_t n)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/%s/%s", place, fuzzer, name);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static uint8_t ring[1 << 16];
static size_t ring_n;
static uint64_t ring_seq;

static void entry(uint16_t kind, const void *p, size_t n)
{
	struct ring_entry e = { (uint32_t)(sizeof(e) + n), kind, 0, kind == RING_HOOK ? ++ring_seq : 0, 1000 };
	memcpy(ring + 8 + ring_n, &e, sizeof(e));
	memcpy(ring + 8 + ring_n + sizeof(e), p, n);
	ring_n += (sizeof(e) + n + 7) & ~(size_t)7;
	memcpy(ring, &ring_n, 8);
}

static void hook(enum hook_type type, const void *p, size_t n)
{
	uint8_t b[1024];
	struct hook_rec r = {
		.type = (uint16_t)type, .tgid = 10, .tid = 10, .ppid = 1, .task = 0x61000000, .comm = "sh"
	};
	memcpy(b, &r, sizeof(r));
	memcpy(b + sizeof(r), p, n);
	entry(RING_HOOK, b, sizeof(r) + n);
}
#define HOOK(type, text) hook(type, text, sizeof(text) - 1)

static void hooks(void)
{
	struct hook_socket s = { .op = HOOK_ACCEPT, .proto = 6, .family = 4, .local_port = 22, .peer_port = 4000 };
	struct ring_note note = { 3, 400 };
	HOOK(HOOK_HELLO, "\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0");
	seed("hook", "hello", ring, 8 + ring_n);
	HOOK(HOOK_TTY, "\3\0\0\1\1\0\0\0$ ls\r\n");
	HOOK(HOOK_WINSIZE, "\3\0\0\1\x18\0\x50\0");
	HOOK(HOOK_EXEC_TRY, "\2\0\0\0\x06\0\0\0/bin/ls\0/root\0ls\0-l");
	HOOK(HOOK_EXEC_MORE, "\5\0\0\0\0\0\0\0l");
	HOOK(HOOK_EXEC_DONE, "/bin/busybox\0");
	HOOK(HOOK_FORK, "\x0b\0\0\0\x0b\0\0\0");
	HOOK(HOOK_EXIT, "\0\1\0\0\1\0\0\0");
	HOOK(HOOK_OPEN, "\x41\0\0\0\xa4\x81\0\0/etc/passwd\0");
	HOOK(HOOK_RENAME, "/a\0/b\0");
	HOOK(HOOK_UNLINK, "\0\0\0\0\0\0\0\0/a\0");
	HOOK(HOOK_CHMOD, "\xed\1\0\0\0\0\0\0/a\0");
	hook(HOOK_SOCKET, &s, sizeof(s));
	HOOK(HOOK_MODULE, "crc7\0");
	HOOK(HOOK_CRED, "\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0");
	HOOK(HOOK_AUTH, "\0\0\0\x0b\x0c\0\0\0\6secret");
	seed("hook", "all", ring, 8 + ring_n);
	entry(RING_NOTE, &note, sizeof(note));
	ring_seq += 5;
	HOOK(HOOK_EXEC_DONE, "");
	seed("hook", "losses", ring, 8 + ring_n);
}

static void memory(void)
{
	static uint8_t m[HOOK_OFF_COUNT + 0x4000];
	uint8_t *ram = m + HOOK_OFF_COUNT;
	memset(m, 0, HOOK_OFF_COUNT);
	m[HOOK_OFF_TASK_PID] = 1;
	m[HOOK_OFF_TASK_TGID] = 2;
	m[HOOK_OFF_TASK_REAL_PARENT] = 4;
	m[HOOK_OFF_TASK_CRED] = 6;
	m[HOOK_OFF_TASK_COMM] = 8;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t parent = 0x60000000 + 64 * ((i + 7) % 8), cred = 0x60000000;
		ram[64 * i + 4] = ram[64 * i + 8] = (uint8_t)(i + 2);
		memcpy(ram + 64 * i + 16, &parent, 8);
		memcpy(ram + 64 * i + 24, &cred, 8);
		memcpy(ram + 64 * i + 32, "comm", 4);
	}
	seed("gmem", "tasks", m, HOOK_OFF_COUNT + 512);
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		/* From 0x100 + 64 i to 0x5fe00000, below the memory: not there. */
		int32_t rel = (int32_t)(0x3f00 - (0x100 + 64 * i + 5));
		ram[0x100 + 64 * i] = 0xe9;
		memcpy(ram + 0x101 + 64 * i, &rel, 4);
	}
	seed("gmem", "jumps", m, sizeof(m));
}

int main(int argc, char **argv)
{
	static struct synth s;
	static const char *const names[SYNTH_LAYOUTS] = { "offsets", "absolute", "seqs", "last" };
	if (argc != 2)
		return 2;
	place = argv[1];
	for (unsigned i = 0; i < SYNTH_LAYOUTS; i++) {
		synth_kernel(&s, (enum synth_layout)i, (int32_t)(16 * i));
		seed("plan", names[i], s.b, s.n);
	}
	hooks();
	memory();
	return 0;
}
