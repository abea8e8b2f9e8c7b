// SPDX-License-Identifier: GPL-2.0-only
/* Rules of vhx-pin: their words, which workers they are for, what is wrong with them. */
#include <kselftest_harness.h>

#include "rule.h"

#define PATH	"/tmp/vhx-rule-test"

static int set(struct rule *rule, const char *key, const char *value, char *why)
{
	return rule_set(rule, key, value, why, 512);
}

/* What rules_read() says of a file with this text. */
static int read_text(struct rules *rules, const char *text, char *said, size_t size)
{
	int ret, out = dup(2);
	FILE *file = fopen(PATH, "w"), *err;

	fputs(text, file);
	fclose(file);
	fflush(stderr);
	err = freopen(PATH ".err", "w+", stderr);
	ret = rules_read(rules, PATH);
	fflush(err);
	rewind(err);
	said[fread(said, 1, size - 1, err)] = 0;
	fflush(stderr);
	dup2(out, 2);
	close(out);
	unlink(PATH);
	unlink(PATH ".err");
	return ret;
}

TEST(cpus_of_list_ok)
{
	static const char *const lists[][2] = {
		{ "0", "0" }, { "0-3,7", "0-3,7" }, { "7,0-1,2,1-3", "0-3,7" },
		{ "8191", "8191" }, { "5-5\n", "5" },
	};
	struct cpus cpus;
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		EXPECT_EQ(0, cpus_parse(&cpus, lists[i][0]));
		cpus_print(&cpus, text, sizeof(text));
		EXPECT_STREQ(lists[i][1], text);
	}
}

TEST(cpus_of_no_list_einval)
{
	static const char *const lists[] = {
		"", "-1", "1-", "3-2", "1,,2", "1,", "8192", "a", "1 2", "0x1",
		"99999999999999999999", "1-2-3", "+1",
	};
	struct cpus cpus;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		EXPECT_EQ(-EINVAL, cpus_parse(&cpus, lists[i])) {
			TH_LOG("%s", lists[i]);
		}
	}
}

TEST(cpus_too_many_to_print_are_cut_ok)
{
	struct cpus cpus;
	char list[4096] = "0", text[32];

	for (int i = 2; i < 600; i += 2)
		sprintf(list + strlen(list), ",%d", i);
	ASSERT_EQ(0, cpus_parse(&cpus, list));
	cpus_print(&cpus, text, sizeof(text));
	EXPECT_STREQ("0,2,4,6,8,10,12,14,...", text);
}

TEST(words_are_kept_ok)
{
	struct rule rule = { 0 };
	char why[512];

	EXPECT_FALSE(rule_places(&rule));
	EXPECT_EQ(0, set(&rule, "vm", "web*", why));
	EXPECT_EQ(0, set(&rule, "tap", "vnet?", why));
	EXPECT_EQ(0, set(&rule, "ring", "tx", why));
	EXPECT_EQ(0, set(&rule, "user", "root", why));
	EXPECT_FALSE(rule_places(&rule));
	EXPECT_EQ(0, set(&rule, "cpus", "2-3", why));
	EXPECT_TRUE(rule_places(&rule));
	EXPECT_EQ(0, set(&rule, "nice", "-5", why));
	EXPECT_EQ(0, set(&rule, "other", NULL, why));
	EXPECT_EQ(0, set(&rule, "cgroup", "../vhx", why));
	EXPECT_STREQ("web*", rule.vm);
	EXPECT_STREQ("vnet?", rule.tap);
	EXPECT_TRUE(rule.has_user);
	EXPECT_EQ(0, rule.user);
	EXPECT_EQ(1 << RING_TX, rule.rings);
	EXPECT_EQ(CLASS_OTHER, rule.class);
	EXPECT_EQ(-5, rule.nice);
	EXPECT_STREQ("../vhx", rule.cgroup);
}

struct fault {
	const char *line, *said;
};

