/* SPDX-License-Identifier: ISC */
/*
 * The same frames through the gateway's real process, over its sockets, and through
 * `skep policy test`: the verdicts and the reasons are the same. argv[1] is the
 * skep binary.
 */
#include "tests.h"

#include "gwproc.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char yaml[] = "honeynet: judged\n"
			   "networks:\n  lan: {v4: 192.0.2.0/24, v6: 2001:db8::/64}\n"
			   "uplink: {lab: 198.51.100.0/24}\n"
			   "honeypots:\n"
			   "  pot0:\n    image: none\n    mac: 52:54:00:00:00:10\n"
			   "    address: [192.0.2.10, 2001:db8::10]\n"
			   "policy:\n"
			   "  outbound: {tcp: 6/hour, udp: 3/hour, icmp: 2/hour}\n"
			   "  fence: [198.51.100.200/32]\n"
			   "  black: [198.51.100.201/32]\n"
			   "  budget: {flow: {packets: 10}}\n"
			   "  rules:\n"
			   "    - {name: mail, do: drop, protocol: tcp, ports: 25}\n"
			   "    - {name: chat, do: reset, protocol: tcp, ports: 6667}\n"
			   "    - {name: web, do: limit, protocol: tcp, ports: 80, limit: 2/hour}\n";

static const char *skep;
static struct gwproc gw;
static struct ring_reader rings[2];
static int far[2]; /* the far ends of honeypot and uplink */
static struct model model;

#define FRAMES 400
static struct {
	uint8_t in; /* 0 honeypot, 1 uplink */
	uint8_t verdict, reason;
} live[FRAMES];
static unsigned nframes;
static FILE *capture;

/* ---- pcapng, as evidence writes it ------------------------------------------ */

static void le32(uint32_t v)
{
	fwrite(&v, sizeof(v), 1, capture);
}

static void interface(const char *name)
{
	char text[16] = { 0 };
	uint16_t n = (uint16_t)strlen(name);
	uint32_t padded = (n + 3u) & ~3u, len = 16 + 4 + padded + 4 + 4 + 4 + 4;
	memcpy(text, name, n);
	le32(1);
	le32(len);
	le32(1);
	le32(0);
	le32(2u | (uint32_t)n << 16);
	fwrite(text, padded, 1, capture);
	le32(9u | 1u << 16);
	le32(9);
	le32(0);
	le32(len);
}

static void capture_begin(void)
{
	le32(0x0a0d0d0a);
	le32(28);
	le32(0x1a2b3c4d);
	le32(1);
	le32(0xffffffff);
	le32(0xffffffff);
	le32(28);
	interface("pot0");
	interface("uplink-lan");
}

static void capture_add(uint32_t in, const uint8_t *p, size_t n)
{
	static const uint8_t zero[4];
	uint64_t time = 1767607200ull * SEC + nframes * 1000000ull;
	uint32_t pad = -(uint32_t)n & 3, len = (uint32_t)n + pad + 32;
	le32(6);
	le32(len);
	le32(in);
	le32((uint32_t)(time >> 32));
	le32((uint32_t)time);
	le32((uint32_t)n);
	le32((uint32_t)n);
	fwrite(p, n, 1, capture);
	fwrite(zero, pad, 1, capture);
	le32(len);
}

/* ---- the real process --------------------------------------------------------- */

static void port(unsigned i, struct gw_port *c)
{
	int p[2], size = 1 << 20;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
	setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	far[i] = p[0];
	assert_int_equal(gwproc_port(&gw, c, p[1], 1 << 20, &rings[i]), 0);
}

static void policy(void)
{
	struct gw_policy body = { .n = 1, .generation = 1 };
	struct gw_policy_entry x = { .policy = model.honeypots[0].policy };
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, &model.pool, sizeof(model.pool)), sizeof(model.pool));
	assert_int_equal(write(fd, &x, sizeof(x)), sizeof(x));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(gwproc_command(&gw, MSG_GW_POLICY, &body, sizeof(body), &fd, 1), 0);
	close(fd);
}

/* What became of the frame that was just sent. */
static void judged(unsigned in)
{
	struct ring_entry h;
	const uint8_t *p;
	struct ring_frame r;
	for (int i = 0; i < 5000; i++) {
		while (ring_next(&rings[in], &h, &p) == 1) {
			if (h.kind != RING_FRAME)
				continue;
			memcpy(&r, p, sizeof(r));
			if (r.dir != FRAME_IN)
				continue;
			live[nframes].in = (uint8_t)in;
			live[nframes].verdict = r.verdict;
			live[nframes].reason = r.reason;
			ring_release(&rings[in]);
			return;
		}
		ring_release(&rings[in]);
		usleep(1000);
	}
	fail_msg("frame %u is in no ring", nframes);
}

