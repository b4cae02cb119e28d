/* SPDX-License-Identifier: ISC */
/* The tables of messages, verdicts and commands, and messages over a socket. */
#include "../base/cm.h"

#include "proto/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct msg m;

static void table_is_sane(void **state)
{
	(void)state;
	assert_null(proto_rule(MSG_NONE));
	assert_null(proto_rule(MSG_COUNT));
	assert_null(proto_rule(UINT32_MAX));
	for (uint32_t t = 1; t < MSG_COUNT; t++) {
		const struct proto_rule *r = proto_rule(t);
		assert_non_null(r);
		assert_true(r->min > 0 && r->min <= r->max && r->max <= MSG_BODY);
		assert_true(r->fds <= MSG_FDS);
		assert_true(r->from > ROLE_NONE && r->from < ROLE_COUNT && r->to > ROLE_NONE && r->to < ROLE_COUNT);
		assert_int_not_equal(r->from, r->to);
		assert_true(r->states && !(r->states & ~STATE_ANY));
		for (uint32_t o = 1; o < t; o++)
			assert_string_not_equal(r->name, proto_rule(o)->name);
		/* On the wire all is padded by hand: the same for every compiler. */
		assert_int_equal(r->min % 4, 0);
	}
}

/* Who may command whom: a new edge must be wanted. */
static void nobody_commands_upwards(void **state)
{
	(void)state;
	static const struct {
		enum role from, to;
	} edges[] = {
		{ ROLE_CLI, ROLE_SUPER },         { ROLE_SUPER, ROLE_CLI },           { ROLE_SUPER, ROLE_PRIV },
		{ ROLE_PRIV, ROLE_SUPER },        { ROLE_SUPER, ROLE_GATEWAY },       { ROLE_GATEWAY, ROLE_SUPER },
		{ ROLE_SUPER, ROLE_EVIDENCE },    { ROLE_EVIDENCE, ROLE_SUPER },      { ROLE_SUPER, ROLE_VMM },
		{ ROLE_VMM, ROLE_SUPER },         { ROLE_VMM, ROLE_EVIDENCE },        { ROLE_SUPER, ROLE_INTROSPECT },
		{ ROLE_INTROSPECT, ROLE_SUPER },  { ROLE_INTROSPECT, ROLE_EVIDENCE }, { ROLE_SUPER, ROLE_NOTIFY },
		{ ROLE_NOTIFY, ROLE_SUPER },      { ROLE_SUPER, ROLE_SINKHOLE },      { ROLE_SINKHOLE, ROLE_SUPER },
		{ ROLE_SINKHOLE, ROLE_EVIDENCE }, { ROLE_SUPER, ROLE_INSPECT },       { ROLE_INSPECT, ROLE_SUPER },
		{ ROLE_INSPECT, ROLE_EVIDENCE },  { ROLE_CLI, ROLE_JUDGE },           { ROLE_JUDGE, ROLE_CLI },
	};
	for (uint32_t t = 1; t < MSG_COUNT; t++) {
		const struct proto_rule *r = proto_rule(t);
		bool known = false;
		for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
			known |= edges[i].from == r->from && edges[i].to == r->to;
		if (!known)
			fail_msg("%s goes from %s to %s", r->name, role_name(r->from), role_name(r->to));
	}
}

static void checks_every_column(void **state)
{
	(void)state;
	struct err e;
	for (uint32_t t = 1; t < MSG_COUNT; t++) {
		const struct proto_rule *r = proto_rule(t);
		unsigned legal = r->states, illegal = STATE_ANY & ~legal;
		assert_int_equal(proto_check(t, r->min, r->fds, r->from, r->to, legal, &e), 0);
		assert_int_equal(proto_check(t, r->max, 0, r->from, r->to, legal, &e), 0);
		assert_int_equal(proto_check(t, r->min - 1, 0, r->from, r->to, legal, &e), -EPROTO);
		assert_int_equal(proto_check(t, r->max + 1, 0, r->from, r->to, legal, &e), -EPROTO);
		assert_int_equal(proto_check(t, UINT32_MAX, 0, r->from, r->to, legal, &e), -EPROTO);
		assert_int_equal(proto_check(t, r->min, r->fds + 1, r->from, r->to, legal, &e), -EPROTO);
		if (illegal)
			assert_int_equal(proto_check(t, r->min, 0, r->from, r->to, illegal, &e), -EPROTO);
		for (int role = 0; role < ROLE_COUNT; role++) {
			if (role != r->from)
				assert_int_equal(proto_check(t, r->min, 0, (enum role)role, r->to, legal, &e), -EPROTO);
			if (role != r->to)
				assert_int_equal(proto_check(t, r->min, 0, r->from, (enum role)role, legal, &e),
						 -EPROTO);
		}
		assert_non_null(strstr(e.text, r->name));
	}
	assert_int_equal(proto_check(MSG_COUNT, 0, 0, ROLE_CLI, ROLE_SUPER, STATE_ANY, &e), -EPROTO);
}