static const struct fault faults[] = {
	{ "cpus=4-2", "cpus=4-2: a list of CPUs, such as 0-3,7" },
	{ "cpus=", "cpus=: a list of CPUs, such as 0-3,7" },
	{ "cpus", "cpus: has to be followed by = and a value" },
	{ "cpus=1 cpus=2", "cpus=2: given twice" },
	{ "vm=a vm=b cpus=1", "vm=b: given twice" },
	{ "vm= cpus=1", "vm=: empty" },
	{ "ring=both cpus=1", "ring=both: rx or tx" },
	{ "user=no-such-user cpus=1", "user=no-such-user: no such user" },
	{ "user= cpus=1", "user=: no such user" },
	{ "user=-1 cpus=1", "user=-1: no such user" },
	{ "user=+1 cpus=1", "user=+1: no such user" },
	{ "user=4294967295 cpus=1", "user=4294967295: no such user" },
	{ "user=0 user=1 cpus=1", "user=1: given twice" },
	{ "nice=-21", "nice=-21: from -20 to 19" },
	{ "nice=20", "nice=20: from -20 to 19" },
	{ "nice=5x", "nice=5x: from -20 to 19" },
	{ "nice=+5", "nice=+5: from -20 to 19" },
	{ "fifo=0", "fifo=0: from 1 to 99" },
	{ "fifo=100", "fifo=100: from 1 to 99" },
	{ "fifo=1 nice=1", "nice=1: not beside fifo, which has no nice values" },
	{ "nice=1 fifo=1", "fifo=1: not beside nice or other" },
	{ "other fifo=1", "fifo=1: not beside nice or other" },
	{ "fifo=1 other", "other: not beside fifo" },
	{ "other=1", "other=1: has no value" },
	{ "cpu=1", "cpu: no such word: vm, tap, user, ring, cpus, nice, fifo, other, cgroup" },
	{ "tap=vnet*", "says which workers, not what of them: cpus, nice, fifo, other or cgroup" },
};

TEST(bad_line_is_named_einval)
{
	char text[256], said[1024], wanted[256];
	struct rules rules = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		snprintf(text, sizeof(text), "# one\n\ntap=a cpus=1\n%s\n",
			 faults[i].line);
		snprintf(wanted, sizeof(wanted), PATH ":4: %s\n", faults[i].said);
		EXPECT_EQ(-EINVAL, read_text(&rules, text, said, sizeof(said)));
		EXPECT_STREQ(wanted, said);
		EXPECT_EQ(0, rules.nr);
	}
}

TEST(all_bad_lines_are_named_einval)
{
	struct rules rules = { 0 };
	char said[1024];

	EXPECT_EQ(-EINVAL, read_text(&rules, "nice=99\ncpus=1\nx=y",
				     said, sizeof(said)));
	EXPECT_NE(NULL, strstr(said, PATH ":1: "));
	EXPECT_EQ(NULL, strstr(said, PATH ":2: "));
	EXPECT_NE(NULL, strstr(said, PATH ":3: "));
}

TEST(zero_byte_einval)
{
	static const char text[] = "vm=a cpus=1\0 vm=b\n";
	struct rules rules = { 0 };
	FILE *file = fopen(PATH, "w");

	ASSERT_NE(NULL, file);
	fwrite(text, 1, sizeof(text) - 1, file);
	fclose(file);
	EXPECT_EQ(-EINVAL, rules_read(&rules, PATH));
	unlink(PATH);
}

TEST(longer_than_a_name_einval)
{
	struct rule rule = { 0 };
	char name[100], why[512];

	memset(name, 'a', sizeof(name));
	name[64] = 0;
	EXPECT_EQ(-EINVAL, rule_set(&rule, "vm", name, why, sizeof(why)));
	name[16] = 0;
	EXPECT_EQ(-EINVAL, rule_set(&rule, "tap", name, why, sizeof(why)));
	name[15] = 0;
	EXPECT_EQ(0, rule_set(&rule, "tap", name, why, sizeof(why)));
	memset(name, 'a', sizeof(name));
	name[63] = 0;
	EXPECT_EQ(0, rule_set(&rule, "vm", name, why, sizeof(why)));
	name[63] = 'a';
	name[98] = '*';
	name[99] = 0;
	rule = (struct rule){ 0 };
	EXPECT_EQ(0, rule_set(&rule, "vm", name, why, sizeof(why)));
}

