/*
 * Makes one system call of a program fail, or kills the program there.
 *
 *   inject count|kill|fail N ERRNO CLASS LOG -- PROGRAM ARGUMENT...
 *
 * Calls are counted over all threads together, between two marks the program makes: getpriority(2) of
 * the impossible process ids 424242 (begin) and 424243 (end). Only calls that name or hold a path are
 * counted: a descriptor that is a pipe, a socket or an eventfd is the runtime's own business. CLASS
 * says which: "change" (what lasts), "any" (reading as well), "create" (what takes a descriptor).
 *
 * A seccomp filter lets everything else run at full speed. A call that fails is never carried out; when
 * its thread makes it again at once, as it does to be sure of its errno, it fails once more. With
 * "kill" the whole program is gone before the call. LOG gets one line: how many calls of each class were
 * counted ("change", "any", "create"), and the number and the path of the one that was hit. Ends with
 * the program's status, 137 when killed. x86-64 Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK_BEGIN 424242
#define MARK_END 424243

enum { CHANGE = 1, READING = 2, CREATE = 4, BY_FD = 8 };

/* As in LOG. */
static const char *const class_names[] = { "change", "any", "create" };
static const int classes[] = { CHANGE, CHANGE | READING | CREATE, CREATE };

#define CLASSES (sizeof classes / sizeof *classes)

struct call {
	long number;
	int kind;
};

static const struct call calls[] = {
	{ SYS_openat, READING | CREATE },
	{ SYS_open, READING | CREATE },
	{ SYS_openat2, READING | CREATE },
	{ SYS_write, CHANGE | BY_FD },
	{ SYS_pwrite64, CHANGE | BY_FD },
	{ SYS_writev, CHANGE | BY_FD },
	{ SYS_pwritev, CHANGE | BY_FD },
	{ SYS_rename, CHANGE },
	{ SYS_renameat, CHANGE },
	{ SYS_renameat2, CHANGE },
	{ SYS_link, CHANGE },
	{ SYS_linkat, CHANGE },
	{ SYS_symlink, CHANGE },
	{ SYS_symlinkat, CHANGE },
	{ SYS_unlink, CHANGE },
	{ SYS_unlinkat, CHANGE },
	{ SYS_mkdir, CHANGE },
	{ SYS_mkdirat, CHANGE },
	{ SYS_rmdir, CHANGE },
	{ SYS_mknodat, CHANGE },
	{ SYS_ftruncate, CHANGE | BY_FD },
	{ SYS_fallocate, CHANGE | BY_FD },
	{ SYS_ioctl, CHANGE | BY_FD },
	{ SYS_chmod, CHANGE },
	{ SYS_fchmod, CHANGE | BY_FD },
	{ SYS_fchmodat, CHANGE },
	{ SYS_fchown, CHANGE | BY_FD },
	{ SYS_fchownat, CHANGE },
	{ SYS_lchown, CHANGE },
	{ SYS_utimensat, CHANGE },
	{ SYS_setxattr, CHANGE },
	{ SYS_lsetxattr, CHANGE },
	{ SYS_fsetxattr, CHANGE | BY_FD },
	{ SYS_lremovexattr, CHANGE },
	{ SYS_fremovexattr, CHANGE | BY_FD },
	{ SYS_fsync, CHANGE | BY_FD },
	{ SYS_fdatasync, CHANGE | BY_FD },
	{ SYS_syncfs, CHANGE | BY_FD },
	{ SYS_sync_file_range, CHANGE | BY_FD },
	{ SYS_copy_file_range, CHANGE | BY_FD },
	{ SYS_sendfile, CHANGE },
	{ SYS_mount, CHANGE },
	{ SYS_umount2, CHANGE },
	{ SYS_flock, READING | BY_FD },
	{ SYS_read, READING | BY_FD },
	{ SYS_pread64, READING | BY_FD },
	{ SYS_readv, READING | BY_FD },
	{ SYS_preadv, READING | BY_FD },
	{ SYS_statx, READING },
	{ SYS_newfstatat, READING },
	{ SYS_fstat, READING | BY_FD },
	{ SYS_stat, READING },
	{ SYS_lstat, READING },
	{ SYS_statfs, READING },
	{ SYS_fstatfs, READING | BY_FD },
	{ SYS_getdents64, READING | BY_FD },
	{ SYS_readlink, READING },
	{ SYS_readlinkat, READING },
	{ SYS_llistxattr, READING },
	{ SYS_flistxattr, READING | BY_FD },
	{ SYS_listxattr, READING },
	{ SYS_lgetxattr, READING },
	{ SYS_fgetxattr, READING | BY_FD },
	{ SYS_getxattr, READING },
	{ SYS_access, READING },
	{ SYS_faccessat, READING },
	{ SYS_faccessat2, READING },
	{ SYS_name_to_handle_at, READING },
};

#define CALLS (sizeof calls / sizeof *calls)

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int kind_of(long number)
{
	for (size_t i = 0; i < CALLS; i++)
		if (calls[i].number == number)
			return calls[i].kind;
	return 0;
}

