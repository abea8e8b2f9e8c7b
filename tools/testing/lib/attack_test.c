// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhx-switch under attack: what one client does, those on other ports do not feel.
 * The program is $VHX_SWITCH. Two honest guests send each other frames the while;
 * the longest that one waits is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <kselftest_harness.h>

#include "honest.h"
#include "slow_file.h"

#define FRAMES	150
/* Half of the frames take no longer, few longer: the machine is shared. */
#define USUAL_US	100000
#define LATE_US	400000
#define LATE_MAX	3
#define TURNS_MIN	5
#define PORTS	5
#define MANY	256		/* queues of a port of many */
#define F_OFFLOADS	(BIT_ULL(VIRTIO_NET_F_CSUM) | BIT_ULL(VIRTIO_NET_F_HOST_TSO4))

FIXTURE(attack) {
	pid_t pid;
	char dir[64];
	char ctl[80];
	char path[PORTS][80];		/* attacker, both guests, those of many */
	struct front f;			/* the attacker's */
	struct slow_file slow;
	struct honest guest[2];
	pthread_t thread;
	bool is_over;
	uint64_t turns;
};

typedef FIXTURE_DATA(attack) fix;

static pid_t start_switch(fix *s)
{
	struct rlimit limit;
	char spec[PORTS][128];
	pid_t pid = fork();

	for (int i = 0; i < PORTS; i++)
		snprintf(spec[i], sizeof(spec[i]),
			 "vhost-user,name=%c,path=%s,queues=%d", 'a' + i,
			 s->path[i], i < 3 ? 1 : MANY / 2);
	if (!pid) {
		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		freopen("/dev/null", "w", stderr);
		execl(getenv("VHX_SWITCH"), "vhx-switch", "--offload",
		      "--ctl", s->ctl,
		      "--port", spec[0], "--port", spec[1], "--port", spec[2],
		      "--port", spec[3], "--port", spec[4], NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && access(s->path[PORTS - 1], F_OK); i++)
		usleep(10000);
	return pid;
}

FIXTURE_SETUP(attack)
{
	front_init(&self->f);
	front_init(&self->guest[0].f);
	front_init(&self->guest[1].f);
	ASSERT_NE(NULL, getenv("VHX_SWITCH"));
	strcpy(self->dir, "/tmp/vhx-attack-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->ctl, sizeof(self->ctl), "%s/ctl", self->dir);
	for (int i = 0; i < PORTS; i++)
		snprintf(self->path[i], sizeof(self->path[i]), "%s/%c",
			 self->dir, 'a' + i);
	self->pid = start_switch(self);
	ASSERT_LT(0, self->pid);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, honest_open(&self->guest[i], self->path[i + 1], i));
	ASSERT_EQ(0, honest_wait_up(&self->guest[0], &self->guest[1]));
	ASSERT_EQ(0, honest_wait_up(&self->guest[1], &self->guest[0]));
}

/* It ends when it is asked to, whatever peers do; close() on FUSE cannot be killed. */
FIXTURE_TEARDOWN(attack)
{
	int status = -1;

	if (self->thread) {
		__atomic_store_n(&self->is_over, true, __ATOMIC_RELAXED);
		pthread_join(self->thread, NULL);
	}
	kill(self->pid, SIGTERM);
	for (int i = 0; i < 1000 && !access(self->path[2], F_OK); i++)
		usleep(10000);
	EXPECT_NE(0, access(self->path[2], F_OK));
	slow_file_close(&self->slow);
	for (int i = 0; i < 1000 && !waitpid(self->pid, &status, WNOHANG); i++)
		usleep(10000);
	EXPECT_EQ(0, status);
	if (status)
		kill(self->pid, SIGKILL);
	front_close(&self->f);
	for (int i = 0; i < 2; i++)
		front_close(&self->guest[i].f);
	rmdir(self->dir);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Return: 0 if no frame of the honest guests was kept waiting. */
static int guests_are_served(fix *s, bool is_broadcast)
{
	static uint32_t seq = 1;
	int64_t took[FRAMES];

	for (int i = 0; i < FRAMES; i++) {
		took[i] = honest_cross(&s->guest[i & 1], &s->guest[~i & 1], seq++,
				       is_broadcast);
		if (took[i] < 0)
			return (int)took[i];
	}
	qsort(took, FRAMES, sizeof(*took), by_size);
	fprintf(stderr, "# a frame takes %lld us, the longest %lld us; %llu turns\n",
		(long long)took[FRAMES / 2], (long long)took[FRAMES - 1],
		(unsigned long long)s->turns);
	return took[FRAMES / 2] < USUAL_US &&
	       took[FRAMES - 1 - LATE_MAX] < LATE_US ? 0 : -ETIME;
}

static bool goes_on(fix *s)
{
	__atomic_add_fetch(&s->turns, 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&s->is_over, __ATOMIC_RELAXED);
}

/* Does it over and over, beside what the test does. */
static int keep_doing(fix *s, void *(*attack)(void *arg))
{
	int ret = -pthread_create(&s->thread, NULL, attack, s);

	for (int i = 0; !ret && i < 5000 &&
	     __atomic_load_n(&s->turns, __ATOMIC_RELAXED) < TURNS_MIN; i++)
		usleep(1000);
	return ret ? ret : s->turns < TURNS_MIN ? -ENODATA : 0;
}

/* -- attacks by messages ------------------------------------------------------- */

TEST_F(attack, nobody_ok)
{
	EXPECT_EQ(0, guests_are_served(self, false));
	EXPECT_EQ(0, guests_are_served(self, true));
}

static void *connect_without_end(void *arg)
{
	struct front f[8];
	fix *s = arg;

	while (goes_on(s)) {
		for (int i = 0; i < 8; i++)
			front_connect(&f[i], s->path[0]);
		for (int i = 0; i < 8; i++)
			front_close(&f[i]);
	}
	return NULL;
}

TEST_F(attack, connections_without_end_ok)
{
	ASSERT_EQ(0, keep_doing(self, connect_without_end));
	EXPECT_EQ(0, guests_are_served(self, false));
}

static void *complain_without_end(void *arg)
{
	uint64_t mtu = 1;
	fix *s = arg;

	while (goes_on(s) && !front_u64(&s->f, NET_SET_MTU, mtu))
		;
	while (goes_on(s))
		front_u64(&s->f, NET_SET_MTU, mtu);
	return NULL;
}

TEST_F(attack, messages_that_fail_without_end_ok)
{
	ASSERT_EQ(0, front_connect(&self->f, self->path[0]));
	ASSERT_EQ(0, front_negotiate(&self->f, FEATURES));
	ASSERT_EQ(0, keep_doing(self, complain_without_end));
	EXPECT_EQ(0, guests_are_served(self, false));
}

static void *announce_without_end(void *arg)
{
	uint8_t mac[8] = { 2, 0, 0, 0, 1 };
	fix *s = arg;

	for (; goes_on(s); mac[5]++)
		front_send(&s->f, SEND_RARP, 0, mac, 8, NULL, 0);
	return NULL;
}

TEST_F(attack, announcements_without_end_ok)
{
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	ASSERT_EQ(0, keep_doing(self, announce_without_end));
	EXPECT_EQ(0, guests_are_served(self, false));
}

static void *make_writes_wait(void *arg)
{
	fix *s = arg;
	int fd = eventfd(0, EFD_CLOEXEC);

	eventfd_write(fd, ~1ULL);
	while (goes_on(s)) {
		for (int i = 0; i < 50; i++)
			fcntl(fd, F_SETFL, 0);
		front_fd(&s->f, SET_VRING_CALL, RX, fd);
	}
	close(fd);
	return NULL;
}

TEST_F(attack, call_eventfd_that_blocks_ok)
{
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	ASSERT_EQ(0, keep_doing(self, make_writes_wait));
	EXPECT_EQ(0, guests_are_served(self, true));
}

/* Each comes with a file to close, which takes as long as it likes. */
static void *give_slow_files(void *arg)
{
	/* how many; where, how long, the address in QEMU, the offset in the file */
	const uint64_t table[] = { 1, 0x100000000, 8192, 0x700000000000, 0 };
	struct front f[2];
	fix *s = arg;

	for (int i = 0; i < 2; i++)
		front_connect(&f[i], s->path[0]);
	for (unsigned int i = 0; goes_on(s); i++, usleep(1000))
		front_send(&f[i & 1], SET_MEM_TABLE, 0, table, sizeof(table),
			   &s->slow.fd, 1);
	for (int i = 0; i < 2; i++)
		front_close(&f[i]);
	return NULL;
}

TEST_F(attack, memory_on_fuse_without_end_ok)
{
	int err = slow_file_open(&self->slow);

	if (err)
		SKIP(return, "no FUSE to be had: %s", strerror(-err));
	slow_file_silence(&self->slow);
	ASSERT_EQ(0, keep_doing(self, give_slow_files));
	EXPECT_EQ(0, guests_are_served(self, false));
	EXPECT_EQ(0, guests_are_served(self, true));
}

/* -- attacks by rings ---------------------------------------------------------- */

static void *kick_without_end(void *arg)
{
	fix *s = arg;

	while (goes_on(s))
		vq_kick(&s->f.d.vq[TX]);
	return NULL;
}

TEST_F(attack, kicks_without_end_ok)
{
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	ASSERT_EQ(0, keep_doing(self, kick_without_end));
	EXPECT_EQ(0, guests_are_served(self, false));
}

/* CPU time of the switch, in clock ticks. */
static long cpu_of(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &sys) != 2)
		user = 0;
	if (file)
		fclose(file);
	return (long)(user + sys);
}

