// SPDX-License-Identifier: GPL-2.0-only
/* What fdinfo says of a device and its rings, and while these come and go. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "harness.h"
#include "stats_lib.h"

#define PARAM	"/sys/module/vhx_net/parameters/latency"
#define PAGE	"Documentation/ABI/fdinfo.rst"
#define KEYS	256

FIXTURE(fdinfo) {
	struct watched w;
	int kmsg;
};

FIXTURE_VARIANT(fdinfo) {
	enum backend kind;
	uint64_t features;
	const char *name;	/* of the kind */
};

FIXTURE_VARIANT_ADD(fdinfo, tap) { .name = "tap", .features = F_V1 | F_EVENT };
FIXTURE_VARIANT_ADD(fdinfo, tap_packed) {
	.name = "tap", .features = F_V1 | F_PACKED,
};
FIXTURE_VARIANT_ADD(fdinfo, macvtap) {
	.name = "macvtap", .kind = BE_MACVTAP, .features = F_V1 | F_EVENT,
};
FIXTURE_VARIANT_ADD(fdinfo, packet) {
	.name = "packet", .kind = BE_PACKET, .features = F_EVENT,
};

FIXTURE_SETUP(fdinfo)
{
	if (strcmp(module_name(), "vhx_net"))
		SKIP(_exit(255), "in-tree has no counters in fdinfo");
	self->w.d.fd = -1;
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, watched_open(&self->w, variant->kind, variant->features));
}

FIXTURE_TEARDOWN(fdinfo)
{
	dev_close(&self->w.d);
	net_close(&self->w.n);
	EXPECT_EQ(0, write_text(PARAM, "0"));
	EXPECT_QUIET_KERNEL(self->kmsg);
}

#define EXPECT_FACT(value, key) do {					\
	char __text[128];						\
									\
	EXPECT_STREQ(value, fact_of(&self->w, key, __text,		\
				    sizeof(__text)));			\
} while (0)

static int receive_one(struct watched *w)
{
	int ret = rx_add(&w->d.vq[RX], STATS_ROOM, &one_piece, w->buf);

	vq_publish(&w->d.vq[RX]);
	if (ret >= 0)
		ret = watched_inject(w, STATS_LEN, 1);
	return ret ? ret : watched_pop(w, RX, 1);
}

TEST_F(fdinfo, device_and_rings_ok)
{
	bool is_packed = variant->features & F_PACKED;
	struct watched *w = &self->w;
	char number[16];

	snprintf(number, sizeof(number), "%d", getpid());
	EXPECT_FACT(number, "vhx-owner");
	EXPECT_FACT(is_packed ? "version_1 ring_packed" :
		    variant->features & F_V1 ? "event_idx version_1" :
		    "event_idx", "vhx-features");
	EXPECT_FACT("0", "vhx-latency");
	for (int q = 0; q < 2; q++) {
		snprintf(number, sizeof(number), "%d", worker_tid(getpid()));
		EXPECT_FACT(number, q ? "vhx-tx-worker" : "vhx-rx-worker");
		EXPECT_FACT("running", q ? "vhx-tx-state" : "vhx-rx-state");
		EXPECT_FACT(is_packed ? "packed" : "split",
			    q ? "vhx-tx-format" : "vhx-rx-format");
		EXPECT_EQ(STATS_RING, stat_of(w, q, "size"));
		EXPECT_FACT(variant->name,
			    q ? "vhx-tx-backend" : "vhx-rx-backend");
		EXPECT_FACT(w->n.tap_if, q ? "vhx-tx-ifname" : "vhx-rx-ifname");
	}
}

TEST_F(fdinfo, stopped_ring_has_no_backend)
{
	struct watched *w = &self->w;

	ASSERT_EQ(0, dev_backend(&w->d, RX, -1));
	EXPECT_FACT("stopped", "vhx-rx-state");
	EXPECT_FACT("none", "vhx-rx-backend");
	EXPECT_FACT("", "vhx-rx-ifname");
	EXPECT_FACT("running", "vhx-tx-state");
	EXPECT_FACT(w->n.tap_if, "vhx-tx-ifname");
	ASSERT_EQ(0, dev_ioctl(&w->d, VHOST_RESET_OWNER, NULL, 0));
	EXPECT_FACT("0", "vhx-owner");
	EXPECT_FACT("", "vhx-features");
	EXPECT_FACT("stopped", "vhx-tx-state");
	EXPECT_FACT("0", "vhx-tx-worker");
}

/* A tun's frames say it, a macvtap itself. */
TEST_F(fdinfo, queue_is_learnt)
{
	struct watched *w = &self->w;

	if (variant->kind == BE_PACKET)
		SKIP(return, "a packet socket has no queue");
	ASSERT_EQ(0, receive_one(w));
	EXPECT_FACT("0", "vhx-rx-queue");
	EXPECT_FACT("0", "vhx-tx-queue");
}

