// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers that would stop the library for others: by files of odd kinds, by taking
 * all there is, by making noise. Each time somebody else is served.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <kselftest_harness.h>

#include "frontend.h"
#include "user.h"

#define FEATURES	(F_V1 | F_MRG | F_EVENT | F_INDIRECT)
#define HUGE_PAGE	(2UL << 20)
#define LINGER_S	8
#define NR_HUGE		"/proc/sys/vm/nr_hugepages"
#ifdef __has_feature
#define IS_SANITIZED	__has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED	true
#else
#define IS_SANITIZED	false
#endif

FIXTURE(peer) {
	struct user u;
	struct front f;
};

FIXTURE_SETUP(peer)
{
	front_init(&self->f);
	ASSERT_EQ(0, user_open(&self->u, 1, 0));
}

FIXTURE_TEARDOWN(peer)
{
	front_close(&self->f);
	user_close(&self->u);
}

typedef FIXTURE_DATA(peer) fix;

static int start(fix *s)
{
	int ret = user_start(&s->u);

	if (!ret)
		ret = front_connect(&s->f, s->u.path);
	return ret ? ret : front_negotiate(&s->f, FEATURES);
}

/* Return: milliseconds until another peer was served, or -errno. */
static int64_t serve_ms(fix *s)
{
	int64_t began = now_ms();
	int ret = front_is_served(s->u.path);

	return ret ? ret : now_ms() - began;
}

static int up(fix *s)
{
	int ret = user_start(&s->u);

	if (!ret)
		ret = front_open(&s->f, s->u.path, FEATURES, 256);
	return ret ? ret : user_wait(&s->u, 3);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (!vhx_sigbus(info))
		_exit(99);
}

static void handle_sigbus(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGBUS, &action, NULL);
}

/* -- files of odd kinds -------------------------------------------------------- */

/* A connection whose close() waits for its peer, who does not read. */
static int lingering(int *other)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_S };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	static const char bytes[65536];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (void *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &len) ||
	    connect(fd, (void *)&address, len))
		return -errno;
	*other = accept(listener, NULL, NULL);
	close(listener);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

/* Gives the library the only descriptor of a file, with a message that is not whole. */
static int give_away(struct front *f, int fd)
{
	int ret = front_send_half(f, fd);

	/* it is read first */
	usleep(100000);
	close(fd);
	return ret;
}

/* Another driver of the same session. */
static int start_other(fix *s, char *path, size_t size)
{
	struct vhx_driver *other;
	int ret;

	snprintf(path, size, "%s-other", s->u.path);
	ret = vhx_driver_register(s->u.session, path, 0, &other);
	return ret ? ret : vhx_driver_start(other);
}

/* The last to close a file may have to wait; those who are served do not. */
TEST_F(peer, file_that_lingers_holds_up_nobody_ok)
{
	int64_t began;
	char path[80];
	int other, fd = lingering(&other);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_other(self, path, sizeof(path)));
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, give_away(&self->f, fd));
	ASSERT_EQ(8, write(self->f.d.fd, path, 8));
	EXPECT_EQ(0, front_hangs_up(&self->f));
	began = now_ms();
	EXPECT_EQ(0, front_is_served(path));
	EXPECT_GT(LINGER_S * 1000 / 2, now_ms() - began);
	close(other);
}

/* In a socket that nobody accepted a file may wait as well. */
TEST_F(peer, file_that_lingers_in_the_backlog_holds_up_nobody_ok)
{
	int64_t began;
	struct front idle;
	char path[80];
	int other, fd = lingering(&other);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_other(self, path, sizeof(path)));
	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_PEERS, 1));
	ASSERT_EQ(0, front_connect(&self->f, self->u.path));
	ASSERT_EQ(0, front_connect(&idle, self->u.path));
	ASSERT_EQ(0, give_away(&idle, fd));
	front_close(&idle);
	began = now_ms();
	ASSERT_EQ(0, user_start(&self->u));
	EXPECT_EQ(0, front_is_served(path));
	EXPECT_GT(LINGER_S * 1000 / 2, now_ms() - began);
	close(other);
}