/* Stops at the calls of the table and at the marks, lets everything else pass. */
static void filter_calls(void)
{
	struct sock_filter filter[CALLS + 8];
	size_t n = 0;
	filter[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i <= CALLS; i++) {
		long number = i < CALLS ? calls[i].number : SYS_getpriority;
		filter[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, number, CALLS - i + 1, 0);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	struct sock_fprog program = { .len = n, .filter = filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		die("seccomp");
}

static void describe(pid_t thread, const struct user_regs_struct *regs, int by_fd, char *out,
		     size_t size)
{
	char name[64];
	unsigned long at = regs->rdi;
	int is_descriptor = at < 4096 || (int)at < 0;
	out[0] = 0;
	if (by_fd) {
		snprintf(name, sizeof name, "/proc/%d/fd/%d", thread, (int)regs->rdi);
		ssize_t length = readlink(name, out, size - 1);
		out[length < 0 ? 0 : length] = 0;
		return;
	}
	/* The path is the first or the second argument; AT_FDCWD is a negative int. */
	if (is_descriptor && (at >> 32) == 0)
		at = regs->rsi;
	for (size_t i = 0; i + 8 < size; i += 8) {
		errno = 0;
		long word = ptrace(PTRACE_PEEKDATA, thread, at + i, 0);
		if (errno != 0)
			return;
		memcpy(out + i, &word, 8);
		out[i + 8] = 0;
		if (memchr(out + i, 0, 8) != NULL)
			return;
	}
}

/* What is the runtime's own: pipes, sockets, eventfds, and the kernel's text files. */
static int is_own(const char *path, int by_fd)
{
	if (by_fd && path[0] != '/')
		return 1;
	return strncmp(path, "/dev/", 5) == 0;
}

int main(int argc, char **argv)
{
	if (argc < 8) {
		fprintf(stderr, "usage: inject count|kill|fail N ERRNO CLASS LOG -- PROGRAM...\n");
		return 99;
	}
	const char *mode = argv[1];
	long wanted = atol(argv[2]);
	int error = atoi(argv[3]);
	size_t class = 0;
	while (class < CLASSES && strcmp(argv[4], class_names[class]) != 0)
		class++;
	if (class == CLASSES) {
		fprintf(stderr, "inject: there is no class %s\n", argv[4]);
		return 99;
	}
	pid_t first = fork();
	if (first == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		filter_calls();
		execvp(argv[7], argv + 7);
		die(argv[7]);
	}
	int status;
	waitpid(first, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, first, 0,
		   PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0)
		die("ptrace");
	ptrace(PTRACE_CONT, first, 0, 0);
	long counted[CLASSES] = { 0 };
	long hit = -1;
	/* The thread whose failed call will be made again, and fails again, to learn its errno. */
	pid_t asking = 0;
	char path[4200] = "";
	char hit_path[4200] = "";
	int is_counting = 0;
	int result = 99;
	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0)
			break;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (thread != first)
				continue;
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			break;
		}
		int signal = WSTOPSIG(status);
		if (status >> 8 != (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
			int is_event = status >> 16 != 0;
			/* A new thread begins with a SIGSTOP that nobody sent. */
			int passed = is_event || signal == SIGSTOP || signal == SIGTRAP ? 0 : signal;
			ptrace(PTRACE_CONT, thread, 0, passed);
			continue;
		}
		struct user_regs_struct regs;
		ptrace(PTRACE_GETREGS, thread, 0, &regs);
		long number = regs.orig_rax;
		if (number == SYS_getpriority) {
			if (regs.rsi == MARK_BEGIN)
				is_counting = 1;
			if (regs.rsi == MARK_END)
				is_counting = 0;
			ptrace(PTRACE_CONT, thread, 0, 0);
			continue;
		}
		int kind = kind_of(number);
		int is_opening_to_write =
			(number == SYS_openat && (regs.rdx & 0101)) || (number == SYS_open && (regs.rsi & 0101));
		if (is_opening_to_write)
			kind |= CHANGE;
		if (!is_counting) {
			ptrace(PTRACE_CONT, thread, 0, 0);
			continue;
		}
		describe(thread, &regs, kind & BY_FD, path, sizeof path);
		if (is_own(path, kind & BY_FD)) {
			ptrace(PTRACE_CONT, thread, 0, 0);
			continue;
		}
		int is_asked_again = thread == asking && number == hit && strcmp(path, hit_path) == 0;
		asking = 0;
		if (is_asked_again) {
			regs.orig_rax = -1;
			regs.rax = -error;
			ptrace(PTRACE_SETREGS, thread, 0, &regs);
			ptrace(PTRACE_CONT, thread, 0, 0);
			continue;
		}
		for (size_t i = 0; i < CLASSES; i++)
			counted[i] += (kind & classes[i]) != 0;
		int is_wanted = (kind & classes[class]) != 0 && counted[class] == wanted;
		if (is_wanted && strcmp(mode, "count") != 0) {
			hit = number;
			strcpy(hit_path, path);
			if (strcmp(mode, "kill") == 0) {
				kill(first, SIGKILL);
				is_counting = 0;
			} else {
				asking = thread;
				regs.orig_rax = -1;
				regs.rax = -error;
				ptrace(PTRACE_SETREGS, thread, 0, &regs);
			}
		}
		ptrace(PTRACE_CONT, thread, 0, 0);
	}
	FILE *log = fopen(argv[5], "w");
	if (log != NULL) {
		for (size_t i = 0; i < CLASSES; i++)
			fprintf(log, "%ld ", counted[i]);
		fprintf(log, "%ld %s\n", hit, hit_path);
		fclose(log);
	}
	return result;
}
