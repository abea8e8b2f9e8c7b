// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: a client of vhost-user and its guest, both hostile. The input
 * is a script: messages that are right but for some bytes, pieces of a stream,
 * what the guest writes to its memory, kicks, and bursts of ours. With FUZZ_RINGS
 * a device is set up first, and the input's first byte says of which kind. After
 * each run nothing is left open, and LeakSanitizer looks for what was not freed.
 *
 * The session runs on this thread: an input always does the same. With
 * FUZZ_SEEDS=DIR it writes its seeds there.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <vhx/vhx.h>

#include "frontend.h"
#include "fuzz_fds.h"

#define MEM_LEN		0x40000
#define UADDR		0x700000000000ULL
#define NUM		64		/* entries of a ring */
#define PACKED_BASE	0x80008000	/* of a new packed ring */
#define FDS_SEEN	128
#define STEPS_MAX	512		/* of a script */

/* Steps of a script; what follows each is in run_step(). */
enum step { MESSAGE, RAW, WRITE, DESC, AVAIL, KICK, TAKE, GIVE, CUT, STEPS };

/* Of MESSAGE: what is done to the descriptors that go with it. */
enum { FDS_RIGHT, FDS_NONE, FDS_TWICE, FDS_MANY };
/* Of MESSAGE: so much in its argument makes the descriptor one of another kind. */
#define FDS_ODD	0xa0

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #x);	\
		abort();						\
	}								\
} while (0)

struct script {
	const uint8_t *in;
	size_t len;
	int sock;
	int request[2];			/* pair of SET_BACKEND_REQ_FD */
	int kick[2];
	int call;
};

static struct vhx_session *session;
static struct vhx_driver *driver;
static struct vhx_device *dev;		/* while it is live */
static char path[64];
static int memfd;
static uint8_t *mem;
static uint64_t offered, protocol;
static struct vhx_pkt pkt[VHX_PKTS_MAX];
static struct vhx_pkt *pkts[VHX_PKTS_MAX];
static unsigned int taken, given;	/* frames */

/* -- our side ---------------------------------------------------------------- */

static int new_device(struct vhx_device *device, void *arg)
{
	(void)arg;
	dev = device;
	return 0;
}

static void destroy_device(struct vhx_device *device, void *arg)
{
	(void)arg;
	CHECK(dev == device);
	dev = NULL;
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.new_device = new_device, .destroy_device = destroy_device,
};

static void pump(void)
{
	unsigned int turn = 0;

	while (vhx_session_run(session, 0) > 0)
		CHECK(turn++ < 1000);
}