/* While one file waits, no more are taken. */
TEST_F(peer, files_behind_one_that_lingers_have_a_bound_ok)
{
	int fds[FDS_MAX], other, fd = lingering(&other), most = 0, ret = 0;
	struct front more;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, front_connect(&more, self->u.path));
	ASSERT_EQ(0, front_negotiate(&more, FEATURES));
	ASSERT_EQ(0, give_away(&self->f, fd));
	ASSERT_EQ(8, write(self->f.d.fd, fds, 8));
	EXPECT_EQ(0, front_hangs_up(&self->f));
	for (int i = 0; i < FDS_MAX; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < 5000 && !ret; i++) {
		ret = front_ack(&more, GET_FEATURES, NULL, 0, fds, FDS_MAX);
		if (ret == -EINVAL)
			ret = 0;
		most = count_fds() > most ? count_fds() : most;
	}
	EXPECT_NE(0, ret);
	EXPECT_GT(700, most);
	for (int i = 0; i < FDS_MAX; i++)
		close(fds[i]);
	front_close(&more);
	close(other);
}

/* No file but of memory is mapped: a page of another may be the peer's to bring. */
TEST_F(peer, memory_of_other_kinds_einval)
{
	const struct region one = { 0x800000000, 4096, 0x700000000000, 0 };
	char name[] = "/var/tmp/vhx-peer-XXXXXX";
	int fds[4], file = mkstemp(name), pair[2];

	ASSERT_LE(0, file);
	unlink(name);
	ASSERT_EQ(0, ftruncate(file, 1 << 20));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fds[0] = file;
	fds[1] = pair[0];
	fds[2] = open("/dev/zero", O_RDWR);
	fds[3] = eventfd(0, 0);
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(-EINVAL, front_add_region(&self->f, &one, fds[i]));
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(pair[1]);
	EXPECT_LE(0, serve_ms(self));
}

TEST_F(peer, memory_of_any_kind_where_allowed_ok)
{
	const struct region one = { 0x800000000, 4096, 0x700000000000, 0 };
	char name[] = "/var/tmp/vhx-peer-XXXXXX";
	int file = mkstemp(name);

	unlink(name);
	ASSERT_EQ(0, ftruncate(file, 1 << 20));
	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_MEMORY,
					  VHX_MEMORY_ANY));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, front_add_region(&self->f, &one, file));
	close(file);
}

/* Bursts ask there for translations: nothing but a socket of this kind. */
TEST_F(peer, request_fd_of_other_kinds_einval)
{
	int pipes[2], tcp = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(-EINVAL, front_ack(&self->f, SET_BACKEND_REQ_FD, NULL, 0,
				     &pipes[1], 1));
	EXPECT_EQ(-EINVAL, front_ack(&self->f, SET_BACKEND_REQ_FD, NULL, 0,
				     &tcp, 1));
	close(pipes[0]);
	close(pipes[1]);
	close(tcp);
}

struct spinner {
	int fd;
	bool is_over;
};

/* Makes writes wait, as often as it can. */
static void *spin(void *arg)
{
	struct spinner *spinner = arg;

	while (!__atomic_load_n(&spinner->is_over, __ATOMIC_RELAXED))
		fcntl(spinner->fd, F_SETFL, 0);
	return NULL;
}

/* A ring's new call eventfd is signalled at once: it may be full, and block. */
TEST_F(peer, call_that_blocks_when_set_holds_up_nobody_ok)
{
	struct spinner spinner = { .fd = eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	int ret = 0;

	eventfd_write(spinner.fd, ~1ULL);
	ASSERT_EQ(0, up(self));
	ASSERT_EQ(0, pthread_create(&thread, NULL, spin, &spinner));
	for (int i = 0; i < 3000 && !ret; i++)
		ret = front_fd(&self->f, SET_VRING_CALL, RX, spinner.fd);
	__atomic_store_n(&spinner.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	close(spinner.fd);
	EXPECT_EQ(0, ret);
	EXPECT_LE(0, serve_ms(self));
}

/* -- memory that is cut off ---------------------------------------------------- */

static int64_t read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long n = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &n) != 1)
		n = -1;
	fclose(file);
	return n;
}

/* Return: a file of so many huge pages, with memory behind it. */
static int huge_file(unsigned int pages)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)(pages * HUGE_PAGE)))
		return -1;
	p = mmap(NULL, pages * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd, 0);
	if (p == MAP_FAILED)
		return -1;
	munmap(p, pages * HUGE_PAGE);
	return fd;
}