TEST_F(fdinfo, renamed_and_deleted_interface_ok)
{
	if (variant->kind != BE_TAP)
		SKIP(return, "other tests need that interface");
	ASSERT_EQ(0, run("ip link set vt0 down && ip link set vt0 name other"));
	EXPECT_FACT("other", "vhx-rx-ifname");
	ASSERT_EQ(0, link_del("other"));
	EXPECT_FACT("", "vhx-rx-ifname");
	EXPECT_FACT("tap", "vhx-rx-backend");
}

/* All that a histogram counted. */
static int64_t sum_of(struct watched *w, int q, const char *what)
{
	int64_t sum = 0, n;
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "%s_%llu", what, 1ULL << i);
		n = stat_of(w, q, name);
		sum += n > 0 ? n : 0;
	}
	return sum;
}

static int measure(int tid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", tid);
	return write_text(PARAM, text);
}

TEST_F(fdinfo, latencies_of_one_device_ok)
{
	struct dev other = {};
	struct watched *w = &self->w;
	int tid = stat_of(w, TX, "worker");

	ASSERT_EQ(0, dev_open(&other));
	ASSERT_EQ(0, dev_own(&other));
	EXPECT_EQ(-EINVAL, write_text(PARAM, "-1"));
	ASSERT_EQ(0, measure(tid));
	EXPECT_EQ(1, dev_counter(&w->d, "vhx-latency"));
	EXPECT_EQ(0, dev_counter(&other, "vhx-latency"));
	for (int i = 1; i <= 5; i++) {
		ASSERT_EQ(0, watched_turn(w, TX, 0));
		EXPECT_EQ(i, sum_of(w, TX, "pickup"));
	}
	EXPECT_EQ(0, sum_of(w, TX, "publish"));
	for (int i = 1; i <= 5; i++) {
		int64_t sleeps = stat_of(w, RX, "sleeps");

		ASSERT_EQ(0, receive_one(w));
		EXPECT_EQ(0, stat_wait(w, RX, "sleeps", sleeps + 1));
		EXPECT_EQ(i, sum_of(w, RX, "publish"));
	}
	EXPECT_EQ(0, sum_of(w, RX, "pickup"));

	/* They stay when it is over, until it begins anew. */
	ASSERT_EQ(0, measure(0));
	EXPECT_EQ(0, dev_counter(&w->d, "vhx-latency"));
	ASSERT_EQ(0, watched_turn(w, TX, 0));
	EXPECT_EQ(5, sum_of(w, TX, "pickup"));
	ASSERT_EQ(0, measure(tid));
	ASSERT_EQ(0, watched_turn(w, TX, 0));
	EXPECT_EQ(1, sum_of(w, TX, "pickup"));
	dev_close(&other);
}

/* What waited for buffers when the ring stopped was not on its way meanwhile. */
TEST_F(fdinfo, latency_of_a_stopped_ring_does_not_count)
{
	struct watched *w = &self->w;
	int64_t end;

	ASSERT_EQ(0, measure(stat_of(w, TX, "worker")));
	ASSERT_EQ(0, watched_inject(w, STATS_LEN, 1));
	ASSERT_EQ(0, stat_wait(w, RX, "guest_waits", 1));
	ASSERT_EQ(0, dev_backend(&w->d, RX, -1));
	end = now_ms() + 2;
	while (now_ms() < end)
		sched_yield();
	ASSERT_LE(0, rx_add(&w->d.vq[RX], STATS_ROOM, &one_piece, w->buf));
	vq_publish(&w->d.vq[RX]);
	ASSERT_EQ(0, dev_backend(&w->d, RX, w->n.tap));
	ASSERT_EQ(0, watched_pop(w, RX, 1));
	EXPECT_EQ(0, sum_of(w, RX, "publish"));
	ASSERT_EQ(0, measure(0));
}

struct keys {
	char key[KEYS][40];
	int n;
};

static void add_key(struct keys *keys, const char *name)
{
	for (int i = 0; i < keys->n; i++)
		if (!strcmp(keys->key[i], name))
			return;
	if (keys->n < KEYS)
		snprintf(keys->key[keys->n++], 40, "%.39s", name);
}