TEST(no_file_enoent)
{
	struct rules rules = { 0 };

	EXPECT_EQ(-ENOENT, rules_read(&rules, "/nonexistent"));
}

static const char some_rules[] =
	"# of the test\n"
	"vm=db tap=vnet1 cpus=1   # one interface\n"
	"\tvm=db\tnice=-1\r\n"
	"tap=vnet* ring=tx cpus=2\n"
	"cpus=3 # all others\n";

static unsigned int line_for(const struct rules *rules, const char *vm,
			     const char *taps, unsigned int rings)
{
	struct worker worker = { .rings = rings };
	char copy[256], *rest = copy, *tap;

	strcpy(worker.vm, vm);
	strcpy(copy, taps);
	while ((tap = strsep(&rest, ",")))
		if (*tap)
			strcpy(worker.tap[worker.nr_taps++], tap);
	return rules_find(rules, &worker)->line;
}

TEST(first_rule_holds_ok)
{
	struct rules rules = { 0 };
	char said[1024];

	ASSERT_EQ(0, read_text(&rules, some_rules, said, sizeof(said)));
	EXPECT_STREQ("", said);
	EXPECT_EQ(4, rules.nr);
	EXPECT_EQ(2, line_for(&rules, "db", "vnet1", BOTH_RINGS));
	EXPECT_EQ(3, line_for(&rules, "db", "vnet2", BOTH_RINGS));
	EXPECT_EQ(4, line_for(&rules, "web", "vnet2", BOTH_RINGS));
	EXPECT_EQ(4, line_for(&rules, "web", "vnet2", 1 << RING_TX));
	EXPECT_EQ(5, line_for(&rules, "web", "vnet2", 1 << RING_RX));
	EXPECT_EQ(5, line_for(&rules, "web", "tap0", BOTH_RINGS));
	rules_free(&rules);
}

/* Which of them it serves is not known: only a rule for all may take it. */
TEST(worker_of_one_of_several_taps_ok)
{
	struct rules rules = { 0 };
	char said[1024];

	ASSERT_EQ(0, read_text(&rules, some_rules, said, sizeof(said)));
	EXPECT_EQ(3, line_for(&rules, "db", "vnet1,vnet2", BOTH_RINGS));
	EXPECT_EQ(4, line_for(&rules, "web", "vnet1,vnet2", BOTH_RINGS));
	EXPECT_EQ(5, line_for(&rules, "web", "vnet1,tap2", BOTH_RINGS));
	EXPECT_EQ(5, line_for(&rules, "web", "", BOTH_RINGS));
	rules_free(&rules);
}

TEST(user_by_name_or_number_ok)
{
	static const char text[] = "user=4294967294 cpus=0\nuser=root cpus=1\n"
				   "user=65534 vm=a cpus=2\nuser=daemon cpus=3\n"
				   "cpus=4\n";
	static const struct {
		uid_t user;
		unsigned int line;
	} users[] = {
		{ 0, 2 }, { 65534, 3 }, { 1, 4 }, { 2, 5 }, { NO_USER - 1, 1 },
		{ NO_USER, 5 },
	};
	struct rules rules = { 0 };
	char said[1024];

	ASSERT_EQ(0, read_text(&rules, text, said, sizeof(said))) {
		TH_LOG("%s", said);
	}
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		struct worker worker = { .user = users[i].user, .vm = "a" };

		EXPECT_EQ(users[i].line, rules_find(&rules, &worker)->line);
	}
	rules_free(&rules);
}

TEST_HARNESS_MAIN
