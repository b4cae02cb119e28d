/* SPDX-License-Identifier: ISC */
#include "skt_fixture.h"

#include "support.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

void skt_path(char *buf, size_t cap, const char *net, const char *file)
{
	char path[300];
	static const char *const sub[] = { "", "/evidence", "/evidence/sessions", "/evidence/events" };
	snprintf(path, sizeof(path), "%s/nets", state);
	mkdir(path, 0700);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/nets/%s%s", state, net, sub[i]);
		mkdir(path, 0700);
	}
	snprintf(buf, cap, "%s/nets/%s/evidence/%s", state, net, file);
}

void skt_open(struct skt_writer *w, const char *net, const char *honeypot, unsigned number)
{
	char path[400], file[100];
	struct intro_file head = { .magic = INTRO_FILE_MAGIC, .format = INTRO_FORMAT };
	*w = (struct skt_writer){ .time = T0, .comm = "bash" };
	snprintf(w->honeypot, sizeof(w->honeypot), "%s", honeypot);
	if (number)
		snprintf(file, sizeof(file), "sessions/%s.%06u.skt", honeypot, number);
	else
		snprintf(file, sizeof(file), "sessions/%s.skt", honeypot);
	skt_path(path, sizeof(path), net, file);
	w->f = fopen(path, "abe");
	assert_non_null(w->f);
	snprintf(head.honeynet, sizeof(head.honeynet), "%s", net);
	snprintf(head.honeypot, sizeof(head.honeypot), "%s", honeypot);
	if (ftell(w->f) == 0) {
		w->time = T0 + number;
		skt_put(w, INTRO_NONE, &head, sizeof(head));
		w->seq = 0;
		w->time = T0 + MS;
	}
}

void skt_close(struct skt_writer *w)
{
	assert_int_equal(fclose(w->f), 0);
}

void skt_put(struct skt_writer *w, unsigned kind, const void *body, size_t n)
{
	static const uint8_t zero[8];
	struct intro_rec r = { .len = (uint32_t)(sizeof(r) + n),
			       .kind = (uint16_t)kind,
			       .flags = w->flags,
			       .seq = kind == INTRO_NONE ? 0 : ++w->seq,
			       .time = w->time,
			       .session = w->session,
			       .pid = w->pid,
			       .ppid = w->ppid,
			       .uid = w->uid,
			       .tty = w->tty };
	strncpy(r.comm, w->comm, sizeof(r.comm) - 1);
	fwrite(&r, 1, sizeof(r), w->f);
	fwrite(body, 1, n, w->f);
	fwrite(zero, 1, -r.len & 7, w->f);
	fflush(w->f);
	w->time += MS;
	w->flags = 0;
}

static size_t add(uint8_t *b, size_t n, const char *text)
{
	memcpy(b + n, text, strlen(text) + 1);
	return n + strlen(text) + 1;
}

void skt_begin(struct skt_writer *w, uint64_t id, const char *peer, uint16_t port, const char *user)
{
	uint8_t b[200];
	struct intro_session s = { .start = w->time,
				   .proto = IPPROTO_TCP,
				   .family = 4,
				   .service = INTRO_SVC_SSH,
				   .local_port = 22,
				   .peer_port = port };
	inet_pton(AF_INET, "192.0.2.10", s.local);
	inet_pton(AF_INET, peer, s.peer);
	w->session = id;
	memcpy(b, &s, sizeof(s));
	skt_put(w, INTRO_SESSION, b, add(b, sizeof(s), user));
}

void skt_finish(struct skt_writer *w)
{
	struct intro_end end = { .start = T0, .end = w->time };
	skt_put(w, INTRO_END, &end, sizeof(end));
	w->session = 0;
}

void skt_io(struct skt_writer *w, unsigned dir, const void *p, size_t n)
{
	uint8_t b[INTRO_REC_MAX];
	uint32_t d = dir;
	memcpy(b, &d, 4);
	memcpy(b + 4, p, n);
	skt_put(w, INTRO_TTY, b, n + 4);
}

