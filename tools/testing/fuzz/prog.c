// SPDX-License-Identifier: GPL-2.0-only
/* Programs as data: made, changed, printed and read. */
#include <inttypes.h>
#include <string.h>

#include "prog.h"

static const char *const names[OP_KINDS] = {
	"setup", "reopen", "u64", "state", "file", "addr", "mem", "worker",
	"iotlb", "read", "add", "desc", "poke", "kick", "send", "drain",
	"wait", "info", "pages", "reap", "ioctl",
};

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed | 1;
}

/* xorshift64* */
uint64_t random_u64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

unsigned int random_below(unsigned int n)
{
	return (random_u64() >> 32) % n;
}

/* Values at which checks turn over are likelier than others. */
static uint64_t random_value(void)
{
	uint64_t v = random_u64() >> random_below(64);

	switch (random_below(4)) {
	case 0:
		return 1ULL << random_below(64);
	case 1:
		return (1ULL << random_below(64)) - 1;
	case 2:
		return random_below(16);
	}
	return v;
}

static struct op random_op(void)
{
	struct op op = {
		.kind = random_below(OP_KINDS),
		.flags = random_below(8) ? random_below(2) : random_below(4),
		.a = random_value(),
		.b = random_value(),
		.c = random_value(),
	};

	return op;
}

static void insert(struct prog *p, unsigned int at, struct op op)
{
	if (p->n == OPS_MAX)
		prog_drop(p, random_below(p->n));
	if (at > p->n)
		at = p->n;
	memmove(p->op + at + 1, p->op + at, (p->n - at) * sizeof(op));
	p->op[at] = op;
	p->n++;
}

/*
 * A device with both rings and some traffic each way, by backend, format and
 * IOTLB; what the words of setup mean is in exec.c.
 */
void prog_seed(struct prog *p, unsigned int number)
{
	const struct op setup = {
		OP_SETUP, 0, number * 0x9e37, number % 3, number / 3
	};
	const struct op add = {
		OP_ADD, 0, 1 + number % 4, 64 << number % 6, number
	};
	/* the veth is behind macvtap and packet socket */
	const struct op send = {
		OP_SEND, 0, number % 3 ? 0x103 : 3, 60 << number % 5, 0
	};
	unsigned int i;

	p->n = 0;
	for (i = 0; i < 6; i++) {
		insert(p, p->n, i < 2 ? setup : add);
		p->op[i].flags = i & OP_RING;
	}
	insert(p, p->n, send);
	insert(p, p->n, (struct op){ OP_WAIT, 0, 3, 0, 0 });
	insert(p, p->n, (struct op){ OP_REAP, 1, 0, 0, 0 });
	insert(p, p->n, random_op());
}

static void change(struct op *op)
{
	uint64_t v = random_value();

	switch (random_below(6)) {
	case 0:
		op->a = v;
		break;
	case 1:
		op->b = v;
		break;
	case 2:
		op->c = v;
		break;
	case 3:
		op->flags ^= 1 << random_below(2);
		break;
	case 4:
		op->a ^= 1 << random_below(16);
		break;
	default:
		op->c ^= 1ULL << random_below(64);
	}
}

/* One to four changes; some take operations from @other. */
void prog_mutate(struct prog *p, const struct prog *other)
{
	unsigned int changes = 1 + random_below(4), i;

	while (changes--) {
		switch (random_below(8)) {
		case 0:
		case 1:
			insert(p, random_below(p->n + 1), random_op());
			break;
		case 2:
			insert(p, random_below(p->n + 1),
			       other->op[random_below(other->n)]);
			break;
		case 3:
			if (p->n > 1)
				prog_drop(p, random_below(p->n));
			break;
		case 4:
			for (i = random_below(other->n); i < other->n; i++)
				insert(p, p->n, other->op[i]);
			break;
		default:
			change(&p->op[random_below(p->n)]);
		}
	}
}

void prog_drop(struct prog *p, unsigned int at)
{
	p->n--;
	memmove(p->op + at, p->op + at + 1, (p->n - at) * sizeof(p->op[0]));
}

/* @text: of TEXT_MAX bytes. Return: how many are used. */
int prog_print(const struct prog *p, uint64_t number, char *text)
{
	int len = sprintf(text, "prog %" PRIu64 "\n", number);
	unsigned int i;

	for (i = 0; i < p->n; i++)
		len += sprintf(text + len, "%s %x %x %x %" PRIx64 "\n",
			       names[p->op[i].kind], p->op[i].flags,
			       p->op[i].a, p->op[i].b, p->op[i].c);
	len += sprintf(text + len, "end\n");
	return len;
}

static bool parse_op(const char *line, struct op *op)
{
	unsigned int flags, a, b, kind;
	char name[16];

	if (sscanf(line, "%15s %x %x %x %" SCNx64, name, &flags, &a, &b,
		   &op->c) != 5)
		return false;
	for (kind = 0; kind < OP_KINDS; kind++)
		if (!strcmp(name, names[kind]))
			break;
	op->kind = kind;
	op->flags = flags & OP_FLAGS;
	op->a = a;
	op->b = b;
	return kind < OP_KINDS;
}

/* The next whole program of a file; what is around programs is skipped. */
bool prog_parse(FILE *f, struct prog *p, uint64_t *number)
{
	bool is_in = false;
	char line[128];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "prog %" SCNu64, number) == 1) {
			p->n = 0;
			is_in = true;
		} else if (is_in && !strcmp(line, "end\n")) {
			return true;
		} else if (is_in && (p->n == OPS_MAX ||
				     !parse_op(line, &p->op[p->n++]))) {
			is_in = false;
		}
	}
	return false;
}
