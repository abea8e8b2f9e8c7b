// SPDX-License-Identifier: GPL-2.0-only
/* For people: a word, facts by lines, then who uses a node. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define WIDTH	79

/* A fact: what it is of, and the text. */
__attribute__((format(printf, 2, 3)))
static void fact(const char *of, const char *text, ...)
{
	va_list args;

	printf("%-15s ", of);
	va_start(args, text);
	vprintf(text, args);
	va_end(args);
	putchar('\n');
}

static size_t count(const struct host *host, enum device_kind kind)
{
	size_t i, nr = 0;

	for (i = 0; i < host->devices.nr; i++)
		nr += host->devices.list[i].kind == kind;
	return nr;
}

static void put_node(const struct host *host, enum word word)
{
	static const char *const says[] = {
		[WORD_VHX] = "vhx_net serves it",
		[WORD_READY] = "nobody has opened it; vhx_net will serve it",
		[WORD_BESIDE] = "vhx_net does not serve it",
		[WORD_IN_TREE] = "in-tree vhost_net serves it",
		[WORD_OTHER] = "served, and by neither of vhx_net and vhost_net",
		[WORD_NOBODY] = "nobody serves it",
		[WORD_UNKNOWN] = "who serves it is not known",
	};
	const char *text = says[word];

	if (word == WORD_BESIDE && host->in_tree.is_there)
		text = says[WORD_IN_TREE];
	fact("/dev/" STOCK_NAME, "%s", text);
	if (!strcmp(host->node, STOCK_NAME))
		return;
	printf("/dev/%s ", host->node);
	printf("%s\n", host->vhx.is_there ? "vhx_net serves it" :
	       "vhx_net will serve it, once it is loaded");
}

static void put_loaded(const struct host *host)
{
	const struct loaded *vhx = &host->vhx;

	if (!vhx->is_there) {
		fact("loaded", "no vhx_net");
		return;
	}
	fact("loaded", "vhx_net %s, %s%s", *vhx->version ? vhx->version : "(no version)",
	     strchr(vhx->taint, 'E') ? "without a known signature" :
	     host->signatures.enforce ? "signed" : "(this kernel knows no signatures)",
	     vhx->is_live ? "" : ", not ready yet");
}

static void put_installed(const struct host *host)
{
	const struct installed *installed = &host->installed;

	if (!*installed->path) {
		fact("installed", "no vhx_net for kernel %s", host->kernel);
		return;
	}
	if (!installed->is_readable)
		fact("installed", "vhx_net, not readable");
	else if (!*installed->sig_hash)
		fact("installed", "vhx_net %s, not signed", installed->version);
	else
		fact("installed", "vhx_net %s, signed by \"%s\" (%s)",
		     installed->version, installed->signer, installed->sig_hash);
	fact("", "%s", installed->path);
}

static void put_signatures(const struct host *host)
{
	const struct signatures *signatures = &host->signatures;

	if (!signatures->enforce) {
		fact("signatures", "this kernel knows none");
		return;
	}
	fact("signatures", "%s (sig_enforce %c, lockdown %s, Secure Boot %s)",
	     signatures->is_required ? "required" : "not required", signatures->enforce,
	     *signatures->lockdown ? signatures->lockdown : "unknown",
	     signatures->secure_boot < 0 ? "unknown" :
	     signatures->secure_boot ? "on" : "off");
}

/* A list of words in lines of their own. */
static void put_word(size_t *at, const char *of, const char *name, const char *value)
{
	size_t len = strlen(name) + 1 + strlen(value);

	if (*at && *at + 1 + len > WIDTH) {
		putchar('\n');
		*at = 0;
		of = "";
	}
	if (!*at)
		*at = (size_t)printf("%-15s", of);
	*at += (size_t)printf(" %s=%s", name, value);
}

static void put_parameters(const struct host *host)
{
	const struct setting *setting;
	size_t i, at = 0;

	for (i = 0; i < host->vhx.nr_params; i++)
		put_word(&at, "parameters", host->vhx.params[i].name,
			 host->vhx.params[i].value);
	if (at)
		putchar('\n');
	for (i = 0; i < host->conf.nr_settings; i++) {
		setting = &host->conf.settings[i];
		fact(i ? "" : "options", "%s=%s (%s)", setting->name, setting->value,
		     setting->where);
	}
}

static void put_conf(const struct host *host)
{
	const struct conf *conf = &host->conf;

	if (!conf->has_rule)
		fact("rule", "none of vhx in modprobe.d");
	else if (conf->is_strict)
		fact("rule", "%s, strict (%s)", conf->rule_where, conf->strict_where);
	else
		fact("rule", "%s, not strict", conf->rule_where);
}

