/* SPDX-License-Identifier: ISC */
/*
 * The end of a channel. A non-blocking recvmsg(2) on a SEQPACKET socket may say
 * "end of file" although the peer's last messages are in the queue: when they
 * were sent, and the peer closed, between the kernel's look at the queue and its
 * look at the shutdown. This test's own recvmsg() plays that order.
 */
#include "proto/msg.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int early; /* so many answers "end of file" come too early */
static int calls;

ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	calls++;
	if (early > 0) {
		early--;
		mh->msg_controllen = 0;
		mh->msg_flags = 0;
		return 0;
	}
	return syscall(SYS_recvmsg, fd, mh, flags);
}

static struct chan sup, cli;
static struct msg m;

static void make(void)
{
	int fds[2];
	assert_int_equal(msg_pair(fds, NULL), 0);
	sup = (struct chan){ fds[0], ROLE_SUPER, ROLE_CLI, STATE_RUN };
	cli = (struct chan){ fds[1], ROLE_CLI, ROLE_SUPER, STATE_RUN };
	early = calls = 0;
}

static void last_words(void **arg)
{
	(void)arg;
	struct rep_end end = { .status = -EBUSY, .text = "it was busy" };
	make();
	assert_int_equal(msg_send(&sup, MSG_REP_END, 7, &end, sizeof(end), NULL, 0), 0);
	chan_close(&sup);
	early = 1;
	assert_int_equal(msg_recv(&cli, &m, NULL), 1);
	assert_int_equal(m.type, MSG_REP_END);
	assert_string_equal(MSG_BODY_AS(&m, rep_end)->text, "it was busy");
	assert_int_equal(msg_recv(&cli, &m, NULL), -EPIPE);
	chan_close(&cli);
}

static void last_fds(void **arg)
{
	(void)arg;
	struct rep_fds rep = { .kind = 0 };
	int fd = dup(2);
	make();
	assert_int_equal(msg_send(&sup, MSG_REP_FDS, 7, &rep, sizeof(rep), &fd, 1), 0);
	close(fd);
	chan_close(&sup);
	early = 1;
	assert_int_equal(msg_recv(&cli, &m, NULL), 1);
	assert_int_equal(m.nfds, 1);
	msg_close_fds(&m);
	chan_close(&cli);
}

/* Bounded: an end is looked at twice, and an empty packet ends the channel. */
static void real_end(void **arg)
{
	(void)arg;
	make();
	chan_close(&sup);
	assert_int_equal(msg_recv(&cli, &m, NULL), -EPIPE);
	assert_int_equal(calls, 2);
	chan_close(&cli);
	make();
	assert_int_equal(send(sup.fd, "", 0, 0), 0);
	assert_int_equal(msg_recv(&cli, &m, NULL), -EPIPE);
	chan_close(&sup);
	chan_close(&cli);
	make();
	assert_int_equal(msg_recv(&cli, &m, NULL), 0);
	chan_close(&sup);
	chan_close(&cli);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words),
		cmocka_unit_test(last_fds),
		cmocka_unit_test(real_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
