// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that one thread hands over to another: one that has no queue pair of the
 * port that they are for gives them to one that has. They are copied once, into a
 * parcel. Parcels are pushed in front of a list; the thread takes the whole list,
 * and turns it round: so those of one thread stay in order.
 *
 * A thread that is awake looks into its inbox each round; one that sleeps is woken.
 * It says that it sleeps, and looks once more. Who hands over pushes, and looks
 * whether it sleeps. All four are sequentially consistent, so one of the two sees
 * what the other did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inbox.h"

/* Of a lane, under way at a time: 1024 frames, or fewer long ones. */
#define HANDED_MAX	((size_t)4 << 20)
#define COST_MIN	4096

/**
 * struct inbox - what a thread was handed over
 * @newest: the last parcel that came; NULL: none
 * @sleeps: the thread is to be woken when one comes
 * @wake: eventfd for that
 * @first: of parcels that the thread took, the oldest; its own
 */
struct inbox {
	struct parcel *newest;
	bool sleeps;
	int wake;
	struct parcel *first __attribute__((aligned(CACHE_LINE)));
} __attribute__((aligned(CACHE_LINE)));

static struct inbox inboxes[THREADS_MAX];

/* Return: an eventfd to poll for POLLIN and to read, which stays ours, or -errno. */
int inbox_open(unsigned int thread)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	inboxes[thread].wake = fd;
	return fd < 0 ? -errno : fd;
}

void inbox_close(unsigned int thread)
{
	close(inboxes[thread].wake);
}

/* Ends a thread's sleep, or its next one. */
void inbox_wake(unsigned int thread)
{
	const uint64_t one = 1;

	if (write(inboxes[thread].wake, &one, sizeof(one)) != sizeof(one))
		return;
}

/* -- handing over -------------------------------------------------------------- */

/* Those of the frames that there is room for. Return: a parcel or NULL. */
static struct parcel *pack(struct lane *lane, struct vhx_pkt *const *pkts,
			   unsigned int nr)
{
	size_t taken = __atomic_load_n(&lane->taken, __ATOMIC_RELAXED);
	size_t room = HANDED_MAX - (lane->handed - taken), size = 0, cost = 0, more;
	struct parcel *parcel;
	unsigned int i, fit;
	uint8_t *data;

	for (fit = 0; fit < nr; fit++) {
		more = pkts[fit]->len > COST_MIN ? pkts[fit]->len : COST_MIN;
		if (cost + more > room)
			break;
		cost += more;
		size += pkts[fit]->len;
	}
	parcel = fit ? malloc(sizeof(*parcel) + fit * sizeof(parcel->pkt[0]) +
			      size) : NULL;
	if (!parcel)
		return NULL;
	parcel->from = lane;
	parcel->cost = cost;
	parcel->nr = fit;
	data = (uint8_t *)&parcel->pkt[fit];
	for (i = 0; i < fit; i++) {
		parcel->pkt[i] = *pkts[i];
		parcel->pkt[i].data = data;
		memcpy(data, pkts[i]->data, pkts[i]->len);
		data += pkts[i]->len;
	}
	lane->handed += cost;
	return parcel;
}

static void push(struct inbox *inbox, struct parcel *parcel)
{
	parcel->next = __atomic_load_n(&inbox->newest, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&inbox->newest, &parcel->next,
					    parcel, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
	/* Pairs with inbox_may_sleep(). Of several only one wakes it. */
	if (__atomic_load_n(&inbox->sleeps, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&inbox->sleeps, false, __ATOMIC_SEQ_CST))
		inbox_wake((unsigned int)(inbox - inboxes));
}

/*
 * Hands frames of a lane to the thread that it sends by. What is too much for one
 * lane is dropped. Return: how many are done with: all
 */
unsigned int inbox_send(struct lane *lane, struct vhx_pkt *const *pkts,
			unsigned int nr)
{
	struct parcel *parcel = pack(lane, pkts, nr);

	lane->stats.drop_full += nr - (parcel ? parcel->nr : 0);
	if (parcel)
		push(&inboxes[lane->via - lane->port->lane], parcel);
	return nr;
}

/* -- taking -------------------------------------------------------------------- */

static struct parcel *turn_round(struct parcel *parcel)
{
	struct parcel *done = NULL, *next;

	for (; parcel; parcel = next) {
		next = parcel->next;
		parcel->next = done;
		done = parcel;
	}
	return done;
}

/* Return: the parcel that comes next, for inbox_free(); NULL: none */
struct parcel *inbox_next(unsigned int thread)
{
	struct inbox *inbox = &inboxes[thread];
	struct parcel *parcel = inbox->first;

	if (!parcel && __atomic_load_n(&inbox->newest, __ATOMIC_RELAXED))
		parcel = turn_round(__atomic_exchange_n(&inbox->newest, NULL,
							__ATOMIC_ACQUIRE));
	inbox->first = parcel ? parcel->next : NULL;
	return parcel;
}

void inbox_free(struct parcel *parcel)
{
	/* Two may do so at once, when the port's pairs have just changed. */
	__atomic_fetch_add(&parcel->from->taken, parcel->cost, __ATOMIC_RELAXED);
	free(parcel);
}

/*
 * Between a round that found no parcel and a sleep.
 * Return: whether there is none still; whoever hands one over wakes the thread then
 */
bool inbox_may_sleep(unsigned int thread)
{
	struct inbox *inbox = &inboxes[thread];

	/* Pairs with push(). */
	__atomic_store_n(&inbox->sleeps, true, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&inbox->newest, __ATOMIC_SEQ_CST);
}

/* It looks by itself again. */
void inbox_slept(unsigned int thread)
{
	__atomic_store_n(&inboxes[thread].sleeps, false, __ATOMIC_RELAXED);
}

static void drop(struct parcel **at, const struct port *port)
{
	while (*at) {
		struct parcel *parcel = *at;

		if (parcel->from->port != port) {
			at = &parcel->next;
			continue;
		}
		*at = parcel->next;
		parcel->from->stats.drop_down += parcel->nr;
		inbox_free(parcel);
	}
}

/* Nobody is there any more. No plane is in a round, and holds a parcel. */
void inbox_drop(const struct port *port)
{
	unsigned int i;

	for (i = 0; i < config.threads; i++) {
		drop(&inboxes[i].first, port);
		drop(&inboxes[i].newest, port);
	}
}
