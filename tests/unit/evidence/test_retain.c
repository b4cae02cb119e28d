/* SPDX-License-Identifier: ISC */
/*
 * evidence: max-size and max-age, end to end: the real evidence process writes
 * sessions until the limits remove some, while skep's readers read. What was
 * removed is told with the hash that it had; the readers bear it.
 */
#include "base/ev.h"
#include "proc/evidence/intro.h"
#include "proto/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SID 0x0123456789abull

static char dir[64], text[1 << 16];
static pid_t evidence;
static struct chan super, intro;
static uint64_t seq, req;

/* Runs it with "$S" (skep), "$D" (evidence) and "$O" (a folder); both outputs in text. */
static int run(const char *script)
{
	FILE *p = popen(script, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = 0;
	int r = pclose(p);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static void succeeds(const char *script)
{
	int r = run(script);
	if (r != 0)
		fail_msg("%s: status %d\n%s", script, r, text);
}

static int setup(void **state)
{
	char sub[96];
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skep-retain-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(sub, sizeof(sub), "%s/evidence", dir);
	setenv("D", sub, 1);
	snprintf(sub, sizeof(sub), "%s/out", dir);
	setenv("O", sub, 1);
	setenv("S", getenv("SKEP"), 1);
	super.fd = intro.fd = -1;
	return run("mkdir $D $O");
}

static int teardown(void **state)
{
	char cmd[96];
	(void)state;
	if (evidence > 0) {
		kill(evidence, SIGKILL);
		waitpid(evidence, NULL, 0);
	}
	evidence = 0;
	chan_close(&super);
	chan_close(&intro);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return run(cmd);
}

static int ask(uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	static struct msg m;
	assert_int_equal(msg_send_wait(&super, type, ++req, body, n, fds, nfds, 1000), 0);
	do
		assert_int_equal(msg_recv_wait(&super, &m, 20000, NULL), 1);
	while (m.type != MSG_EV_DONE);
	return MSG_BODY_AS(&m, done)->status;
}

/* The evidence process, and an introspect process of honeypot web. */
static void begin(uint64_t max_bytes, uint64_t max_age)
{
	int pair[2], d = open(getenv("D"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(msg_pair(pair, NULL), 0);
	evidence = fork();
	if (!evidence) {
		int c = fcntl(pair[1], F_DUPFD, 10);
		d = fcntl(d, F_DUPFD, 10);
		dup2(c, 3);
		dup2(d, 4);
		close_range(5, ~0u, 0);
		execl(getenv("SKEP"), "skep", "--role=evidence", (char *)NULL);
		_exit(127);
	}
	close(d);
	close(pair[1]);
	super = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	struct ev_conf conf = { .honeynet = "demo",
				.version = "0.1",
				.conf = { .rotate_bytes = 64 << 10, .max_bytes = max_bytes, .max_age = max_age } };
	struct ev_source_add a = { .role = ROLE_INTROSPECT, .honeypot = "web" };
	assert_int_equal(ask(MSG_EV_CONF, &conf, sizeof(conf), NULL, 0), 0);
	assert_int_equal(msg_pair(pair, NULL), 0);
	assert_int_equal(ask(MSG_EV_SOURCE, &a, sizeof(a), &pair[0], 1), 0);
	close(pair[0]);
	intro = (struct chan){ .fd = pair[1], .self = ROLE_INTROSPECT, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	seq = 0;
}

static void end(void)
{
	uint32_t zero = 0;
	int st;
	assert_int_equal(ask(MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0), 0);
	assert_int_equal(waitpid(evidence, &st, 0), evidence);
	evidence = 0;
	assert_int_equal(st, 0);
	chan_close(&super);
	chan_close(&intro);
}

static size_t put(uint8_t *b, unsigned kind, const void *payload, size_t n)
{
	struct intro_rec r = { .len = (uint32_t)(sizeof(r) + n),
			       .kind = (uint16_t)kind,
			       .seq = ++seq,
			       .time = ev_realtime(),
			       .session = SID,
			       .pid = 400,
			       .ppid = 1,
			       .tty = HOOK_TTY_ID(HOOK_TTY_PTY, 0),
			       .comm = "bash" };
	memcpy(b, &r, sizeof(r));
	memcpy(b + sizeof(r), payload, n);
	memset(b + sizeof(r) + n, 0, -r.len & 7u);
	return sizeof(r) + n + (-r.len & 7u);
}

/* Sixteen KiB of a session: output, and a command. */
static void batch(void)
{
	static uint8_t b[sizeof(struct ev_intro) + 24576], tty[4 + 8000];
	static const struct intro_session who = { .start = 1800000000000000000ull,
						  .proto = 6,
						  .family = 4,
						  .service = INTRO_SVC_SSH,
						  .local_port = 22,
						  .peer_port = 45400,
						  .local = { 198, 51, 100, 10 },
						  .peer = { 203, 0, 113, 77 } };
	uint8_t s[sizeof(who) + 5];
	size_t n = sizeof(struct ev_intro);
	memset(tty + 4, 'x', sizeof(tty) - 4);
	tty[0] = 1;
	memcpy(s, &who, sizeof(who));
	memcpy(s + sizeof(who), "root", 5);
	n += put(b + n, INTRO_SESSION, s, sizeof(s));
	n += put(b + n, INTRO_TTY, tty, sizeof(tty));
	n += put(b + n, INTRO_COMMAND, "uname -a", 9);
	n += put(b + n, INTRO_TTY, tty, sizeof(tty));
	struct ev_intro head = { .n = 4 };
	memcpy(b, &head, sizeof(head));
	assert_int_equal(msg_send_wait(&intro, MSG_EV_INTRO, 0, b, n, NULL, 0, 5000), 0);
}

static bool comes(const char *script)
{
	for (int i = 0; i < 400; i++) {
		if (run(script) == 0)
			return true;
		usleep(50000);
	}
	return false;
}

#define READERS                                                                                                        \
	"$S events --dir $D && $S flows --dir $D && $S pcap --dir $D && $S export --dir $D -F eve -o $O/e -f && "      \
	"$S export --dir $D -F timesketch -o $O/t -f && $S export --dir $D -F pcapng -o $O/p -f && "                   \
	"$S export --dir $D -F stix -o $O/s -f && $S export --dir $D -F casts -o $O/c -f && $S sessions --dir $D"

static void max_size(void **state)
{
	(void)state;
	begin(512 << 10, 0);
	for (int i = 0; i < 6; i++)
		batch();
	assert_true(comes("test -e $D/sessions/web.000001.skt"));
	succeeds("cp $D/sessions/web.000001.skt $O/first; b2sum -l 256 $O/first | cut -d' ' -f1 >$O/hash");
	/* Somebody reads all the time, through any number of removals. */
	FILE *readers =
	    popen("n=0; while [ ! -e $O/stop ]; do { " READERS "; } >$O/log 2>&1 || { cat $O/log; exit 1; }; "
		  "n=$((n + 1)); done; echo $n",
		  "r");
	for (int i = 0; i < 300; i++) {
		batch();
		usleep(10000);
	}
	succeeds("touch $O/stop");
	size_t n = fread(text, 1, sizeof(text) - 1, readers);
	text[n] = 0;
	if (pclose(readers) != 0)
		fail_msg("a reader failed: %s", text);
	print_message("# %d rounds of readers\n", atoi(text));
	assert_true(atoi(text) >= 2);
	end();
	/* The limit holds (the journal's open file comes on top); the event, and the
	 * REMOVE record as the CLOSE record did, say what went, with its hash. */
	succeeds("test $(du -sb --exclude=journal $D | cut -f1) -le $((512 << 10))");
	succeeds("test ! -e $D/sessions/web.000001.skt && ls $D/sessions/web.0*.skt");
	succeeds("grep -h skep.evidence.removed $D/events/* | grep sessions/ | grep -q blake2b");
	succeeds("h=$(cat $O/hash); python3 -c 'import sys; h = bytes.fromhex(sys.argv[1]); "
		 "d = b\"\".join(open(f, \"rb\").read() for f in sys.argv[2:]); "
		 "sys.exit(d.count(h + b\"sessions/web.000001.skt\") != 2)' $h $D/journal/*");
	succeeds(READERS);
	succeeds("$S verify --dir $D");
	/* What is left of the session can be played. */
	succeeds("grep -q xxxxx $O/c/0123456789ab-pts-0.cast");
}

static void max_age(void **state)
{
	(void)state;
	begin(0, 0);
	for (int i = 0; i < 10; i++)
		batch();
	assert_true(comes("test -e $D/sessions/web.000002.skt"));
	end();
	succeeds("test -e $D/sessions/web.000003.skt; touch $D/../before; sleep 2");
	begin(0, 1);
	batch();
	assert_true(comes("test ! -e $D/sessions/web.000003.skt"));
	/* The one that is open now is not that old. */
	succeeds("test -e $D/sessions/web.skt");
	succeeds(READERS);
	end();
	succeeds("$S verify --dir $D");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(max_size), T(max_age) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