static unsigned int open_fds(void)
{
	unsigned int nr = 0;

	for (int fd = 0; fd < FDS_SEEN; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* -- the script's side ------------------------------------------------------- */

static uint8_t next(struct script *s)
{
	if (!s->len)
		return 0;
	s->len--;
	return *s->in++;
}

static uint16_t next16(struct script *s)
{
	return (uint16_t)(next(s) << 8 | next(s));
}

/* Ring areas of a queue, from the start of memory. */
static uint32_t ring_at(unsigned int queue, unsigned int area)
{
	return (queue & 3) * 0x4000 + area * 0x1000;
}

static uint64_t features(uint8_t kind)
{
	uint64_t bits = F_PROTOCOL | (kind & 1 ? F_MRG : 0) |
		(kind & 2 ? F_EVENT : 0) | (kind & 4 ? F_INDIRECT : 0) |
		(kind & 8 ? F_PACKED : 0) | (kind & 16 ? F_IN_ORDER : 0) |
		(kind & 32 ? F_PLATFORM : 0) | (kind & 64 ? 0 : F_V1) |
		(kind & 128 ? F_LOG_ALL : 0);

	return bits & offered;
}

/* What a client that means well sends; by requests of one struct. */
union payload {
	uint64_t num;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_iotlb_msg iotlb;
	struct { uint32_t nr, padding; struct region region[8]; } memory;
	struct { uint64_t padding; struct region region; } one;
	struct { uint64_t size, offset; } log;
	uint8_t bytes[264];
};

static const struct region whole = { .size = MEM_LEN, .uaddr = UADDR };

static uint32_t fill_state(union payload *p, uint32_t request, uint8_t arg)
{
	p->state.index = arg & 3;
	p->state.num = request == SET_VRING_NUM ? NUM :
		       request == SET_VRING_ENABLE ? !(arg & 4) :
		       arg & 4 ? PACKED_BASE : arg >> 3;
	return sizeof(p->state);
}

static uint32_t fill_addr(union payload *p, uint8_t arg)
{
	p->addr = (struct vhost_vring_addr){
		.index = arg & 3,
		.flags = arg & 4 ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = UADDR + ring_at(arg, 0),
		.avail_user_addr = UADDR + ring_at(arg, 1),
		.used_user_addr = UADDR + ring_at(arg, 2),
	};
	return sizeof(p->addr);
}

static uint32_t fill_iotlb(union payload *p, uint8_t arg)
{
	p->iotlb = (struct vhost_iotlb_msg){
		.iova = arg & 4 ? UADDR : (uint64_t)(arg >> 3) << 12,
		.size = arg & 2 ? MEM_LEN : 4096, .uaddr = UADDR,
		.perm = VHOST_ACCESS_RW,
		.type = arg & 1 ? VHOST_IOTLB_INVALIDATE : VHOST_IOTLB_UPDATE,
	};
	return sizeof(p->iotlb);
}

/* Return: bytes of a payload; *fd: what goes with it, or -1. */
static uint32_t fill(struct script *s, union payload *p, uint32_t request,
		     uint8_t arg, int *fd)
{
	*fd = -1;
	switch (request) {
	case SET_VRING_NUM: case SET_VRING_BASE: case GET_VRING_BASE:
	case SET_VRING_ENABLE: case SET_VRING_ENDIAN:
		return fill_state(p, request, arg);
	case SET_VRING_ADDR:
		return fill_addr(p, arg);
	case IOTLB_MSG:
		return fill_iotlb(p, arg);
	case SET_MEM_TABLE:
		*fd = memfd;
		p->memory.nr = 1;
		p->memory.region[0] = whole;
		return 8 + sizeof(struct region);
	case ADD_MEM_REG: case REM_MEM_REG:
		*fd = memfd;
		p->one.region = whole;
		return sizeof(p->one);
	case SET_LOG_BASE:
		*fd = memfd;
		p->log.size = MEM_LEN / 4096 / 8;
		return sizeof(p->log);
	case SET_LOG_FD:
		*fd = s->call;
		return 0;
	case SET_BACKEND_REQ_FD:
		*fd = s->request[1];
		return 0;
	case SET_VRING_KICK: case SET_VRING_CALL: case SET_VRING_ERR:
		*fd = request == SET_VRING_KICK ? s->kick[arg & 1] : s->call;
		p->num = (arg & 3) | (arg & 4 ? 0x100 : 0);
		return sizeof(p->num);
	case SET_FEATURES:
		p->num = features(arg);
		return sizeof(p->num);
	case SET_PROTOCOL_FEATURES:
		p->num = protocol;
		return sizeof(p->num);
	case SEND_RARP: case NET_SET_MTU: case SET_STATUS:
		p->num = arg;
		return sizeof(p->num);
	default:
		return 0;
	}
}

/* Return: 0, or -errno: the other side has hung up. */
static int send_all(const struct script *s, const void *bytes, uint32_t len,
		    const int *fds, unsigned int nr_fds)
{
	char control[CMSG_SPACE(sizeof(int) * 16)] = "";
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg = (void *)control;

	if (nr_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
	}
	return sendmsg(s->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ?
		-errno : 0;
}

static int send_message(struct script *s, uint32_t request, uint8_t arg,
			uint8_t how)
{
	struct {
		struct header header;
		union payload p;
	} __attribute__((packed)) msg = {};
	static const unsigned int copies[] = { 1, 0, 2, 10 };
	unsigned int i, nr_fds = 0, nr_changes = how >> 4;
	union payload payload = {};
	int fds[16], fd;

	msg.header.request = request;
	msg.header.flags = 1 | (how & 1 ? NEED_REPLY : 0);
	msg.header.size = fill(s, &payload, request, arg, &fd);
	msg.p = payload;
	if (fd < 0 && (how >> 1 & 3) > FDS_NONE)
		fd = memfd;
	if (fd >= 0 && (arg & 0xf0) == FDS_ODD)
		fd = odd_fd[next(s) % ODD_FDS];
	for (i = 0; fd >= 0 && i < copies[how >> 1 & 3]; i++)
		fds[nr_fds++] = fd;
	for (i = 0; i < nr_changes; i++) {
		unsigned int at = next(s) % (sizeof(msg.header) + 48);

		((uint8_t *)&msg)[at] ^= next(s);
	}
	return send_all(s, &msg, sizeof(msg.header) +
			(msg.header.size % (sizeof(msg.p) + 1)), fds, nr_fds);
}

static int send_raw(struct script *s)
{
	uint8_t bytes[64], len = next(s) % sizeof(bytes) + 1;

	for (unsigned int i = 0; i < len; i++)
		bytes[i] = next(s);
	return send_all(s, bytes, len, NULL, 0);
}

static void write_memory(struct script *s)
{
	uint32_t at = (uint32_t)next16(s) * 4, len = next(s) % 64u;

	for (; len; len--, at++)
		mem[at % MEM_LEN] = next(s);
}

/* A descriptor; packed rings have id and flags where split have flags, next. */
static void write_desc(struct script *s)
{
	uint8_t where = next(s);
	struct vring_desc desc = {
		.addr = (uint64_t)next16(s) * 8, .len = next16(s) * 2u,
		.flags = next16(s), .next = next16(s),
	};

	memcpy(mem + ring_at(where >> 6, 0) + (where & 63) * sizeof(desc),
	       &desc, sizeof(desc));
}

static void write_avail(struct script *s)
{
	uint8_t where = next(s);
	uint16_t *avail = (void *)(mem + ring_at(where >> 6, 1));

	avail[2 + avail[1] % NUM] = where & 63;
	avail[1]++;
}

static void take(struct script *s)
{
	uint8_t arg = next(s);
	unsigned int i, want = arg % VHX_PKTS_MAX + 1, nr;

	if (!dev)
		return;
	nr = vhx_dequeue_burst(dev, arg & 64 ? 3 : 1, pkts, want);
	CHECK(nr <= want);
	taken += nr;
	for (i = 0; i < nr; i++)
		CHECK(pkt[i].len <= pkt[i].room);
	vhx_queue_notification(dev, 1, arg & 128);
}

static void give(struct script *s)
{
	uint8_t arg = next(s), how = next(s);
	unsigned int i, want = arg % VHX_PKTS_MAX + 1, nr;

	if (!dev)
		return;
	for (i = 0; i < want; i++) {
		pkt[i].len = 14 + (how & 15) * (how & 16 ? 4096u : 100u);
		pkt[i].hdr = (struct vhx_net_hdr){
			.flags = how >> 5 & 1, .gso_type = how >> 6,
			.csum_start = 14, .csum_offset = 6, .gso_size = 100,
		};
	}
	nr = vhx_enqueue_burst(dev, arg & 64 ? 2 : 0, pkts, want);
	CHECK(nr <= want);
	given += nr;
	vhx_queue_depth(dev, 0);
}

static void kick(const struct script *s, uint8_t queue)
{
	const uint64_t one = 1;

	CHECK(write(s->kick[queue & 1], &one, sizeof(one)) == sizeof(one));
}

/* Return: 0, or -errno: there is nobody to go on with. */
static int run_step(struct script *s)
{
	char answers[1024];
	int err = 0;

	switch (next(s) % STEPS) {
	case MESSAGE:
		{
			uint8_t request = next(s), arg = next(s);

			err = send_message(s, request % 48, arg, next(s));
		}
		break;
	case RAW: err = send_raw(s); break;
	case WRITE: write_memory(s); break;
	case DESC: write_desc(s); break;
	case AVAIL: write_avail(s); break;
	case KICK: kick(s, next(s)); break;
	case TAKE: take(s); break;
	case GIVE: give(s); break;
	case CUT: odd_fds_cut(); break;
	}
	pump();
	while (recv(s->sock, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
	while (recv(s->request[0], answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
	return err;
}

static void set_up(struct script *s, uint8_t kind)
{
	static const uint8_t requests[] = {
		SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR, SET_VRING_CALL,
		SET_VRING_KICK, SET_VRING_ENABLE,
	};
	unsigned int queue, i;

	send_message(s, SET_PROTOCOL_FEATURES, 0, 0);
	send_message(s, SET_FEATURES, kind, 0);
	send_message(s, SET_BACKEND_REQ_FD, 0, 0);
	send_message(s, SET_MEM_TABLE, 0, 0);
	if (kind & 128)
		send_message(s, SET_LOG_BASE, 0, 0);
	if (kind & 32)
		send_message(s, IOTLB_MSG, 2 | 4, 0);
	pump();
	for (queue = 0; queue < 2; queue++) {
		for (i = 0; i < sizeof(requests); i++)
			send_message(s, requests[i], (uint8_t)queue |
				     (requests[i] == SET_VRING_BASE && kind & 8 ?
				      4 : 0), 0);
		pump();
		kick(s, (uint8_t)queue);
	}
	pump();
}

static int connect_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, name);
	CHECK(!connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

/* Another thread closes what came by messages. */
static void wait_closed(unsigned int nr)
{
	for (unsigned int i = 0; i < 100000 && open_fds() != nr; i++)
		sched_yield();
	CHECK(open_fds() == nr);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	CHECK(vhx_sigbus(info));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int before = open_fds(), steps = 0;
	struct script s = { .in = data, .len = size };

	memset(mem, 0, MEM_LEN);
	s.sock = connect_to(path);
	s.call = eventfd(0, EFD_CLOEXEC);
	s.kick[0] = eventfd(0, EFD_CLOEXEC);
	s.kick[1] = eventfd(0, EFD_CLOEXEC);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.request));
	pump();
#ifdef FUZZ_RINGS
	set_up(&s, next(&s));
#endif
	while (s.len && steps++ < STEPS_MAX && !run_step(&s))
		;
	close(s.sock);
	pump();
	CHECK(!dev);
	close(s.call);
	close(s.kick[0]);
	close(s.kick[1]);
	close(s.request[0]);
	close(s.request[1]);
	wait_closed(before);
	return 0;
}

#include "fuzz_seeds.h"

/* What a well-behaved client gets to hear of a 64-bit request. */
static uint64_t ask(int sock, uint32_t request)
{
	struct header header = { .request = request, .flags = 1 };
	uint64_t val;

	CHECK(send(sock, &header, sizeof(header), 0) == sizeof(header));
	pump();
	CHECK(recv(sock, &header, sizeof(header), MSG_DONTWAIT) ==
	      sizeof(header));
	CHECK(recv(sock, &val, sizeof(val), MSG_DONTWAIT) == sizeof(val));
	return val;
}

static void remove_socket(void)
{
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	int sock;

	(void)argc;
	(void)argv;
	sigaction(SIGBUS, &action, NULL);
	odd_fds_open();
	if (getenv("FUZZ_SEEDS"))
		write_seeds(getenv("FUZZ_SEEDS"));
	snprintf(path, sizeof(path), "/tmp/vhx-fuzz-%d", getpid());
	for (unsigned int i = 0; i < VHX_PKTS_MAX; i++) {
		pkt[i].room = i % 4 == 3 ? 20 * i : VHX_FRAME_LEN_MAX;
		pkt[i].data = calloc(1, VHX_FRAME_LEN_MAX);
		pkts[i] = &pkt[i];
	}
	memfd = memfd_create("guest", MFD_CLOEXEC);
	CHECK(!ftruncate(memfd, MEM_LEN));
	mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	CHECK(mem != MAP_FAILED);
	CHECK(!vhx_session_create(&session));
	CHECK(!vhx_driver_register(session, path, 0, &driver));
	vhx_driver_set_ops(driver, &ops, NULL);
	CHECK(!vhx_driver_set_queue_pairs(driver, 2));
	CHECK(!vhx_driver_start(driver));
	sock = connect_to(path);
	offered = ask(sock, GET_FEATURES);
	protocol = ask(sock, GET_PROTOCOL_FEATURES);
	close(sock);
	pump();
	/* Nothing of that is to be open when the first input counts. */
	usleep(300000);
	atexit(remove_socket);
	/* A fuzzer whose set-up is refused would find nothing, and not say so. */
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		taken = 0;
		given = 0;
		LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].len);
		if (!taken || !given)
			fprintf(stderr, "%s: %u, %u frames\n", seeds[i].name,
				taken, given);
		CHECK(taken && given);
	}
	return 0;
}
