/* SPDX-License-Identifier: GPL-2.0-only */
/* kselftest_harness.h plus what every test here checks at its end. */
#ifndef VHOST_HARNESS_H
#define VHOST_HARNESS_H

#include <kselftest_harness.h>

#include "net_lib.h"

/* The time that each test may take, on a kernel that needs longer. */
static inline void stretch_timeouts(void)
{
	for (struct __fixture_metadata *f = __fixture_list; f; f = f->next)
		for (struct __test_metadata *t = f->tests; t; t = t->next)
			t->timeout *= slowness();
}

/* Of the tests only those of variant -v and of the name -t. */
static inline void select_tests(int argc, char **argv)
{
	const char *name[128] = {};
	int c;

	while ((c = getopt(argc, argv, "v:t:")) > 0) {
		if (c == '?')
			exit(KSFT_FAIL);
		name[c] = optarg;
	}
	for (struct __fixture_metadata *f = __fixture_list; f; f = f->next) {
		struct __fixture_variant_metadata **v = &f->variant;
		struct __test_metadata **t = &f->tests;

		while (*v)
			if (name['v'] && strcmp((*v)->name, name['v']))
				*v = (*v)->next;
			else
				v = &(*v)->next;
		while (*t)
			if ((name['v'] && !f->variant) ||
			    (name['t'] && strcmp((*t)->name, name['t'])))
				*t = (*t)->next;
			else
				t = &(*t)->next;
	}
}

/*
 * TEST_HARNESS_MAIN calls it when all tests are known, and runs them. They share
 * a network namespace, which costs more than most tests; each has its own taps.
 */
#define test_harness_run(argc, argv)					\
	(select_tests(argc, argv), stretch_timeouts(), netns_enter(),	\
	 test_harness_run(argc, argv))

/* A complaint of the kernel fails the test that caused it. */
#define EXPECT_QUIET_KERNEL(fd) do {					\
	char __line[256] = "";						\
									\
	if ((fd) >= 0)							\
		EXPECT_EQ(0, kmsg_bad(fd, __line, sizeof(__line))) {	\
			TH_LOG("kernel log: %s", __line);		\
		}							\
} while (0)

/* For programs with macvtap variants: the device, once, in the parent. */
#define MACVTAP_BEFORE_MAIN()						\
static void __attribute__((constructor)) macvtap_before_main(void)	\
{									\
	int ret = macvtap_prepare();					\
									\
	if (ret)							\
		printf("# macvtap: %s\n", strerror(-ret));		\
}

/* SKIP() in a fixture's setup lets this harness run the test nevertheless. */
#define RUN_IF_SET_UP() do { if (_metadata->skip) return; } while (0)

/* In a fixture's set-up, first of all: SKIP() alone would go on. */
#define SKIP_UNLESS_OFFERED(features) do {				\
	if (!node_offers((features) & F_PACKED))			\
		SKIP(_exit(255), "the node has no packed rings");	\
} while (0)

/* Where a test writes into the ring itself. */
#define SPLIT_ONLY(d) do {						\
	if (has(d, F_PACKED))						\
		SKIP(return, "about fields of split rings");		\
} while (0)

#define DIAG(fmt, ...)	fprintf(stderr, "# " fmt "\n", ##__VA_ARGS__)

#endif /* VHOST_HARNESS_H */
