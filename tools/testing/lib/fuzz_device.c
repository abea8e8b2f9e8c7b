// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: two clients of vhost-user and their guests, all hostile, on one
 * driver. The input is a script, each step of which says which of the two acts:
 * messages that are right but for some bytes, pieces of a stream, what the guest
 * writes to its memory, kicks, and bursts of ours. The second one comes with its
 * first step. With FUZZ_RINGS a device is set up for each that comes, and the next
 * byte says of which kind. After each run nothing is left open, and LeakSanitizer
 * looks for what was not freed.
 *
 * An honest guest on another driver of the session has its turn all the while; a
 * watchdog sees to it that it does not wait.
 *
 * The session runs on this thread: an input always does the same. With
 * FUZZ_SEEDS=DIR it writes its seeds there.
 */
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "fuzz_client.h"
#include "fuzz_honest.h"

#define CLIENTS		2
#define FDS_SEEN	128
#define STEPS_MAX	512		/* of a script */
#define HONEST_STEPS	8		/* between two turns of the honest guest */
#define SERVED_MS	5000		/* a peer may have to wait for closed files */

/* Steps of a script; what follows each is in act(). */
enum step { MESSAGE, RAW, WRITE, DESC, AVAIL, KICK, TAKE, GIVE, CUT, COME, STEPS };
/* With it: the second client does so. */
#define OTHER	0x80

static struct vhx_session *session;
static struct vhx_driver *driver;
static char path[64];
static struct client clients[CLIENTS];
static struct client *coming;
static struct vhx_pkt pkt[VHX_PKTS_MAX];
static struct vhx_pkt *pkts[VHX_PKTS_MAX];
static unsigned int taken, given;	/* frames */

/* -- our side ---------------------------------------------------------------- */

static int connected(struct vhx_device *dev, void *arg)
{
	(void)arg;
	CHECK(coming);
	vhx_device_set_private(dev, coming);
	coming->is_served = true;
	coming = NULL;
	return 0;
}

static int new_device(struct vhx_device *dev, void *arg)
{
	struct client *c = vhx_device_get_private(dev);

	(void)arg;
	CHECK(!c->dev);
	c->dev = dev;
	return 0;
}

static void destroy_device(struct vhx_device *dev, void *arg)
{
	struct client *c = vhx_device_get_private(dev);

	(void)arg;
	CHECK(c->dev == dev);
	c->dev = NULL;
}

static void disconnected(struct vhx_device *dev, void *arg)
{
	struct client *c = vhx_device_get_private(dev);

	(void)arg;
	CHECK(c->is_served && !c->dev);
	c->is_served = false;
}

static const struct vhx_device_ops ops = {
	.size = sizeof(struct vhx_device_ops),
	.connected = connected, .disconnected = disconnected,
	.new_device = new_device, .destroy_device = destroy_device,
};

static void pump(void)
{
	unsigned int turn = 0;
	int nr;

	do {
		nr = WATCHED(vhx_session_run(session, 0));
		fuzz_honest_turn();
		CHECK(turn++ < 1000);
	} while (nr > 0 || fuzz_honest_is_waiting());
}

