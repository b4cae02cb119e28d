/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_EVIL_H
#define SKEP_TEST_EVIL_H

/* An evil VMM's exit status. Anything else, or a signal but SIGSYS, SIGKILL and
 * SIGXFSZ, is a fault of the test. */
enum { EVIL_DENIED = 7, EVIL_WORKED = 42, EVIL_NO_SUCH = 3 };

/* What it knows about its victims, in this order behind the attack's name. Far
 * more than a real one would. */
enum {
	EVIL_VICTIM_PID = 2, /* a process of the same uid outside */
	EVIL_FILE,           /* a file of the same uid outside: "the evidence" */
	EVIL_UNIX,           /* path of a listening unix socket */
	EVIL_ABSTRACT,       /* name of a listening abstract one */
	EVIL_TCP,            /* port on 127.0.0.1 */
	EVIL_KEY,            /* of SysV shared memory and a message queue */
	EVIL_HOSTNAME,
	EVIL_NFDS, /* how many fds it was given from 3 on */
	EVIL_ARGC
};

#define EVIL_DISK "/srv/a"        /* its own, writable */
#define EVIL_BASE "/srv/b"        /* read-only */
#define EVIL_HELPER "/bin/helper" /* set-uid root on the host */
#define EVIL_FSIZE (8 << 20)
#define EVIL_NPROC 64

typedef int (*attack_fn)(void); /* 1 = it worked */
struct attack {
	const char *name;
	attack_fn fn;
};
extern const struct attack attacks_files[], attacks_others[], attacks_kernel[], attacks_greed[];

extern char **evil_args; /* argv */
int evil_pid(void);      /* of the victim */

#endif