/* Of huge pages nothing but the whole can be replaced. */
TEST_F(peer, part_of_a_huge_page_cut_off_ends_the_device_ok)
{
	int64_t before = read_number(NR_HUGE);
	char text[32], data[2048];
	struct vhx_pkt pkt = { .data = data, .room = sizeof(data) };
	struct vhx_pkt *pkts[] = { &pkt };
	struct front *f = &self->f;
	struct vhx_device *dev;
	struct {
		uint32_t nr, padding;
		struct region region;
	} table = { .nr = 1 };
	int fd;

	snprintf(text, sizeof(text), "%d", (int)before + 4);
	write_text(NR_HUGE, text);
	fd = huge_file(4);
	if (fd < 0) {
		snprintf(text, sizeof(text), "%d", (int)before);
		write_text(NR_HUGE, text);
		SKIP(return, "no huge pages to be had");
	}
	handle_sigbus();
	ASSERT_EQ(0, start(self));
	f->d.mem = mmap(NULL, 4 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, 0);
	table.region = (struct region){
		GPA_BASE, 3 * HUGE_PAGE + 4096, (uintptr_t)f->d.mem, 0,
	};
	ASSERT_EQ(0, front_ack(f, SET_MEM_TABLE, &table, sizeof(table), &fd, 1));
	for (unsigned int q = RX; q <= TX; q++) {
		ASSERT_EQ(0, front_ring(f, q, 64));
		vq_kick(&f->d.vq[q]);
	}
	ASSERT_EQ(0, user_wait(&self->u, 3));
	dev = self->u.dev;
	ASSERT_EQ(0, ftruncate(fd, 0));
	vhx_dequeue_burst(dev, 1, pkts, 1);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_LE(0, serve_ms(self));
	munmap(f->d.mem, 4 * HUGE_PAGE);
	f->d.mem = MAP_FAILED;
	close(fd);
	snprintf(text, sizeof(text), "%d", (int)before);
	write_text(NR_HUGE, text);
}

/* What is put in the place of memory takes none that may have run out. */
TEST_F(peer, cut_off_without_address_space_ends_the_device_ok)
{
	char data[2048];
	struct vhx_pkt pkt = { .data = data, .room = sizeof(data) };
	struct vhx_pkt *pkts[] = { &pkt };
	struct rlimit limit;
	struct vhx_device *dev;

	if (IS_SANITIZED)
		SKIP(return, "a sanitizer needs address space for itself");
	handle_sigbus();
	ASSERT_EQ(0, up(self));
	dev = self->u.dev;
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = (rlim_t)read_number("/proc/self/statm") * 4096;
	setrlimit(RLIMIT_AS, &limit);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE |
				   MAP_ANONYMOUS, -1, 0));
	ASSERT_EQ(0, ftruncate(self->f.memfd, 0));
	vhx_dequeue_burst(dev, 1, pkts, 1);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_LE(0, serve_ms(self));
}

/* -- taking all there is ------------------------------------------------------- */

TEST_F(peer, mappings_over_the_limit_einval)
{
	struct region one = { 0x800000000, 4096, 0x700000000000, 0 };
	int fd = memfd_create("parts", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(fd, 1 << 20));
	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_MAPPINGS,
					  2));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 4; i++, one.gpa += 8192)
		EXPECT_EQ(i < 2 ? 0 : -EINVAL,
			  front_add_region(&self->f, &one, fd));
	close(fd);
	EXPECT_LE(0, serve_ms(self));
}

TEST_F(peer, memory_over_the_limit_einval)
{
	struct region one = { 0x800000000, 1ULL << 40, 0x700000000000, 0 };
	int fd = memfd_create("large", MFD_CLOEXEC);

	ASSERT_EQ(0, ftruncate(fd, 1LL << 40));
	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_BYTES,
					  3ULL << 40));
	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 5; i++, one.gpa += 1ULL << 40)
		EXPECT_EQ(i < 3 ? 0 : -EINVAL,
			  front_add_region(&self->f, &one, fd));
	close(fd);
	EXPECT_LE(0, serve_ms(self));
}

TEST_F(peer, peers_over_the_limit_are_hung_up_on)
{
	struct front more[4];

	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_PEERS, 3));
	ASSERT_EQ(-EINVAL, vhx_driver_set_limit(self->u.driver,
						VHX_LIMIT_PEERS, 0));
	ASSERT_EQ(0, user_start(&self->u));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, front_connect(&more[i], self->u.path));
	EXPECT_EQ(0, front_hangs_up(&more[3]));
	for (int i = 0; i < 4; i++)
		front_close(&more[i]);
	EXPECT_EQ(0, user_wait_gone(&self->u));
	EXPECT_LE(0, serve_ms(self));
}

/* One that takes a place and does nothing with it gives it up. */
TEST_F(peer, peer_without_a_device_is_hung_up_on)
{
	struct front idle;

	ASSERT_EQ(0, vhx_driver_set_limit(self->u.driver, VHX_LIMIT_SETUP_MS,
					  3000));
	ASSERT_EQ(0, up(self));
	ASSERT_EQ(0, front_stop(&self->f, RX) < 0);
	ASSERT_EQ(0, front_stop(&self->f, TX) < 0);
	ASSERT_EQ(0, front_connect(&idle, self->u.path));
	EXPECT_EQ(0, front_hangs_up(&idle));
	front_close(&idle);
	/* the other one had a device, and has stopped it */
	EXPECT_EQ(0, front_u64(&self->f, NET_SET_MTU, 1500));
}