static void both(unsigned in, const struct craft *c)
{
	static uint8_t frame[CRAFT_MAX], drain[CRAFT_MAX];
	size_t n = craft(c, frame);
	assert_true(nframes < FRAMES);
	assert_int_equal(send(far[in], frame, n, MSG_NOSIGNAL), n);
	judged(in);
	capture_add(in, frame, n);
	nframes++;
	for (unsigned i = 0; i < 2; i++)
		while (recv(far[i], drain, sizeof(drain), MSG_DONTWAIT) > 0)
			;
	/* Its other ring: copies that were made. */
	struct ring_entry h;
	const uint8_t *p;
	while (ring_next(&rings[!in], &h, &p) == 1)
		;
	ring_release(&rings[!in]);
}

/* ---- the frames ------------------------------------------------------------------ */

#define POT(...) both(0, &(struct craft){ OUT, __VA_ARGS__ })
#define UP(...) both(1, &(struct craft){ IN, __VA_ARGS__ })

static void conversations(void)
{
	for (uint16_t i = 0; i < 12; i++) {
		static const uint16_t ports[] = { 22, 25, 80, 6667 };
		uint16_t to = ports[i % 4], from = (uint16_t)(3000 + i);
		POT(.proto = 6, .sport = from, .dport = to, .flags = 2);
		POT(.proto = 6, .sport = from, .dport = to, .flags = 2);
		POT(.proto = 6, .sport = from, .dport = to, .flags = 16, .payload = 10);
	}
	for (uint16_t i = 0; i < 6; i++)
		POT(.proto = 17, .sport = 5000, .dport = (uint16_t)(100 + i), .payload = 50);
	for (uint16_t i = 0; i < 4; i++)
		POT(.proto = 1, .icmp_type = 8, .icmp_id = (uint16_t)(i + 1));
	UP(.proto = 6, .sport = 4000, .dport = 22, .flags = 2);
	for (unsigned i = 0; i < 14; i++) {
		POT(.proto = 6, .sport = 22, .dport = 4000, .flags = i ? 16 : 18, .payload = i ? 30 : 0);
		UP(.proto = 6, .sport = 4000, .dport = 22, .flags = 16);
	}
	UP(.proto = 17, .sport = 4000, .dport = 161, .payload = 20);
	POT(.proto = 17, .sport = 161, .dport = 4000, .payload = 20);
	POT(.proto = 132, .payload = 30);
}

