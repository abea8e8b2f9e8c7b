// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer of the node: it runs programs, changes those that reached new code
 * of the module, and keeps those in turn. Without kcov all are random.
 *
 *   fuzz [-q] [-s SEED] [-o DIR] [-c CORPUS] SECS
 *                 DIR gets: last, the programs before the machine died; corpus;
 *                 pcs; crash-N. CORPUS: that of a run before, to begin with
 *                 (its time comes on top of SECS).
 *                 -q: whatever the kernel log says
 *   fuzz -r FILE  runs the programs of a file again, as they were numbered
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prog.h"
#include "vhost_lib.h"

#define CORPUS_MAX	4096
#define SEEDS		96
#define LAST		16	/* programs that are on file when it dies */
#define CRASHES_MAX	5
#define FAILED_MAX	10	/* per cent of programs that could not begin */
#define RUN_MS		(20000 * slowness())
#define FRESH_MAX	(1 << 20)

static struct prog corpus[CORPUS_MAX];
static unsigned int n_corpus, n_crashes, n_killed;
static uint64_t n_runs, n_failed;
static unsigned int fresh[FRESH_MAX];
static int last_fd = -1, kmsg = -1;
static const char *dir = ".";
static bool is_quiet;
static char bad_line[512];

static FILE *open_in_dir(const char *name, unsigned int number)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (number)
		snprintf(path, sizeof(path), "%s/%s-%u", dir, name, number);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

/* What runs is on file before it does: the machine may not live to tell. */
static void note(const struct prog *p)
{
	char text[TEXT_MAX];
	int len = prog_print(p, n_runs, text);

	memset(text + len, '\n', sizeof(text) - len);
	if (pwrite(last_fd, text, sizeof(text),
		   n_runs % LAST * sizeof(text)) < 0)
		perror("last");
}

/* One that does not end is killed; one that cannot be killed is a fault. */
static void reap(pid_t pid)
{
	int64_t end = now_ms() + RUN_MS;
	bool is_killed = false;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > end && is_killed) {
			printf("Bail out! a program cannot be killed\n");
			exit(1);
		}
		if (now_ms() > end) {
			kill(pid, SIGKILL);
			is_killed = true;
			n_killed++;
			end = now_ms() + RUN_MS;
		}
		usleep(500);
	}
	n_failed += WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED;
}

/* Return: how many places were reached for the first time. */
static unsigned int run_prog(const struct prog *p)
{
	pid_t pid;

	n_runs++;
	if (last_fd >= 0)
		note(p);
	cover_start();
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		n_failed++;
		usleep(1000);
		return 0;
	}
	if (!pid) {
		exec_prog(p);
		_exit(0);
	}
	reap(pid);
	return cover_take();
}

static bool is_still_new(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!cover_has(fresh[i]))
			return false;
	return true;
}

/* A report has several lines that are bad: the first one is told. */
static bool is_still_bad(unsigned int unused)
{
	char line[sizeof(bad_line)];
	bool is_bad = false;

	(void)unused;
	if (is_quiet)
		return false;
	while (kmsg_bad(kmsg, line, sizeof(line)) > 0) {
		if (!is_bad)
			memcpy(bad_line, line, sizeof(line));
		is_bad = true;
	}
	return is_bad;
}

/* Leaves the operations out that it does as well without. */
static void minimise(struct prog *p, bool (*is_kept)(unsigned int),
		     unsigned int arg)
{
	unsigned int at = p->n;
	struct prog less;

	while (at-- && p->n > 1) {
		less = *p;
		prog_drop(&less, at);
		run_prog(&less);
		if (is_kept(arg))
			*p = less;
	}
}

static void crash(struct prog *p)
{
	char text[TEXT_MAX];
	FILE *f = open_in_dir("crash", ++n_crashes);

	prog_print(p, n_runs, text);
	fprintf(f, "# %s\n%s", bad_line, text);
	fflush(f);
	printf("# crash %u: %s\n", n_crashes, bad_line);
	minimise(p, is_still_bad, 0);
	prog_print(p, 0, text);
	fprintf(f, "# at its smallest:\n%s", text);
	fclose(f);
}

static void add(struct prog *p, FILE *file)
{
	unsigned int n = cover_new(fresh);
	char text[TEXT_MAX];

	minimise(p, is_still_new, n);
	if (n_corpus == CORPUS_MAX)
		n_corpus--;
	corpus[n_corpus++] = *p;
	prog_print(p, n_corpus, text);
	fputs(text, file);
	fflush(file);
}