/* Of a semaphore each read takes one: it is readable for as long as one likes. */
TEST_F(attack, kick_eventfd_of_semaphores_lets_it_sleep_ok)
{
	int fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	long began;

	eventfd_write(fd, 1ULL << 40);
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	ASSERT_EQ(0, front_fd(&self->f, SET_VRING_KICK, TX, fd));
	close(fd);
	usleep(300000);
	began = cpu_of(self->pid);
	usleep(1000000);
	EXPECT_GT(sysconf(_SC_CLK_TCK) / 2, cpu_of(self->pid) - began);
}

TEST_F(attack, buffers_of_very_many_descriptors_ok)
{
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	front_give_costly(&self->f, NUM);
	usleep(200000);
	EXPECT_EQ(0, guests_are_served(self, true));
}

static void *send_from_everywhere(void *arg)
{
	uint8_t frame[60], from[ETH_ALEN] = { 2, 1 };
	fix *s = arg;
	struct vq *vq = &s->f.d.vq[TX];
	uint8_t *buf = guest_alloc(&s->f.d, NUM * ROOM, 4096);
	uint32_t seq = 0;

	while (goes_on(s)) {
		for (int i = 0; i < 64; i++, seq++) {
			memcpy(from + 2, &seq, sizeof(seq));
			honest_fill(frame, from, from, 0);
			if (tx_add(vq, NULL, frame, sizeof(frame), &one_piece,
				   buf + seq % NUM * ROOM) < 0)
				break;
		}
		vq_publish_kick(vq);
		while (vq_pop(vq, NULL) >= 0)
			;
	}
	return NULL;
}