void skt_out(struct skt_writer *w, const char *text)
{
	skt_io(w, 1, text, strlen(text));
}

void skt_in(struct skt_writer *w, const char *text)
{
	skt_io(w, 0, text, strlen(text));
}

void skt_size(struct skt_writer *w, uint16_t rows, uint16_t cols)
{
	uint16_t v[2] = { rows, cols };
	skt_put(w, INTRO_WINSIZE, v, sizeof(v));
}

void skt_try(struct skt_writer *w, unsigned outcome, const char *user, const char *password)
{
	uint8_t b[400];
	uint32_t v[2] = { outcome, INTRO_AUTH_PASSWORD };
	memcpy(b, v, sizeof(v));
	size_t n = add(b, sizeof(v), user);
	skt_put(w, INTRO_LOGIN, b, add(b, n, password));
}

void skt_typed(struct skt_writer *w, const char *text)
{
	skt_put(w, INTRO_COMMAND, text, strlen(text) + 1);
}

void skt_run(struct skt_writer *w, int ret, const char *path, const char *args, size_t args_n, unsigned argc)
{
	uint8_t b[INTRO_REC_MAX];
	uint32_t v[2] = { (uint32_t)ret, argc };
	memcpy(b, v, sizeof(v));
	size_t n = add(b, sizeof(v), path);
	n = add(b, n, "/root");
	memcpy(b + n, args, args_n);
	skt_put(w, INTRO_EXEC, b, n + args_n);
}

void skt_fork(struct skt_writer *w, uint32_t child)
{
	skt_put(w, INTRO_FORK, &child, sizeof(child));
}

void skt_exit(struct skt_writer *w, uint32_t code)
{
	skt_put(w, INTRO_EXIT, &code, sizeof(code));
}

void skt_touch(struct skt_writer *w, unsigned op, const char *path, const char *to)
{
	uint8_t b[1000];
	uint32_t v[2] = { op, 0755 };
	memcpy(b, v, sizeof(v));
	size_t n = add(b, sizeof(v), path);
	skt_put(w, INTRO_FILE, b, add(b, n, to));
}

void skt_sock(struct skt_writer *w, unsigned op, const char *peer, uint16_t port)
{
	struct hook_socket s = {
		.op = (uint8_t)op, .proto = IPPROTO_TCP, .family = 4, .local_port = 40000, .peer_port = port
	};
	inet_pton(AF_INET, "192.0.2.10", s.local);
	inet_pton(AF_INET, peer, s.peer);
	skt_put(w, INTRO_SOCKET, &s, sizeof(s));
}

void skt_flow(const char *net, const char *peer, uint16_t port, uint64_t id)
{
	char path[400], text[1200];
	skt_path(path, sizeof(path), net, "events/000001.json");
	snprintf(
	    text, sizeof(text),
	    "{\"timestamp\":\"2026-11-23T10:08:01.000000+0000\",\"flow_id\":%llu,\"event_type\":\"flow\",\"src_ip\":\"%"
	    "s\","
	    "\"src_port\":%u,\"dest_ip\":\"192.0.2.10\",\"dest_port\":22,\"proto\":\"TCP\",\"flow\":{\"start\":"
	    "\"2026-11-23T10:07:20.500000+0000\",\"end\":\"2026-11-23T10:08:01.000000+0000\"},\"community_id\":\"1:abc="
	    "\"}\n"
	    "{\"timestamp\":\"2026-11-23T10:07:00.000000+0000\",\"event_type\":\"machine\",\"machine\":{\"eventid\":"
	    "\"skep.machine.running\",\"honeypot\":\"web1\",\"message\":\"quokka machine is running\"}}\n",
	    (unsigned long long)id, peer, port);
	write_file(path, text);
}