/* Peers wait for descriptors in the backlog, not in a loop of ours. */
TEST_F(peer, no_descriptors_take_no_cpu_ok)
{
	struct rlimit limit, old;
	struct rusage began, ended;
	struct front f[12];
	int64_t used;

	/* The sockets of this side first: both sides are one process. */
	for (int i = 0; i < 12; i++)
		ASSERT_EQ(0, front_connect(&f[i], self->u.path));
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	limit.rlim_cur = (rlim_t)(count_fds() + 4);
	setrlimit(RLIMIT_NOFILE, &limit);
	ASSERT_EQ(0, user_start(&self->u));
	usleep(200000);
	getrusage(RUSAGE_SELF, &began);
	usleep(1000000);
	getrusage(RUSAGE_SELF, &ended);
	setrlimit(RLIMIT_NOFILE, &old);
	used = (ended.ru_utime.tv_sec - began.ru_utime.tv_sec +
		ended.ru_stime.tv_sec - began.ru_stime.tv_sec) * 1000000 +
	       ended.ru_utime.tv_usec - began.ru_utime.tv_usec +
	       ended.ru_stime.tv_usec - began.ru_stime.tv_usec;
	EXPECT_GT(500000, used);
	for (int i = 0; i < 12; i++)
		front_close(&f[i]);
	EXPECT_LE(0, serve_ms(self));
}

/* One that makes noise is heard for a while, and what is left out is counted. */
TEST_F(peer, lines_of_the_log_have_a_bound_ok)
{
	int64_t began = now_ms(), windows;

	ASSERT_EQ(0, start(self));
	for (int i = 0; i < 500; i++)
		ASSERT_EQ(-EINVAL, front_u64(&self->f, NET_SET_MTU, 1));
	windows = (now_ms() - began) / 10000 + 2;
	EXPECT_LT(10, self->u.nr_errors);
	EXPECT_GT(22 * windows, self->u.nr_errors);
}

/* All other guests hear of an announcement: a guest that runs makes few. */
TEST_F(peer, announcements_have_a_bound_ok)
{
	const uint8_t mac[8] = { 2, 0, 0, 1, 2, 3 };
	int64_t began = now_ms();

	/* one that is not there yet is announced when it is */
	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, front_ack(&self->f, SEND_RARP, mac, 8, NULL, 0));
	EXPECT_EQ(0, self->u.nr_announced);
	ASSERT_EQ(0, front_memory(&self->f));
	for (unsigned int q = RX; q <= TX; q++) {
		ASSERT_EQ(0, front_ring(&self->f, q, 256));
		vq_kick(&self->f.d.vq[q]);
	}
	ASSERT_EQ(0, user_wait(&self->u, 3));
	EXPECT_EQ(0, user_wait_event(&self->u, 'a'));
	EXPECT_EQ(0, memcmp(mac, self->u.mac, 6));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(0, front_ack(&self->f, SEND_RARP, mac, 8, NULL, 0));
	EXPECT_LT(1, self->u.nr_announced);
	EXPECT_GT(8 * ((now_ms() - began) / 1000 + 3), self->u.nr_announced);
}

/* A receiveq of very many empty descriptors costs its sender a share, no more. */
TEST_F(peer, frame_has_its_share_of_descriptors_ok)
{
	struct vhx_queue_stats stats;
	char data[60] = "";
	struct vhx_pkt pkt = { .data = data, .len = sizeof(data) };
	struct vhx_pkt *pkts[] = { &pkt };

	ASSERT_EQ(0, user_start(&self->u));
	ASSERT_EQ(0, front_open(&self->f, self->u.path, FEATURES, 64));
	ASSERT_EQ(0, user_wait(&self->u, 3));
	front_give_costly(&self->f, 64);
	for (int i = 0; i < 10000; i++)
		vhx_enqueue_burst(self->u.dev, 0, pkts, 1);
	ASSERT_EQ(0, vhx_queue_get_stats(self->u.dev, 0, &stats, sizeof(stats)));
	EXPECT_EQ(0, stats.frames);
	EXPECT_EQ(0, stats.errors);
	EXPECT_LT(9000, stats.drop_share);
}

TEST_HARNESS_MAIN