/* The keys of both rings, by their rows: of many of one kind one stands for all. */
static void read_keys(struct watched *w, struct keys *keys)
{
	static const char *const kinds[] = { "stop_", "pickup_", "publish_" };
	char path[64], line[256], *name;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", w->d.fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "vhx-", 4))
			continue;
		line[strcspn(line, ":")] = 0;
		name = line + 4;
		if (!strncmp(name, "rx-", 3) || !strncmp(name, "tx-", 3))
			name += 3;
		else
			name = line;
		for (int i = 0; i < (int)ARRAY_SIZE(kinds); i++)
			if (!strncmp(name, kinds[i], strlen(kinds[i])))
				strcpy(name + strlen(kinds[i]),
				       i ? "N" : "CAUSE");
		add_key(keys, name);
	}
	if (file)
		fclose(file);
}

/* Rows of the page begin with a key between two pairs of backquotes. */
static int read_rows(struct keys *keys)
{
	FILE *file = fopen(PAGE, "re");
	char line[256], *end;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		end = strncmp(line, "``", 2) ? NULL : strstr(line + 2, "``  ");
		if (!end)
			continue;
		*end = 0;
		add_key(keys, line + 2);
	}
	fclose(file);
	return 0;
}

/* How many of @all are missing in @some. */
static int missing(const struct keys *all, const struct keys *some,
		   const char *where)
{
	int nr = 0;

	for (int i = 0; i < all->n; i++) {
		bool is_there = false;

		for (int k = 0; k < some->n && !is_there; k++)
			is_there = !strcmp(all->key[i], some->key[k]);
		if (is_there)
			continue;
		DIAG("%s is not in %s", all->key[i], where);
		nr++;
	}
	return nr;
}

TEST_F(fdinfo, keys_are_rows_of_the_page)
{
	struct keys keys = {}, rows = {};
	struct watched *w = &self->w;
	struct vq *vq = &w->d.vq[TX];
	int head;

	if (read_rows(&rows))
		SKIP(return, "no " PAGE " below the working directory");
	if (variant->kind != BE_TAP || (variant->features & F_PACKED))
		SKIP(return, "the same keys as of a tap");
	ASSERT_EQ(0, measure(stat_of(w, TX, "worker")));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, receive_one(w));
	head = watched_add(w, NULL, STATS_LEN, 0);
	vq->desc[head].addr += 1ULL << 50;
	vq_publish(vq);
	vq_kick(vq);
	ASSERT_EQ(0, event_wait(vq->err, WAIT_MS));
	ASSERT_EQ(0, dev_get_base(&w->d, TX));
	read_keys(w, &keys);
	EXPECT_EQ(0, missing(&keys, &rows, PAGE));
	EXPECT_EQ(0, missing(&rows, &keys, "fdinfo"));
}

struct reader {
	char path[64];
	bool is_over;
	long looks, bad;
};

/* Lines of ours are keys, tabs and values, whatever happens to the device. */
static void *read_on(void *data)
{
	struct reader *r = data;
	char line[256];

	while (!__atomic_load_n(&r->is_over, __ATOMIC_RELAXED)) {
		FILE *file = fopen(r->path, "re");

		while (file && fgets(line, sizeof(line), file))
			r->bad += !strncmp(line, "vhx-", 4) &&
				  !strstr(line, ":\t");
		if (file)
			fclose(file);
		r->looks++;
	}
	return NULL;
}

TEST_F(fdinfo, read_while_all_changes_ok)
{
	struct watched *w = &self->w;
	struct reader r = {};
	int64_t end = now_ms() + 2000;
	int tap = -1, fd = w->d.fd, n = 0, ret;
	pthread_t thread;

	if (variant->kind == BE_TAP)
		tap = tap_open("vt1", 0, 12);
	snprintf(r.path, sizeof(r.path), "/proc/self/fdinfo/%d", fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_on, &r));
	while (now_ms() < end || n < 20) {
		for (int q = 0; q < 2; q++) {
			EXPECT_EQ(0, dev_backend(&w->d, q, -1));
			if (tap >= 0)
				EXPECT_EQ(0, dev_backend(&w->d, q, tap));
			EXPECT_EQ(0, dev_backend(&w->d, q, w->n.tap));
		}
		EXPECT_EQ(0, measure(n % 2 ? worker_tid(getpid()) : 0));
		vq_kick(&w->d.vq[TX]);
		watched_inject(w, STATS_LEN, n);
		if (++n % 4)
			continue;
		/* the same number again, most of the time */
		dev_close(&w->d);
		net_close(&w->n);
		/* the one who reads may have the tap still */
		do {
			ret = watched_open(w, variant->kind, variant->features);
		} while (ret == -EBUSY && now_ms() < end + WAIT_MS);
		ASSERT_EQ(0, ret);
	}
	__atomic_store_n(&r.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, r.looks);
	EXPECT_EQ(0, r.bad);
	close(tap);
}

MACVTAP_BEFORE_MAIN()
TEST_HARNESS_MAIN