static unsigned int open_fds(void)
{
	unsigned int nr = 0;

	for (int fd = 0; fd < FDS_SEEN; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* Another thread closes what came by messages, once the machine lets it run. */
static void wait_closed(unsigned int nr)
{
	const time_t end = time(NULL) + 20;

	while (open_fds() != nr && time(NULL) < end)
		sched_yield();
	CHECK(open_fds() == nr);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	CHECK(vhx_sigbus(info));
}

/* -- the script's side ------------------------------------------------------- */

static void write_memory(struct script *s, struct client *c)
{
	uint32_t at = (uint32_t)next16(s) * 4, len = next(s) % 64u;

	for (; len; len--, at++)
		c->mem[at % MEM_LEN] = next(s);
}

/* A descriptor; packed rings have id and flags where split have flags, next. */
static void write_desc(struct script *s, struct client *c)
{
	uint8_t where = next(s);
	struct vring_desc desc = {
		.addr = (uint64_t)next16(s) * 8, .len = next16(s) * 2u,
		.flags = next16(s), .next = next16(s),
	};

	memcpy(c->mem + ring_at(where >> 6, 0) + (where & 63) * sizeof(desc),
	       &desc, sizeof(desc));
}

static void write_avail(struct script *s, struct client *c)
{
	uint8_t where = next(s);
	uint16_t *avail = (void *)(c->mem + ring_at(where >> 6, 1));

	avail[2 + avail[1] % NUM] = where & 63;
	avail[1]++;
}

static void take(struct script *s, struct client *c)
{
	uint8_t arg = next(s);
	unsigned int i, want = arg % VHX_PKTS_MAX + 1, nr;

	if (!c->dev)
		return;
	nr = WATCHED(vhx_dequeue_burst(c->dev, arg & 64 ? 3 : 1, pkts, want));
	CHECK(nr <= want);
	taken += nr;
	for (i = 0; i < nr; i++)
		CHECK(pkt[i].len <= pkt[i].room);
	WATCHED(vhx_queue_notification(c->dev, 1, arg & 128));
}

static void give(struct script *s, struct client *c)
{
	uint8_t arg = next(s), how = next(s);
	unsigned int i, want = arg % VHX_PKTS_MAX + 1, nr;

	if (!c->dev)
		return;
	for (i = 0; i < want; i++) {
		pkt[i].len = 14 + (how & 15) * (how & 16 ? 4096u : 100u);
		pkt[i].hdr = (struct vhx_net_hdr){
			.flags = how >> 5 & 1, .gso_type = how >> 6,
			.csum_start = 14, .csum_offset = 6, .gso_size = 100,
		};
	}
	nr = WATCHED(vhx_enqueue_burst(c->dev, arg & 64 ? 2 : 0, pkts, want));
	CHECK(nr <= want);
	given += nr;
	WATCHED(vhx_queue_depth(c->dev, 0));
}

static void set_up(struct client *c, uint8_t kind)
{
	static const uint8_t requests[] = {
		SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR, SET_VRING_CALL,
		SET_VRING_KICK, SET_VRING_ENABLE,
	};
	unsigned int queue, i;

	send_message(NULL, c, SET_PROTOCOL_FEATURES, 0, 0);
	send_message(NULL, c, SET_FEATURES, kind, 0);
	send_message(NULL, c, SET_BACKEND_REQ_FD, 0, 0);
	send_message(NULL, c, SET_MEM_TABLE, 0, 0);
	if (kind & 128)
		send_message(NULL, c, SET_LOG_BASE, 0, 0);
	if (kind & 32)
		send_message(NULL, c, IOTLB_MSG, 2 | 4, 0);
	pump();
	for (queue = 0; queue < 2; queue++) {
		for (i = 0; i < sizeof(requests); i++)
			send_message(NULL, c, requests[i], (uint8_t)queue |
				     (requests[i] == SET_VRING_BASE && kind & 8 ?
				      4 : 0), 0);
		pump();
		client_kick(c, (uint8_t)queue);
	}
	pump();
}

/* One whose peers' files are not closed yet, on a busy machine, takes no others. */
static void wait_served(const struct client *c)
{
	pump();
	for (unsigned int ms = 0; !c->is_served; ms += 5) {
		CHECK(ms < SERVED_MS);
		usleep(5000);
		pump();
	}
}

/* Return: 0, or -EMFILE: it has come often enough. */
static int come(struct script *s, struct client *c)
{
	client_leave(c);
	pump();
	CHECK(!c->is_served);
	if (c->comes == COMES_MAX)
		return -EMFILE;
	coming = c;
	client_come(c, path);
	wait_served(c);
#ifdef FUZZ_RINGS
	set_up(c, next(s));
#else
	(void)s;
#endif
	return 0;
}

/* Return: 0, or -errno: it was hung up on. */
static int act(struct script *s, struct client *c, enum step step)
{
	switch (step) {
	case MESSAGE:
		{
			uint8_t request = next(s), arg = next(s);

			return send_message(s, c, request % 48, arg, next(s));
		}
	case RAW: return send_raw(s, c);
	case WRITE: write_memory(s, c); break;
	case DESC: write_desc(s, c); break;
	case AVAIL: write_avail(s, c); break;
	case KICK: client_kick(c, next(s)); break;
	case TAKE: take(s, c); break;
	case GIVE: give(s, c); break;
	case CUT: odd_fds_cut(); break;
	case COME: case STEPS: break;
	}
	return 0;
}

/* Return: 0, or -errno: who is to act may not come any more. */
static int run_step(struct script *s, unsigned int nr)
{
	uint8_t what = next(s);
	struct client *c = &clients[!!(what & OTHER)];
	enum step step = (what & ~OTHER) % STEPS;
	int err = 0;

	if (c->sock < 0 || step == COME)
		err = come(s, c);
	if (err)
		return err;
	/* One that was hung up on comes again, if it is to do something more. */
	if (act(s, c, step))
		client_leave(c);
	if (nr % HONEST_STEPS == HONEST_STEPS - 1)
		fuzz_honest_ask();
	pump();
	for (unsigned int i = 0; i < CLIENTS; i++)
		client_read(&clients[i]);
	return 0;
}

static void run_script(const uint8_t *data, size_t size)
{
	unsigned int before = open_fds(), steps = 0, i;
	struct script s = { .in = data, .len = size };

	odd_fds_fill();
	for (i = 0; i < CLIENTS; i++)
		clients[i].comes = 0;
	come(&s, &clients[0]);
	while (s.len && steps < STEPS_MAX && !run_step(&s, steps))
		steps++;
	for (i = 0; i < CLIENTS; i++)
		client_leave(&clients[i]);
	fuzz_honest_ask();
	pump();
	for (i = 0; i < CLIENTS; i++)
		CHECK(!clients[i].is_served);
	wait_closed(before);
}

/* What is late is so each time, if that is the script's doing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int times = 0;

	do {
		run_script(data, size);
	} while (watch_was_late() && ++times < WATCH_TIMES);
	CHECK(times < WATCH_TIMES);
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

static void open_session(void)
{
	snprintf(path, sizeof(path), "/tmp/vhx-fuzz-%d", getpid());
	CHECK(!vhx_session_create(&session));
	CHECK(!vhx_driver_register(session, path, 0, &driver));
	atexit(remove_socket);
	vhx_driver_set_ops(driver, &ops, NULL);
	CHECK(!vhx_driver_set_queue_pairs(driver, 2));
	CHECK(!vhx_driver_start(driver));
	fuzz_honest_open(session);
	/* Its queues have called then, for which each keeps a descriptor. */
	fuzz_honest_ask();
	pump();
}

static void open_clients(void)
{
	struct client *c = &clients[0];

	for (unsigned int i = 0; i < CLIENTS; i++)
		client_init(&clients[i]);
	coming = c;
	client_come(c, path);
	wait_served(c);
	offered = ask(c->sock, GET_FEATURES);
	protocol = ask(c->sock, GET_PROTOCOL_FEATURES);
	client_leave(c);
	pump();
	/* Nothing of that is to be open when the first input counts. */
	usleep(300000);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};

	(void)argc;
	(void)argv;
	sigaction(SIGBUS, &action, NULL);
	odd_fds_open();
	if (getenv("FUZZ_SEEDS"))
		write_seeds(getenv("FUZZ_SEEDS"));
	for (unsigned int i = 0; i < VHX_PKTS_MAX; i++) {
		pkt[i].room = i % 4 == 3 ? 20 * i : VHX_FRAME_LEN_MAX;
		pkt[i].data = calloc(1, VHX_FRAME_LEN_MAX);
		pkts[i] = &pkt[i];
	}
	open_session();
	open_clients();
	watch_start();
	/* A fuzzer whose set-up is refused would find nothing, and not say so. */
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		fprintf(stderr, "%s: ", seeds[i].name);
		taken = 0;
		given = 0;
		LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].len);
		fprintf(stderr, "%u, %u frames\n", taken, given);
		CHECK(taken >= seeds[i].frames && given >= seeds[i].frames);
	}
	return 0;
}
