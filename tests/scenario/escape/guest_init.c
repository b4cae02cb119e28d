/* SPDX-License-Identifier: ISC */
/* /sbin/init of the guest that real_uml boots: some processes that come and go. */
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	static const struct timespec pause = { 0, 20000000 };
	printf("GUEST-UP\n");
	fflush(stdout);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			for (;;)
				nanosleep(&pause, NULL);
	for (;;) {
		if (fork() == 0)
			_exit(0);
		wait(NULL);
		nanosleep(&pause, NULL);
	}
}
