/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts of executed lines, kept in a file: only in a build with COVERAGE=1
 *
 * What gcc does with its counters, writing them when a program calls exit(), is
 * of no use for one that forks, has an empty root directory and a filter of
 * system calls, and is killed at last. So the linker puts all counters into
 * pages of their own (counts.ld), and before main() a file is mapped over them,
 * shared. Counting is atomic, hence all processes that run a program, one after
 * the other or at the same time, add to the same counts, which are there in
 * whatever way each of them ends. The program's source knows nothing of it.
 *
 * Environment:
 *   PASST_COVER_DIR=DIRECTORY	where files are, each named like its program;
 *				not set, or out of sight: nothing is kept
 *   PASST_COVER_WRITE=1	do nothing but add what the file has to the
 *				.gcda files beside the objects, as gcov wants it
 *
 * Source: "Profiling and Test Coverage in Freestanding Environments", GCC's
 * manual, for where counters are; -fdata-sections for their names.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages of counters: counts.ld */
extern char cover_first[], cover_last[];

/* libgcov: add counters to .gcda files; gcc's name for what exit() does */
void __gcov_dump(void);
void __wrap___gcov_exit(void);

/* Each object calls this at exit(): other processes still count, too */
void __wrap___gcov_exit(void)
{
}

/* Return: descriptor of the file for this program, or -1 */
static int cover_open(const char *dir)
{
	char path[2 * PATH_MAX], exe[PATH_MAX];
	const char *name;
	ssize_t n;
	int fd;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return -1;
	exe[n] = 0;
	name = strrchr(exe, '/');
	if (!name)
		return -1;
	snprintf(path, sizeof(path), "%s%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		/* Whichever user is next */
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR);
		if (fd >= 0)
			fchmod(fd, 0666);
	}
	return fd;
}

/* Before main(), and before anything is counted */
__attribute__((constructor)) static void cover_start(void)
{
	const char *dir = getenv("PASST_COVER_DIR");
	off_t size = cover_last - cover_first;
	struct stat st;
	int fd;

	fd = dir ? cover_open(dir) : -1;
	if (fd < 0)
		return;
	if (fstat(fd, &st) || (st.st_size && st.st_size != size) ||
	    ftruncate(fd, size) ||
	    mmap(cover_first, (size_t)size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		fprintf(stderr, "%s: not counts of this program\n", dir);
		abort();
	}
	close(fd);

	if (getenv("PASST_COVER_WRITE")) {
		__gcov_dump();
		_exit(EXIT_SUCCESS);
	}
}
