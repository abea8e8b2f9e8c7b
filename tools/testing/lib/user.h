/* SPDX-License-Identifier: GPL-2.0-only */
/* The library's user in tests: a session, a driver, and what it was told. */
#ifndef USER_H
#define USER_H

#include <pthread.h>
#include <vhx/vhx.h>

#define EVENTS_MAX	64

struct user {
	struct vhx_session *session;
	struct vhx_driver *driver;
	char path[64];
	pthread_mutex_t mutex;		/* of what follows */
	pthread_cond_t changed;
	struct vhx_device *dev;		/* while it is live */
	unsigned int queues;		/* bitmap of those that run */
	char events[EVENTS_MAX];	/* a letter each, see user.c */
	unsigned int nr_events;
	unsigned int nr_errors;		/* log lines that warn */
	char warned[256];		/* the last of them */
	unsigned int nr_announced;
	bool refuses;
	bool asks_depth;		/* in a line of the log */
	/* on the session's thread, of a queue that has come up */
	void (*came)(struct vhx_device *dev, unsigned int queue, void *arg);
	void *came_arg;
	uint8_t mac[6];
};

int user_open(struct user *b, unsigned int pairs, uint64_t without);
int user_start(struct user *b);
void user_close(struct user *b);
struct vhx_device *user_dev(struct user *b);
int user_wait(struct user *b, unsigned int queues);
int user_wait_gone(struct user *b);
void user_forget(struct user *b);
int user_wait_event(struct user *b, char event);

#endif /* USER_H */