static void names_are_unique(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		assert_int_equal(reason_by_name(reason_name((unsigned)i)), i);
		assert_true(*reason_text((unsigned)i));
	}
	for (int i = 0; i < VERDICT_COUNT; i++)
		assert_int_equal(verdict_by_name(verdict_name((unsigned)i)), i);
	assert_int_equal(reason_by_name("nonsense"), -1);
	assert_int_equal(verdict_by_name(""), -1);
	assert_string_equal(reason_name(REASON_COUNT), "?");
	assert_string_equal(verdict_name(UINT32_MAX), "?");
	assert_string_equal(role_name((enum role)ROLE_COUNT), "?");
	assert_string_equal(role_name((enum role) - 1), "?");
	assert_string_equal(machine_state_name(MACHINE_RUNNING), "running");
	assert_string_equal(machine_state_name(MACHINE_STATE_COUNT), "?");
}

/* ---- over a socket ---- */

static struct chan cli, super;

static int setup(void **state)
{
	int fds[2];
	(void)state;
	if (msg_pair(fds, NULL) < 0)
		return -1;
	cli = (struct chan){ .fd = fds[0], .self = ROLE_CLI, .peer = ROLE_SUPER, .state = STATE_RUN };
	super = (struct chan){ .fd = fds[1], .self = ROLE_SUPER, .peer = ROLE_CLI, .state = STATE_RUN };
	memset(&m, 0, sizeof(m));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chan_close(&cli);
	chan_close(&super);
	return 0;
}

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void round_trip_with_fds(void **state)
{
	(void)state;
	int p[2], before = open_fds();
	struct cmd_apply body = { .flags = 5 };
	struct err e;
	assert_int_equal(msg_recv(&super, &m, &e), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(msg_send(&cli, MSG_CMD_APPLY, 0x1122334455667788ull, &body, sizeof(body), p, 2), 0);
	assert_int_equal(msg_recv(&super, &m, &e), 1);
	assert_int_equal(m.type, MSG_CMD_APPLY);
	assert_int_equal(m.len, sizeof(body));
	assert_int_equal(m.req, 0x1122334455667788ull);
	assert_int_equal(MSG_BODY_AS(&m, cmd_apply)->flags, 5);
	assert_int_equal(m.nfds, 2);
	int w = msg_take_fd(&m, 1);
	assert_int_equal(msg_take_fd(&m, 1), -1);
	assert_int_equal(msg_take_fd(&m, 2), -1);
	assert_int_equal(msg_take_fd(&m, -1), -1);
	assert_true(fcntl(w, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(w, "x", 1), 1);
	char c;
	assert_int_equal(read(p[0], &c, 1), 1); /* the sender's own are still open */
	msg_close_fds(&m);
	close(w);
	close(p[0]);
	close(p[1]);
	assert_int_equal(open_fds(), before);
}

static void sender_checks_itself(void **state)
{
	(void)state;
	struct cmd_ps ps = { 0 };
	char big[MSG_BODY + 8] = { 0 };
	int fds[MSG_FDS + 1] = { 0 };
	assert_int_equal(msg_send(&cli, MSG_CMD_PS, 1, &ps, sizeof(ps) - 1, NULL, 0), -EPROTO);
	assert_int_equal(msg_send(&cli, MSG_CMD_PS, 1, big, sizeof(big), NULL, 0), -EPROTO);
	assert_int_equal(msg_send(&cli, MSG_CMD_PS, 1, &ps, sizeof(ps), fds, 1), -EPROTO);
	assert_int_equal(msg_send(&cli, MSG_CMD_APPLY, 1, &ps, sizeof(ps), fds, MSG_FDS + 1), -EPROTO);
	assert_int_equal(msg_send(&cli, MSG_REP_END, 1, big, sizeof(struct rep_end), NULL, 0), -EPROTO);
	assert_int_equal(msg_send(&cli, MSG_COUNT, 1, &ps, sizeof(ps), NULL, 0), -EPROTO);
	assert_int_equal(msg_recv(&super, &m, NULL), 0); /* nothing of it was sent */
}

/* As a peer that does not use msg_send would. */
static void raw(const void *p, size_t n, const int *fds, unsigned nfds)
{
	struct iovec iov = { (void *)p, n };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int) * 64)];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (nfds) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&ctl.h), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(cli.fd, &mh, MSG_NOSIGNAL), n);
}

struct packet {
	uint32_t type, len;
	uint64_t req;
	uint8_t body[MSG_BODY + 64];
};
static struct packet packet;