/*
 * What a run before has found is not to be found once more. It is what a
 * kernel without kcov has to go by.
 */
static void load(const char *path, bool has_cover, FILE *file)
{
	FILE *f = fopen(path, "r");
	unsigned int n = 0;
	uint64_t number;
	struct prog p;

	if (!f) {
		perror(path);
		exit(1);
	}
	for (; prog_parse(f, &p, &number); n++)
		if (run_prog(&p))
			add(&p, file);
		else if (!has_cover && n_corpus < CORPUS_MAX)
			corpus[n_corpus++] = p;
	fclose(f);
	printf("# %u of %u programs of %s, %u places\n", n_corpus, n, path,
	       cover_total());
}

static void fuzz(int secs, bool has_cover, const char *before)
{
	FILE *file = open_in_dir("corpus", 0);
	int64_t told, end;
	struct prog p;

	if (before)
		load(before, has_cover, file);
	told = now_ms();
	end = told + 1000LL * secs;
	while (now_ms() < end && n_crashes < CRASHES_MAX) {
		if (n_runs < SEEDS || !n_corpus || !random_below(20))
			prog_seed(&p, n_runs < SEEDS ? n_runs : random_u64());
		else
			p = corpus[random_below(n_corpus)];
		if (n_corpus)
			prog_mutate(&p, &corpus[random_below(n_corpus)]);
		else
			prog_mutate(&p, &p);
		if (run_prog(&p))
			add(&p, file);
		else if (!has_cover && n_corpus < SEEDS)
			corpus[n_corpus++] = p;
		if (is_still_bad(0))
			crash(&p);
		if (now_ms() - told > 60000) {
			told = now_ms();
			printf("# %" PRIu64 " programs, %u places, corpus %u\n",
			       n_runs, cover_total(), n_corpus);
		}
	}
	fclose(file);
}

static int replay(const char *path)
{
	uint64_t number[CORPUS_MAX], oldest;
	unsigned int n = 0, i, next;
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return 1;
	}
	while (n < CORPUS_MAX && prog_parse(f, &corpus[n], &number[n]))
		n++;
	fclose(f);
	/* `last` is written round and round */
	for (oldest = 0;; oldest = number[next] + 1) {
		for (i = 0, next = n; i < n; i++)
			if (number[i] >= oldest &&
			    (next == n || number[i] < number[next]))
				next = i;
		if (next == n)
			return 0;
		run_prog(&corpus[next]);
		printf("# program %" PRIu64 ": %s\n", number[next],
		       is_still_bad(0) ? bad_line : "fine");
	}
}

static int open_last(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/last", dir);
	return open(path, O_CREAT | O_TRUNC | O_WRONLY | O_SYNC | O_CLOEXEC,
		    0644);
}

int main(int argc, char **argv)
{
	const char *again = NULL, *before = NULL;
	uint64_t seed = now_ms();
	bool has_cover;
	FILE *f;
	int opt;

	while ((opt = getopt(argc, argv, "qs:o:r:c:")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'o')
			dir = optarg;
		else if (opt == 'r')
			again = optarg;
		else if (opt == 'q')
			is_quiet = true;
		else if (opt == 'c')
			before = optarg;
		else
			return 2;
	}
	if (!again && optind + 1 != argc)
		return 2;
	/* before its /sys is another one, which has no debugfs */
	has_cover = !again && cover_open();
	if (backends_prepare()) {
		printf("Bail out! no network to work with\n");
		return 1;
	}
	kmsg = kmsg_open();
	if (again)
		return replay(again);
	last_fd = open_last();
	random_seed(seed);
	printf("# seed %" PRIu64 ", %s\n", seed,
	       has_cover ? "by coverage" : "random");
	fuzz(atoi(argv[optind]), has_cover, before);
	f = open_in_dir("pcs", 0);
	cover_write(f);
	fclose(f);
	printf("# %" PRIu64 " programs, %u places, corpus %u, %u killed, %" PRIu64
	       " could not begin\n", n_runs, cover_total(), n_corpus, n_killed,
	       n_failed);
	return n_crashes > 0 || n_failed * 100 >= n_runs * FAILED_MAX;
}
