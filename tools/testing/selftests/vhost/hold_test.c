// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call whose argument lies in a page that nobody provides holds up nobody
 * else: not the owner's other calls, and not the owner's end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "harness.h"

#define PAGE	4096

/* One call. */
struct call {
	unsigned long nr;	/* of an ioctl, or 0: write() */
	uint64_t first;		/* word that lies before the page, if not 0 */
	bool by_owner;		/* in another thread; else by another process */
};

FIXTURE(hold) {
	struct dev d;
	int kmsg;
	pid_t owner, holder;
	unsigned int *calls;	/* that the owner made, 0: it is none yet */
	int held[2];		/* 'h': the call waits for its page */
};

FIXTURE_VARIANT(hold) {
	struct call call;
};

#define HOLD(name, ...)	\
	FIXTURE_VARIANT_ADD(hold, name) { .call = { .nr = __VA_ARGS__ } }

HOLD(get_features, VHOST_GET_FEATURES);
HOLD(set_features, VHOST_SET_FEATURES);
HOLD(get_array, VHOST_GET_FEATURES_ARRAY);
HOLD(get_array_words, VHOST_GET_FEATURES_ARRAY, 2);
HOLD(set_array, VHOST_SET_FEATURES_ARRAY);
HOLD(set_array_words, VHOST_SET_FEATURES_ARRAY, 2);
HOLD(get_backend_features, VHOST_GET_BACKEND_FEATURES);
HOLD(set_backend_features, VHOST_SET_BACKEND_FEATURES);
HOLD(set_mem_table, VHOST_SET_MEM_TABLE);
HOLD(set_vring_num, VHOST_SET_VRING_NUM);
HOLD(message, 0);
HOLD(own_mem_table, VHOST_SET_MEM_TABLE, .by_owner = true);
HOLD(own_mem_regions, VHOST_SET_MEM_TABLE, 1, .by_owner = true);
HOLD(own_vring_base, VHOST_GET_VRING_BASE, .by_owner = true);
HOLD(own_vring_addr, VHOST_SET_VRING_ADDR, .by_owner = true);
HOLD(own_log_base, VHOST_SET_LOG_BASE, .by_owner = true);
HOLD(own_unknown, _IOW(VHOST_VIRTIO, 0xfe, int), .by_owner = true);

FIXTURE_SETUP(hold)
{
	self->kmsg = kmsg_open();
	ASSERT_EQ(0, dev_open(&self->d));
	self->calls = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->calls);
	ASSERT_EQ(0, pipe2(self->held, O_CLOEXEC));
}

static void end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

FIXTURE_TEARDOWN(hold)
{
	/* in this order: the second may wait for the first */
	end(&self->holder);
	end(&self->owner);
	dev_close(&self->d);
	EXPECT_QUIET_KERNEL(self->kmsg);
}

typedef FIXTURE_DATA(hold) fix;

struct held_call {
	fix *f;
	const struct call *call;
	uint8_t *page;
};

static void *make_call(void *arg)
{
	struct held_call *h = arg;
	uint8_t *p = h->page - (h->call->first ? sizeof(h->call->first) : 0);

	if (h->call->nr)
		ioctl(h->f->d.fd, h->call->nr, p);
	else if (write(h->f->d.fd, p, sizeof(struct vhost_msg)) < 0)
		errno = 0;
	/* it took the page or did without it: 'r' */
	if (write(h->f->held[1], "r", 1) != 1)
		_exit(3);
	return NULL;
}

/* Two pages of which the second one is missing. Return: uffd, or -errno. */
static int missing_page(uint8_t **page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (uffd < 0 || p == MAP_FAILED)
		return -errno;
	*page = p + PAGE;
	reg.range.start = (uintptr_t)*page;
	reg.range.len = PAGE;
	if (ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return uffd;
}

/* Make the call in a thread, and say when it waits for its page. */
static void hold(fix *f, const struct call *call)
{
	static struct held_call h;
	struct pollfd p = { .events = POLLIN };
	pthread_t t;

	h.f = f;
	h.call = call;
	p.fd = missing_page(&h.page);
	if (p.fd < 0)
		_exit(4);
	memcpy(h.page - sizeof(call->first), &call->first, sizeof(call->first));
	if (pthread_create(&t, NULL, make_call, &h))
		_exit(5);
	if (poll(&p, 1, WAIT_MS) == 1 && p.revents == POLLIN &&
	    write(f->held[1], "h", 1) != 1)
		_exit(6);
}

static void own(fix *f, const struct call *call)
{
	if (dev_own(&f->d))
		_exit(1);
	__atomic_store_n(f->calls, 1, __ATOMIC_RELAXED);
	if (call)
		hold(f, call);
	while (!dev_get_base(&f->d, TX))
		__atomic_add_fetch(f->calls, 1, __ATOMIC_RELAXED);
	_exit(2);
}

/* Return: 0 when the owner made that many calls in time. */
static int wait_for_calls(fix *f, unsigned int n)
{
	int64_t until = now_ms() + SOON_MS;

	while (__atomic_load_n(f->calls, __ATOMIC_RELAXED) < n) {
		if (now_ms() > until)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}

static int more_calls(fix *f, unsigned int n)
{
	return wait_for_calls(f, __atomic_load_n(f->calls, __ATOMIC_RELAXED) +
				 n);
}

/* An owner that makes calls, and the one that waits. Return: 0 or -errno. */
static int start(fix *f, const struct call *call)
{
	char c;

	f->owner = fork();
	if (!f->owner)
		own(f, call->by_owner ? call : NULL);
	if (wait_for_calls(f, 1))
		return -EPERM;
	if (!call->by_owner) {
		f->holder = fork();
		if (!f->holder) {
			hold(f, call);
			for (;;)
				pause();
		}
	}
	if (event_wait(f->held[0], 2 * WAIT_MS) ||
	    read(f->held[0], &c, 1) != 1)
		return -ETIMEDOUT;
	/* in-tree refuses some without a look at the argument */
	return c == 'h' || !strcmp(module_name(), "vhost_net") ? 0 : -EPROTO;
}

TEST_F(hold, owner_goes_on_ok)
{
	ASSERT_EQ(0, start(self, &variant->call));
	EXPECT_EQ(0, more_calls(self, 5));
}

TEST_F(hold, owner_killed_ends_ok)
{
	int64_t until;
	pid_t pid = 0;

	ASSERT_EQ(0, start(self, &variant->call));
	/* the next call is the one that might wait */
	more_calls(self, 5);
	kill(self->owner, SIGKILL);
	for (until = now_ms() + WAIT_MS; !pid && now_ms() < until; ) {
		pid = waitpid(self->owner, NULL, WNOHANG);
		poll(NULL, 0, 5);
	}
	EXPECT_EQ(self->owner, pid);
	if (pid)
		self->owner = 0;
}

TEST_HARNESS_MAIN