/* The addresses of others are known all the same: nothing is flooded to it. */
TEST_F(attack, addresses_without_end_ok)
{
	unsigned int before, sent, i;

	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES, NUM));
	EXPECT_EQ(0, guests_are_served(self, false));
	for (i = 0; i < NUM / 2; i++)
		rx_add(&self->f.d.vq[RX], ROOM, &one_piece,
		       guest_alloc(&self->f.d, ROOM, 16));
	vq_publish(&self->f.d.vq[RX]);
	ASSERT_EQ(0, keep_doing(self, send_from_everywhere));
	usleep(500000);
	before = self->f.d.vq[RX].used->idx;
	sent = self->f.d.vq[TX].used->idx;
	/* All of it may be over before the attacker has had a processor. */
	for (i = 0; i < 200 && sent == self->f.d.vq[TX].used->idx; i++)
		EXPECT_EQ(0, guests_are_served(self, false));
	EXPECT_EQ(before, self->f.d.vq[RX].used->idx);
	EXPECT_NE(sent, self->f.d.vq[TX].used->idx);
}

#define LONG_FRAME	65000

/* TCP in IPv4 of @len bytes, from nobody to everybody. */
static void fill_long(uint8_t *frame, size_t len)
{
	static const uint8_t all[] = { 255, 255, 255, 255, 255, 255 };

	memset(frame, 1, len);
	honest_fill(frame, all, (uint8_t []){ 2, 9, 9, 9, 9, 9 }, 0);
	frame[12] = 0x08;
	frame[13] = 0;
	frame[14] = 0x45;
	frame[14 + 9] = 6;
	frame[34 + 12] = 5 << 4;
}

/* Frames that say of themselves what is not so, or that they are many segments. */
static void *lie_without_end(void *arg)
{
	static const struct virtio_net_hdr lies[] = {
		{ 0, VIRTIO_NET_HDR_GSO_ECN, 54, 0xffff, 0xffff, 16 },
		{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1, 34, 16 },
		{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 300, 34, 16 },
		{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 0xffff, 34, 16 },
		{ 1, VIRTIO_NET_HDR_GSO_TCPV6, 54, 100, 0xfff0, 16 },
		{ 1, VIRTIO_NET_HDR_GSO_UDP, 42, 100, 34, 6 },
		{ 1, VIRTIO_NET_HDR_GSO_NONE, 0, 0, 60000, 0xfff0 },
	};
	static uint8_t frame[LONG_FRAME];
	fix *s = arg;
	struct vq *vq = &s->f.d.vq[TX];
	uint8_t *buf = guest_alloc(&s->f.d, 8UL * (LONG_FRAME + 4096), 4096);

	fill_long(frame, sizeof(frame));
	for (unsigned int i = 0; goes_on(s); i++) {
		size_t len = i % 3 ? sizeof(frame) : 60;

		while (vq_pop(vq, NULL) >= 0)
			;
		tx_add(vq, &lies[i % 7], frame, len, &one_piece,
		       buf + i % 8 * (LONG_FRAME + 4096));
		vq_publish_kick(vq);
		vq_wait(vq, 1, 100);
	}
	return NULL;
}