static void put_dkms(const struct host *host)
{
	const struct dkms_version *version;
	size_t i;

	for (i = 0; i < host->dkms.nr; i++) {
		version = &host->dkms.list[i];
		fact(i ? "" : "DKMS", "%s: %s for %s", version->version,
		     version->is_excluded ? "not" : dkms_state(version->state),
		     host->kernel);
	}
}

static void put_refusal(const struct host *host)
{
	const struct refusal *refusal = &host->refusal;
	struct tm broken;
	char when[32];
	size_t i;

	if (!refusal->when)
		return;
	localtime_r(&refusal->when, &broken);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &broken);
	fact("last refusal", "%s", when);
	fact("", "%s", refusal->text);
	for (i = 0; i < host->klog.nr; i++)
		fact(i ? "" : "kernel log", "%s", host->klog.line[i]);
	if (host->klog.err)
		fact("kernel log", "%s: run vhx-status as root",
		     strerror(-host->klog.err));
}

static void put_reasons(const struct answer *answer)
{
	const char *of = answer->status ? "why" : "note";
	const struct reason *reason;
	size_t i;

	for (i = 0; i < answer->nr_reasons; i++) {
		reason = &answer->reasons[i];
		fact(i ? "" : of, "%s", reason->text);
		if (*reason->hint)
			fact("", "-> %s", reason->hint);
	}
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static void put_device(const struct device *device)
{
	const struct ring *rx = &device->info.ring[RING_RX];
	const struct ring *tx = &device->info.ring[RING_TX];
	const struct ring *ring = *rx->ifname ? rx : tx;
	char workers[32] = "-", queue[16] = "-";

	if (rx->worker && tx->worker && rx->worker != tx->worker)
		snprintf(workers, sizeof(workers), "%d,%d", rx->worker, tx->worker);
	else if (rx->worker || tx->worker)
		snprintf(workers, sizeof(workers), "%d",
			 rx->worker ? rx->worker : tx->worker);
	if (ring->queue >= 0)
		snprintf(queue, sizeof(queue), "%d", ring->queue);
	printf("%-15s %8d %-7s %-15s %2s %-11s %-6s %s\n", device->vm, device->pid,
	       device_kind(device->kind), or_dash(ring->ifname), queue, workers,
	       or_dash(rx->format), or_dash(device->info.features));
}

static void put_devices(const struct host *host)
{
	size_t i, hidden = count(host, DEVICE_HIDDEN);

	if (!host->devices.nr) {
		fact("VMs", host->devices_err ? "not known" : geteuid() ?
		     "none that you may see; root sees all" : "none");
		return;
	}
	printf("\n%-15s %8s %-7s %-15s %2s %-11s %-6s %s\n", "VM", "PID", "BY", "TAP",
	       "Q", "WORKER", "FORMAT", "FEATURES");
	for (i = 0; i < host->devices.nr; i++)
		put_device(&host->devices.list[i]);
	if (hidden)
		printf("%zu of other users, hidden: run vhx-status as root\n", hidden);
}

/**
 * report_put - print all for people
 * @host: what was found
 * @answer: what that means
 *
 * Return: 0
 */
int report_put(const struct host *host, const struct answer *answer)
{
	puts(judge_word(answer->word));
	put_node(host, answer->word);
	put_reasons(answer);
	if (!host->vhx.is_live)
		put_refusal(host);
	put_loaded(host);
	put_installed(host);
	put_signatures(host);
	put_parameters(host);
	put_conf(host);
	put_dkms(host);
	put_devices(host);
	return 0;
}

/**
 * report_check - print in few lines what is wrong, for a journal
 * @host: what was found
 * @answer: what that means
 *
 * Return: 0
 */
int report_check(const struct host *host, const struct answer *answer)
{
	const struct reason *reason;
	size_t i;

	printf("%s: %s\n", judge_word(answer->word), answer->nr_reasons ?
	       answer->reasons[0].text : "as it should be");
	for (i = 0; i < answer->nr_reasons; i++) {
		reason = &answer->reasons[i];
		if (i)
			puts(reason->text);
		if (*reason->hint)
			printf("-> %s\n", reason->hint);
	}
	if (answer->status && count(host, DEVICE_IN_TREE))
		printf("devices that vhost_net serves: %zu\n",
		       count(host, DEVICE_IN_TREE));
	return 0;
}
