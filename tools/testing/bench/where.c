// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's TCG: instructions that a worker thread of vhost takes between
 * the marks of where_mark.h, by block of code, for where.py. It wants one CPU, an
 * x86-64 kernel and no other vhost device at work.
 *
 *   -plugin where.so,out=FILE
 *
 * FILE gets for each measurement a line "segment", and below it "ADDRESS COUNT" of
 * each block, the address in hex, the count of instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"
#include "where_mark.h"

#define EXPORT		__attribute__((visibility("default")))
#define WORKER		"vhost-"	/* how its name begins */
#define TASKS_MAX	1024

/*
 * __switch_to_asm: mov %rsp, thread.sp(%rdi); mov thread.sp(%rsi), %rsp. The second
 * reads the task_struct of the task that runs from there on.
 */
#define SAVE_SP		"\x48\x89\xa7"
#define LOAD_SP		"\x48\x8b\xa6"
#define SP_LEN		7		/* bytes of each: opcode, then */
#define SP_OFFSET	3		/* the offset in a task_struct */

/* A block of code that QEMU translated. */
struct block {
	uint64_t addr;
	uint64_t runs;
	unsigned int len;		/* instructions */
	uint32_t sp_offset;		/* if it switches tasks */
	struct block *next;
};

struct task {
	uint64_t addr;			/* of its task_struct */
	bool is_worker;
};

EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static struct block *blocks;
static struct task tasks[TASKS_MAX];	/* seen since the measurement began */
static unsigned int nr_tasks;
static bool is_on, is_worker;
static FILE *out;

/* By the name in its task_struct, which is before the stack pointer in it. */
static bool has_worker_name(uint64_t task, uint32_t sp_offset)
{
	GByteArray *copy = g_byte_array_new();
	const uint8_t *name = NULL;

	if (qemu_plugin_read_memory_vaddr(task, copy, sp_offset))
		name = memmem(copy->data, copy->len, WORKER, strlen(WORKER));
	g_byte_array_free(copy, true);
	return name;
}

static void switched(unsigned int cpu, qemu_plugin_meminfo_t info,
		     uint64_t addr, void *data)
{
	const struct block *b = data;
	uint64_t task = addr - b->sp_offset;
	unsigned int i;

	if (!is_on)
		return;
	for (i = 0; i < nr_tasks && tasks[i].addr != task; i++)
		;
	if (i == TASKS_MAX) {
		nr_tasks = 0;
		i = 0;
	}
	if (i == nr_tasks)
		tasks[nr_tasks++] = (struct task){
			task, has_worker_name(task, b->sp_offset),
		};
	is_worker = tasks[i].is_worker;
}

static void ran(unsigned int cpu, void *data)
{
	struct block *b = data;

	b->runs += is_worker;
}

static void begin(unsigned int cpu, void *data)
{
	nr_tasks = 0;
	is_on = true;
}

static void end(unsigned int cpu, void *data)
{
	is_on = false;
	is_worker = false;
	fprintf(out, "segment\n");
	for (struct block *b = blocks; b; b = b->next) {
		if (b->runs)
			fprintf(out, "%lx %lu\n", b->addr, b->runs * b->len);
		b->runs = 0;
	}
	fflush(out);
}

static bool is_mark(const uint8_t *code)
{
	return !memcmp(code, MARK_OPCODE, strlen(MARK_OPCODE)) &&
	       !memcmp(code + MARK_LEN - strlen(MARK_NAME), MARK_NAME,
		       strlen(MARK_NAME));
}

/* What the plugin wants to know of an instruction, and of the one before it. */
static void look_at(struct qemu_plugin_insn *insn, const uint8_t *code,
		    size_t len, const uint8_t *before, struct block *b)
{
	qemu_plugin_vcpu_udata_cb_t cb = code[3] == MARK_BEGIN ? begin : end;

	if (len == MARK_LEN && is_mark(code))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb,
						       QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
	if (len != SP_LEN || memcmp(code, LOAD_SP, SP_OFFSET) ||
	    memcmp(before, SAVE_SP, SP_OFFSET))
		return;
	memcpy(&b->sp_offset, code + SP_OFFSET, sizeof(b->sp_offset));
	qemu_plugin_register_vcpu_mem_cb(insn, switched, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_R, b);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));
	uint8_t code[16] = {}, before[16] = {};

	if (!b)
		abort();
	b->addr = qemu_plugin_tb_vaddr(tb);
	b->len = qemu_plugin_tb_n_insns(tb);
	b->next = blocks;
	blocks = b;
	for (unsigned int i = 0; i < b->len; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		size_t len = qemu_plugin_insn_data(insn, code, sizeof(code));

		look_at(insn, code, len, before, b);
		memcpy(before, code, sizeof(before));
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, QEMU_PLUGIN_CB_NO_REGS, b);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
			       int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4) ||
	    strcmp(info->target_name, "x86_64"))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
