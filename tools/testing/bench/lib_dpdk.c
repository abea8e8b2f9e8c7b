// SPDX-License-Identifier: GPL-2.0-only
/* The peer that is DPDK's librte_vhost, set up as its documentation advises. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "lib_bench.h"

#define POOL		1024	/* mbufs */
#define POOL_CACHE	128

static char path[64];
static struct rte_mempool *pool;
static struct rte_mbuf *mbuf[BATCH];
static int vid = -1;

static int new_device(int id)
{
	__atomic_store_n(&vid, id, __ATOMIC_RELEASE);
	return 0;
}

static void destroy_device(int id)
{
	(void)id;
	__atomic_store_n(&vid, -1, __ATOMIC_RELEASE);
}

static const struct rte_vhost_device_ops ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
};

static int init(bool has_hugepages)
{
	char cpu[16];
	char *argv[] = {
		"lib_bench", "--no-pci", "--no-telemetry", "--iova-mode=va",
		"--log-level=error", "-m", "32", "-l", cpu,
		has_hugepages ? "--in-memory" : "--no-shconf",
		has_hugepages ? NULL : "--no-huge", NULL,
	};

	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	if (rte_eal_init(has_hugepages ? 10 : 11, argv) < 0)
		return -EIO;
	pool = rte_pktmbuf_pool_create("mbufs", POOL, POOL_CACHE, 0,
				       RTE_MBUF_DEFAULT_BUF_SIZE,
				       (int)rte_socket_id());
	if (!pool)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/tmp/vhx-bench-%d", getpid());
	if (rte_vhost_driver_register(path,
				      RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) ||
	    rte_vhost_driver_callback_register(path, &ops) ||
	    rte_vhost_driver_start(path))
		return -EIO;
	return 0;
}

static const char *listen_there(void)
{
	return path;
}

/* Return: 0, -ETIMEDOUT */
static int wait_until(bool is_there)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < WAIT_MS; i++) {
		if ((__atomic_load_n(&vid, __ATOMIC_ACQUIRE) >= 0) == is_there)
			return 0;
		nanosleep(&ms, NULL);
	}
	return -ETIMEDOUT;
}

static int wait_for_guest(void)
{
	int ret = wait_until(true);

	for (uint16_t q = RX; q <= TX && !ret; q++)
		ret = rte_vhost_enable_guest_notification(vid, q, 0);
	return ret;
}

static void close_all(void)
{
	wait_until(false);
}

static int hold(unsigned int len)
{
	if (rte_pktmbuf_alloc_bulk(pool, mbuf, BATCH))
		return -ENOMEM;
	for (unsigned int i = 0; i < BATCH; i++) {
		mbuf[i]->data_len = len;
		mbuf[i]->pkt_len = len;
	}
	return 0;
}

static uint8_t *frame(unsigned int i, unsigned int *len)
{
	/* one mbuf holds a frame whole */
	*len = mbuf[i]->next ? 0 : mbuf[i]->pkt_len;
	return rte_pktmbuf_mtod(mbuf[i], uint8_t *);
}

static unsigned int take(unsigned int at, unsigned int nr)
{
	return rte_vhost_dequeue_burst(vid, TX, pool, mbuf + at, nr);
}

static unsigned int give(unsigned int at, unsigned int nr)
{
	return rte_vhost_enqueue_burst(vid, RX, mbuf + at, nr);
}

static void drop(unsigned int at, unsigned int nr)
{
	rte_pktmbuf_free_bulk(mbuf + at, nr);
}

const struct peer_ops peer_dpdk = {
	.name = "librte_vhost",
	.init = init,
	.listen = listen_there,
	.wait = wait_for_guest,
	.close = close_all,
	.hold = hold,
	.frame = frame,
	.take = take,
	.give = give,
	.drop = drop,
};
