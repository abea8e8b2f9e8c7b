// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* What the peers of a driver have here, and the thread that lets go of it. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"

/* A chore that takes so long is held up by a peer, and so many are a flood. */
#define LONG_MS		200
#define MANY		512
/* A driver that ends waits so long for what its peers hold up. */
#define PATIENCE_S	1

/**
 * vhx_account_create - an account of a new driver
 * @wake: eventfd of its session
 *
 * Return: the account, without limits, or NULL
 */
struct vhx_account *vhx_account_create(int wake)
{
	struct vhx_account *account = calloc(1, sizeof(*account));
	pthread_condattr_t attr;

	if (!account)
		return NULL;
	account->wake = wake;
	account->max_nr = UINT_MAX;
	account->max_bytes = UINT64_MAX;
	account->last = &account->chores;
	pthread_mutex_init(&account->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&account->done, &attr);
	pthread_condattr_destroy(&attr);
	return account;
}

static void destroy(struct vhx_account *account)
{
	pthread_cond_destroy(&account->done);
	pthread_mutex_destroy(&account->mutex);
	free(account);
}

/**
 * vhx_account_drop - the driver is gone
 * @account: its account
 *
 * Waits a moment for chores. What is held up longer is left to the thread.
 */
void vhx_account_drop(struct vhx_account *account)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&account->mutex);
	while (account->has_thread && !err)
		err = pthread_cond_timedwait(&account->done, &account->mutex,
					     &end);
	account->wake = -1;
	err = account->has_thread;
	pthread_mutex_unlock(&account->mutex);
	if (!err)
		destroy(account);
}

static void *run(void *arg)
{
	struct vhx_account *account = arg;
	struct vhx_chore *chore;
	const u64 one = 1;
	bool is_orphan;

	pthread_mutex_lock(&account->mutex);
	while ((chore = account->chores)) {
		account->chores = chore->next;
		if (!account->chores)
			account->last = &account->chores;
		account->nr_chores--;
		account->since_ms = chore->is_file ? vhx_now_ms() : UINT64_MAX;
		pthread_mutex_unlock(&account->mutex);
		chore->run(chore);
		pthread_mutex_lock(&account->mutex);
	}
	account->has_thread = false;
	is_orphan = account->wake < 0;
	if (!is_orphan && write(account->wake, &one, sizeof(one)) < 0)
		is_orphan = false;
	pthread_cond_broadcast(&account->done);
	pthread_mutex_unlock(&account->mutex);
	if (is_orphan)
		destroy(account);
	return NULL;
}

static bool start(struct vhx_account *account)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	bool is_up;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	is_up = !pthread_create(&thread, &attr, run, account);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return is_up;
}

/**
 * vhx_account_add - have something done soon, by another thread
 * @account: the account
 * @chore: it; its @run is set
 *
 * Without one more thread it is done at once.
 */
void vhx_account_add(struct vhx_account *account, struct vhx_chore *chore)
{
	pthread_mutex_lock(&account->mutex);
	if (!account->has_thread) {
		account->since_ms = UINT64_MAX;
		account->has_thread = start(account);
	}
	if (!account->has_thread) {
		pthread_mutex_unlock(&account->mutex);
		chore->run(chore);
		return;
	}
	chore->next = NULL;
	*account->last = chore;
	account->last = &chore->next;
	account->nr_chores++;
	pthread_mutex_unlock(&account->mutex);
}

struct closing {
	struct vhx_chore chore;
	int fd;
};

static void run_closing(struct vhx_chore *chore)
{
	struct closing *closing = (struct closing *)chore;

	close(closing->fd);
	free(closing);
}

/**
 * vhx_account_close - close a descriptor of a peer's
 * @account: the account
 * @fd: the descriptor, of any kind
 */
void vhx_account_close(struct vhx_account *account, int fd)
{
	struct closing *closing = malloc(sizeof(*closing));

	if (!closing) {
		close(fd);
		return;
	}
	closing->chore.run = run_closing;
	closing->chore.is_file = true;
	closing->fd = fd;
	vhx_account_add(account, &closing->chore);
}

/**
 * vhx_account_is_behind - whether peers hold up what is to be let go
 * @account: the account
 *
 * Return: true if the driver is to take no more, of peers and of their files, for
 * now; @wake is signalled when all is done
 */
bool vhx_account_is_behind(struct vhx_account *account)
{
	bool is_behind;

	pthread_mutex_lock(&account->mutex);
	is_behind = account->nr_chores > MANY ||
		    (account->has_thread &&
		     vhx_now_ms() > LONG_MS + account->since_ms &&
		     account->since_ms != UINT64_MAX);
	pthread_mutex_unlock(&account->mutex);
	return is_behind;
}