TEST_F(attack, headers_that_lie_ok)
{
	ASSERT_EQ(0, front_open(&self->f, self->path[0], FEATURES | F_OFFLOADS,
				NUM));
	ASSERT_EQ(0, keep_doing(self, lie_without_end));
	EXPECT_EQ(0, guests_are_served(self, false));
}

/* Without kicks: it is looked at often enough. */
TEST_F(attack, ring_without_kicks_is_served_ok)
{
	struct honest *g = &self->guest[0];
	int late = 0;

	ASSERT_LT(0, honest_cross(g, &self->guest[1], 1, true));
	ASSERT_EQ(0, front_fd(&g->f, SET_VRING_KICK, TX, -1));
	usleep(300000);
	for (uint32_t i = 2; i < 22; i++) {
		usleep(20000);
		late += honest_cross(g, &self->guest[1], i, true) > USUAL_US;
	}
	EXPECT_GE(LATE_MAX, late);
}

/* As front_ring(), but queue @index is where @vq lies; it was kicked once. */
static int add_queue(struct front *f, struct vq *vq, unsigned int index, int kick)
{
	struct vhost_vring_addr addr;
	int ret;

	vq_addr(vq, &addr);
	addr.index = index;
	ret = front_state(f, SET_VRING_NUM, index, vq->num);
	if (!ret)
		ret = front_ack(f, SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (!ret)
		ret = front_fd(f, SET_VRING_KICK, index, kick);
	return ret ? ret : front_state(f, SET_VRING_ENABLE, index, 1);
}

/* Of many queues the guest uses the last one. All others are one empty ring. */
static int open_many(struct front *f, const char *path)
{
	int ret = front_begin(f, path, FEATURES), kick;

	for (unsigned int q = RX; q <= TX && !ret; q++)
		ret = front_layout(f, q, NUM);
	for (unsigned int i = 0; i < MANY - 1 && !ret; i++) {
		kick = eventfd(1, EFD_CLOEXEC);
		ret = add_queue(f, &f->d.vq[RX], i, kick);
		close(kick);
	}
	if (!ret)
		ret = add_queue(f, &f->d.vq[TX], MANY - 1, f->d.vq[TX].kick);
	vq_kick(&f->d.vq[TX]);
	return ret;
}

/* The one that sends is none of the first 256 that the switch came to know. */
TEST_F(attack, ring_behind_many_is_served_ok)
{
	struct honest many[2];
	int64_t took[20];

	for (int i = 0; i < 2; i++) {
		front_init(&many[i].f);
		ASSERT_EQ(0, open_many(&many[i].f, self->path[3 + i]));
		many[i].buf = guest_alloc(&many[i].f.d, 2UL * NUM * ROOM, 4096);
		memcpy(many[i].mac, (uint8_t []){ 2, 0, 0, 0, 1, i }, ETH_ALEN);
	}
	ASSERT_EQ(0, honest_wait_up(&many[1], &self->guest[0]));
	for (uint32_t i = 0; i < 20; i++) {
		usleep(20000);
		took[i] = honest_cross_within(&many[1], &self->guest[0], 2000000 + i,
					      false, WAIT_MS * 1000LL);
		EXPECT_LE(0, took[i]);
	}
	qsort(took, 20, sizeof(*took), by_size);
	EXPECT_GT(USUAL_US, took[10]);
	for (int i = 0; i < 2; i++)
		front_close(&many[i].f);
}

/* -- attacks by the control socket --------------------------------------------- */

static int dial_ctl(fix *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, s->ctl);
	return connect(fd, (void *)&address, sizeof(address)) ? -errno : fd;
}

/* Those that do not read, do not ask, or ask a byte at a time. */
TEST_F(attack, ctl_clients_that_wait_hold_up_nobody_ok)
{
	static const char ask[] = "show macs --json\n";
	char answer[16] = "";
	int fd, fds[12];

	for (int i = 0; i < 12; i++) {
		fds[i] = dial_ctl(self);
		ASSERT_LE(0, fds[i]);
		if (i < 3)
			ASSERT_LT(0, write(fds[i], ask, i ? strlen(ask) : 1));
	}
	EXPECT_EQ(0, guests_are_served(self, false));
	/* those that are silent are given up, and the next one has its turn */
	fd = dial_ctl(self);
	ASSERT_LT(0, write(fd, "help\n", 5));
	EXPECT_LT(0, read(fd, answer, 3));
	EXPECT_EQ(0, memcmp(answer, "ok\n", 3));
	close(fd);
	for (int i = 0; i < 12; i++)
		close(fds[i]);
}

TEST_HARNESS_MAIN