static void oddities(void)
{
	both(0, &(struct craft){ .smac = "52:54:00:00:00:99",
				 .dmac = ROUTER_MAC,
				 .src = "192.0.2.10",
				 .dst = "198.51.100.9",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "192.0.2.99",
				 .dst = "198.51.100.9",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "192.0.2.10",
				 .dst = "198.51.100.200",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "192.0.2.10",
				 .dst = "198.51.100.201",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(1, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "198.51.100.9",
				 .dst = "192.0.2.10",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(1, &(struct craft){ .smac = ROUTER_MAC,
				 .dmac = "52:54:00:00:00:10",
				 .src = "192.0.2.10",
				 .dst = "192.0.2.10",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(1, &(struct craft){ .smac = ROUTER_MAC,
				 .dmac = "52:54:00:00:00:77",
				 .src = "198.51.100.9",
				 .dst = "192.0.2.77",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(1, &(struct craft){ .smac = ROUTER_MAC,
				 .dmac = "52:54:00:00:00:10",
				 .src = "198.51.100.201",
				 .dst = "192.0.2.10",
				 .proto = 6,
				 .sport = 9,
				 .dport = 99,
				 .flags = 2 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = "ff:ff:ff:ff:ff:ff",
				 .src = "192.0.2.10",
				 .dst = "192.0.2.1",
				 .arp_op = 1 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = "ff:ff:ff:ff:ff:ff",
				 .src = "192.0.2.1",
				 .dst = "192.0.2.7",
				 .arp_op = 1 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = "ff:ff:ff:ff:ff:ff",
				 .src = "192.0.2.10",
				 .dst = "192.0.2.255",
				 .proto = 17,
				 .sport = 137,
				 .dport = 137,
				 .payload = 50 });
	POT(.proto = 6, .sport = 7, .dport = 7, .flags = 2, .vlan = 5);
	POT(.proto = 6, .sport = 7, .dport = 7, .flags = 2, .bad_ip_sum = true);
	POT(.proto = 17, .sport = 7, .dport = 7, .payload = 9, .bad_sum = true);
	POT(.proto = 17, .sport = 7, .dport = 7, .payload = 9, .cut = 30);
	POT(.proto = 17, .sport = 68, .dport = 68, .payload = 9);
	POT(.proto = 6, .sport = 7, .dport = 7, .flags = 2, .ttl = 1);
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "2001:db8::10",
				 .dst = "2001:db8:ffff::1",
				 .proto = 6,
				 .sport = 8,
				 .dport = 88,
				 .flags = 2 });
	both(0, &(struct craft){ .smac = "52:54:00:00:00:10",
				 .dmac = ROUTER_MAC,
				 .src = "2001:db8::66",
				 .dst = "2001:db8:ffff::1",
				 .proto = 6,
				 .sport = 8,
				 .dport = 88,
				 .flags = 2 });
	both(1, &(struct craft){ .smac = ROUTER_MAC,
				 .dmac = "52:54:00:00:00:10",
				 .src = "2001:db8:ffff::1",
				 .dst = "2001:db8::10",
				 .proto = 6,
				 .sport = 8,
				 .dport = 22,
				 .flags = 2 });
}

/* ---- the comparison ---------------------------------------------------------------- */

static json_t *ask(const char *dir)
{
	char net[300], cap[300];
	int p[2], status;
	snprintf(net, sizeof(net), "%s/net.yaml", dir);
	snprintf(cap, sizeof(cap), "%s/frames.pcapng", dir);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		execl(skep, "skep", "policy", "test", cap, "--policy", net, "--packets", "--json", (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	FILE *in = fdopen(p[0], "r");
	json_t *all = json_array(), *one;
	while ((one = json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL)))
		json_array_append_new(all, one);
	fclose(in);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return all;
}

static void same_verdicts(void **state)
{
	(void)state;
	char dir[] = "/tmp/skep-judge-XXXXXX", path[300];
	static struct diag d;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(model_parse(yaml, sizeof(yaml) - 1, &model, &d), 0);
	snprintf(path, sizeof(path), "%s/net.yaml", dir);
	FILE *f = fopen(path, "w");
	fputs(yaml, f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/frames.pcapng", dir);
	capture = fopen(path, "w");
	assert_non_null(capture);

	struct gw_port c = gwproc_conf(0, PORT_SEQPACKET), u = gwproc_conf(WORLD_UPLINK, PORT_SEQPACKET);
	c.naddrs = model.honeypots[0].naddrs;
	memcpy(c.addrs, model.honeypots[0].addrs, sizeof(c.addrs));
	gwproc_start(&gw, skep);
	port(0, &c);
	port(1, &u);
	policy();
	capture_begin();
	conversations();
	oddities();
	fclose(capture);

	json_t *all = ask(dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/net.yaml", dir);
	unlink(path);
	rmdir(dir);
	assert_int_equal(json_array_size(all), nframes + 1); /* and the report */
	unsigned seen[REASON_COUNT] = { 0 }, kinds = 0;
	for (unsigned i = 0; i < nframes; i++) {
		const json_t *o = json_array_get(all, i);
		const char *v = json_string_value(json_object_get(o, "verdict"));
		const char *r = json_string_value(json_object_get(o, "reason"));
		if (strcmp(v, verdict_name(live[i].verdict)) != 0 || strcmp(r, reason_name(live[i].reason)) != 0)
			fail_msg("frame %u (%s): %s %s in the gateway, %s %s in the test", i + 1,
				 json_string_value(json_object_get(o, "frame")), verdict_name(live[i].verdict),
				 reason_name(live[i].reason), v, r);
		kinds += !seen[live[i].reason]++;
	}
	json_decref(all);
	/* Or it would prove little. */
	assert_true(kinds >= 18);
	chan_close(&gw.chan);
	assert_int_equal(gwproc_wait(&gw), 0);
	for (unsigned i = 0; i < 2; i++) {
		ring_reader_close(&rings[i]);
		close(far[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_verdicts) };
	if (argc != 2)
		return 2;
	skep = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