static void refused(uint32_t type, uint32_t len, size_t sent)
{
	struct err e = { 0 };
	packet.type = type;
	packet.len = len;
	raw(&packet, sent, NULL, 0);
	assert_int_equal(msg_recv(&super, &m, &e), -EPROTO);
	assert_true(*e.text);
	assert_int_equal(m.nfds, 0);
}

static void receiver_refuses(void **state)
{
	(void)state;
	enum { HEAD = 16, PS = sizeof(struct cmd_ps) };
	refused(MSG_CMD_PS, PS, 1);                             /* shorter than a header */
	refused(MSG_CMD_PS, PS, HEAD);                          /* no body */
	refused(MSG_CMD_PS, PS, HEAD + PS + 1);                 /* longer than it says */
	refused(MSG_CMD_PS, PS - 1, HEAD + PS - 1);             /* too short for its type */
	refused(MSG_CMD_PS, PS + 1, HEAD + PS + 1);             /* too long for its type */
	refused(MSG_CMD_PS, MSG_BODY + 1, HEAD + MSG_BODY + 1); /* more than any message */
	refused(MSG_NONE, 4, HEAD + 4);
	refused(MSG_COUNT, 4, HEAD + 4);
	refused(UINT32_MAX, 4, HEAD + 4);
	refused(MSG_PRIV_QUIT, 4, HEAD + 4);                                         /* super's own to send */
	refused(MSG_REP_END, sizeof(struct rep_end), HEAD + sizeof(struct rep_end)); /* the other direction */
	super.state = STATE_INIT;
	refused(MSG_CMD_MACHINE, sizeof(struct cmd_machine), HEAD + sizeof(struct cmd_machine));
	super.state = STATE_RUN;
	packet.type = MSG_CMD_PS;
	packet.len = PS;
	raw(&packet, HEAD + PS, NULL, 0);
	assert_int_equal(msg_recv(&super, &m, NULL), 1); /* the channel itself still works */
}

static void fd_flood_leaves_nothing_open(void **state)
{
	(void)state;
	int fds[64], before = open_fds();
	memset(fds, 0, sizeof(fds));
	packet.type = MSG_CMD_APPLY;
	packet.len = sizeof(struct cmd_apply);
	for (unsigned n = proto_rule(MSG_CMD_APPLY)->fds + 1u; n <= 64; n++) {
		raw(&packet, 16 + packet.len, fds, n);
		assert_int_equal(msg_recv(&super, &m, NULL), -EPROTO);
		assert_int_equal(open_fds(), before);
	}
	raw(&packet, 5, fds, 2); /* broken, with fds */
	assert_int_equal(msg_recv(&super, &m, NULL), -EPROTO);
	assert_int_equal(open_fds(), before);
	raw(&packet, 0, fds, 8); /* an empty packet looks like the end */
	assert_int_equal(msg_recv(&super, &m, NULL), -EPIPE);
	assert_int_equal(open_fds(), before);
}

static void full_gone_and_late(void **state)
{
	(void)state;
	struct cmd_ps ps = { 0 };
	struct err e;
	int r = 0, sent = 0;
	while (!(r = msg_send(&cli, MSG_CMD_PS, 1, &ps, sizeof(ps), NULL, 0)))
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(msg_send_wait(&cli, MSG_CMD_PS, 1, &ps, sizeof(ps), NULL, 0, 10), -ETIMEDOUT);
	while (msg_recv(&super, &m, &e) == 1)
		sent--;
	assert_int_equal(sent, 0);
	assert_int_equal(msg_recv_wait(&super, &m, 10, &e), 0);
	assert_int_equal(msg_send_wait(&cli, MSG_CMD_PS, 7, &ps, sizeof(ps), NULL, 0, 10), 0);
	chan_close(&cli);
	assert_int_equal(msg_recv_wait(&super, &m, 1000, &e), 1); /* what was sent before the end still comes */
	assert_int_equal(m.req, 7);
	assert_int_equal(msg_recv_wait(&super, &m, 1000, &e), -EPIPE);
	struct rep_end end = { 0 };
	assert_int_equal(msg_send(&super, MSG_REP_END, 1, &end, sizeof(end), NULL, 0), -EPIPE);
	assert_int_equal(msg_send(&cli, MSG_CMD_PS, 1, &ps, sizeof(ps), NULL, 0), -EPIPE);
	assert_int_equal(msg_recv(&cli, &m, &e), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sane),
		cmocka_unit_test(nobody_commands_upwards),
		cmocka_unit_test(checks_every_column),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test_setup_teardown(round_trip_with_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(sender_checks_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(receiver_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(fd_flood_leaves_nothing_open, setup, teardown),
		cmocka_unit_test_setup_teardown(full_gone_and_late, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
