/* SPDX-License-Identifier: ISC */
/* The places in the file system that belong to one honeynet. Every directory
 * below the state and run directories is opened relative to its parent without
 * following links, and must belong to us: whoever could write there before
 * cannot lead a root priv elsewhere. */
#include "base/log.h"
#include "proc/priv/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_MAX (1 << 20)
#define TREE_DEPTH 8

static bool our_uid(uid_t uid)
{
	if (uid == geteuid())
		return true;
	/* The evidence directory belongs to the uid of an earlier start. */
	return geteuid() == 0 && uid >= UID_FIRST && uid < UID_FIRST + UID_BLOCK * UID_SLOTS;
}

int setup_dir_at(int dir, const char *name, const char *what, struct err *e)
{
	struct stat st;
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "cannot make directory %s", what);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ELOOP || errno == ENOTDIR)
			return err_set(e, -errno, "%s is not a directory: remove it", what);
		return err_sys(e, -errno, "cannot open directory %s", what);
	}
	if (fstat(fd, &st) < 0 || !our_uid(st.st_uid) || (st.st_mode & 022)) {
		close(fd);
		return err_set(
		    e, -EPERM,
		    "%s belongs to uid %u with mode %04o: it must belong to uid %u and be writable by nobody else",
		    what, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, (unsigned)geteuid());
	}
	return fd;
}

static int open_top(const char *path, struct err *e)
{
	int r = dirs_make(path, e);
	if (r < 0)
		return r;
	/* The operator named it: links on the way to it are the operator's. */
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "cannot open directory %s", path) : fd;
}

int setup_dirs(struct priv *p, struct err *e)
{
	char state[DIRS_PATH], run[DIRS_PATH];
	int r, top = -1, nets = -1, net = -1, runs = -1;
	if ((r = dirs_state(state, e)) < 0 || (r = dirs_run(run, e)) < 0)
		return r;
	r = snprintf(p->evidence_path, sizeof(p->evidence_path), "%s/nets/%s/evidence", state, p->name);
	if (r < 0 || (size_t)r >= sizeof(p->evidence_path))
		return err_set(e, -ENAMETOOLONG, "path too long: %s", state);
	r = snprintf(p->log_path, sizeof(p->log_path), "%s/%s/log", run, p->name);
	if (r < 0 || (size_t)r >= sizeof(p->log_path))
		return err_set(e, -ENAMETOOLONG, "path too long: %s", run);
	if ((r = top = open_top(state, e)) < 0)
		goto out;
	if ((r = nets = setup_dir_at(top, "nets", "nets in the state directory", e)) < 0)
		goto out;
	if ((r = p->images_fd = setup_dir_at(top, "images", "images in the state directory", e)) < 0)
		goto out;
	if ((r = net = setup_dir_at(nets, p->name, "the honeynet's state directory", e)) < 0)
		goto out;
	if ((r = p->evidence_fd = setup_dir_at(net, "evidence", "the evidence directory", e)) < 0)
		goto out;
	if ((r = p->disks_fd = setup_dir_at(net, "disks", "the directory of disks", e)) < 0)
		goto out;
	if ((r = runs = open_top(run, e)) < 0)
		goto out;
	r = p->run_fd = setup_dir_at(runs, p->name, "the honeynet's run directory", e);
out:
	for (int i = 0; i < 4; i++) {
		int fd = (int[]){ top, nets, net, runs }[i];
		if (fd >= 0)
			close(fd);
	}
	return r < 0 ? r : 0;
}

int setup_lock(struct priv *p, struct err *e)
{
	struct stat ours, there;
	if (fstat(p->lock_fd, &ours) < 0 || fstatat(p->run_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
		return err_set(e, -EBADF, "fd %d is not the lock file of %s: start it with `skep up`", p->lock_fd,
			       p->name);
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, -EBUSY, "honeynet %s is already running", p->name);
	return 0;
}

/* All of skep's own processes write to one log; it is kept for a look after a
 * failure, and one older one. */
int setup_log(struct priv *p, struct err *e)
{
	struct stat st;
	if (fstatat(p->run_fd, "log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > LOG_MAX)
		renameat(p->run_fd, "log", p->run_fd, "log.1");
	p->log_fd = openat(p->run_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->log_fd < 0)
		return err_sys(e, -errno, "cannot open the log in the run directory");
	if (dup2(p->log_fd, STDERR_FILENO) < 0)
		return err_sys(e, -errno, "cannot write to the log");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return err_sys(e, -errno, "cannot open /dev/null");
	close(null);
	return 0;
}

/* sun_path holds 107 bytes and a run directory may be longer: bind by a short
 * relative name. */
int setup_ctl(struct priv *p, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "ctl" };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the control socket");
	/* Left behind by a run that was killed: we hold the lock. */
	if (unlinkat(p->run_fd, "ctl", 0) < 0 && errno != ENOENT) {
		int r = err_sys(e, -errno, "cannot remove an old control socket");
		close(fd);
		return r;
	}
	int r = 0;
	if (fchdir(p->run_fd) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		r = err_sys(e, -errno, "cannot make the control socket in the run directory");
	else if (chmod("ctl", 0600) < 0 || listen(fd, 64) < 0)
		r = err_sys(e, -errno, "cannot listen on the control socket");
	p->ctl_made = true;
	if (chdir("/") < 0 || r < 0) {
		close(fd);
		return r < 0 ? r : err_sys(e, -errno, "cannot change to /");
	}
	p->ctl_fd = fd;
	return 0;
}

static int chown_tree(int dir, uid_t uid, int depth, struct err *e)
{
	struct stat st;
	int r = 0;
	if (fstat(dir, &st) < 0 || (st.st_uid != uid && fchown(dir, uid, uid) < 0))
		return err_sys(e, -errno, "cannot give the evidence directory to uid %u", (unsigned)uid);
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_sys(e, -errno, "cannot read the evidence directory");
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth > 0) {
			int sub = openat(dir, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0) {
				r = chown_tree(sub, uid, depth - 1, e);
				close(sub);
			}
		} else if (S_ISREG(st.st_mode) && st.st_nlink == 1) {
			if (st.st_uid != uid && fchownat(dir, de->d_name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
				r = err_sys(e, -errno, "cannot give evidence to uid %u", (unsigned)uid);
		} else {
			/* A link could make us give away something else. */
			log_warn("evidence: %s is neither a plain file nor a directory: left alone", de->d_name);
		}
	}
	closedir(d);
	return r;
}

/* The uid of the writer may differ from that of the last run. Nobody else can
 * change the tree meanwhile: we hold the lock, and its writer is gone. */
int setup_evidence_owner(struct priv *p, struct err *e)
{
	return p->root ? chown_tree(p->evidence_fd, p->uid_base + UID_EVIDENCE, TREE_DEPTH, e) : 0;
}
