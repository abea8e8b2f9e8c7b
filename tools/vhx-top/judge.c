// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who serves, and why it is not vhx_net. What can be seen to be wrong comes first;
 * else what the kernel said when it refused the module; else who came before it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"
#include "setting.h"

static const char *const words[] = {
	[WORD_VHX] = "vhx", [WORD_READY] = "ready", [WORD_BESIDE] = "beside",
	[WORD_IN_TREE] = "in-tree", [WORD_OTHER] = "other",
	[WORD_NOBODY] = "nobody", [WORD_UNKNOWN] = "unknown",
};

/* Return: the first word of the output */
const char *judge_word(enum word word)
{
	return words[word];
}

static struct reason *add(struct answer *answer, const char *code)
{
	static struct reason spare;
	struct reason *reason = &spare;

	if (answer->nr_reasons < REASONS_MAX)
		reason = &answer->reasons[answer->nr_reasons++];
	*reason = (struct reason){ .code = code };
	return reason;
}

__attribute__((format(printf, 3, 4)))
static void say(char *to, size_t size, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vsnprintf(to, size, text, args);
	va_end(args);
}

#define SAY(to, ...)	say(to, sizeof(to), __VA_ARGS__)

/* The version that is likely to be wanted. Return: NULL: DKMS has none */
static const struct dkms_version *newest(const struct host *host)
{
	return host->dkms.nr ? &host->dkms.list[host->dkms.nr - 1] : NULL;
}

static void say_reinstall(struct reason *reason, const struct host *host)
{
	const struct dkms_version *version = newest(host);

	if (version)
		SAY(reason->hint, "dkms install --force vhx/%s -k %s", version->version,
		    host->kernel);
	else
		SAY(reason->hint, "install vhx again: make install");
}

static void judge_missing(struct answer *answer, const struct host *host)
{
	const struct dkms_version *version = newest(host);
	struct reason *reason;

	if (!host_is_present(host)) {
		reason = add(answer, "not-installed");
		SAY(reason->text, "vhx is not installed here");
		return;
	}
	reason = add(answer, "no-module");
	SAY(reason->text, "there is no vhx_net for this kernel, %s", host->kernel);
	if (!version) {
		SAY(reason->hint, "install vhx for it: make install");
	} else if (version->is_excluded) {
		reason->code = "kernel-not-supported";
		SAY(reason->text, "vhx %s does not support this kernel, %s",
		    version->version, host->kernel);
		SAY(reason->hint, "use a kernel that it supports, or a newer vhx");
	} else if (version->state == DKMS_FAILED) {
		SAY(reason->text, "DKMS could not build vhx %s for this kernel, %s",
		    version->version, host->kernel);
		SAY(reason->hint, "%s has the compiler's words", version->log);
	} else {
		SAY(reason->hint, "apt-get install linux-headers-%s && dkms install --force vhx/%s -k %s",
		    host->kernel, version->version, host->kernel);
	}
}

/* As the kernel compares: where symbols have sums, releases may differ. */
static bool is_same_kernel(const struct host *host)
{
	const char *found = host->installed.vermagic, *wanted = host->wanted_vermagic;

	if (!*wanted)
		return true;
	if (strstr(wanted, " modversions")) {
		found += strcspn(found, " ");
		wanted += strcspn(wanted, " ");
	}
	return !strcmp(found, wanted);
}

static void judge_installed(struct answer *answer, const struct host *host)
{
	const struct installed *installed = &host->installed;
	struct reason *reason;

	if (!*installed->path) {
		judge_missing(answer, host);
		return;
	}
	if (installed->is_unlisted) {
		reason = add(answer, "no-depmod");
		SAY(reason->text, "modules.dep does not name %s", installed->path);
		SAY(reason->hint, "depmod %s", host->kernel);
	}
	if (installed->is_missing) {
		reason = add(answer, "no-module");
		SAY(reason->text, "%s is named by modules.dep, and is not there",
		    installed->path);
		say_reinstall(reason, host);
		return;
	}
	if (!installed->is_known)
		return;
	if (!installed->is_readable) {
		reason = add(answer, "damaged");
		SAY(reason->text, "%s: %s", installed->path, installed->error);
		say_reinstall(reason, host);
		return;
	}
	if (!is_same_kernel(host)) {
		reason = add(answer, "wrong-kernel");
		SAY(reason->text, "%s is built for \"%s\", and this kernel is \"%s\"",
		    installed->path, installed->vermagic, host->wanted_vermagic);
		say_reinstall(reason, host);
	}
	if (host->signatures.is_required && !*installed->sig_hash) {
		reason = add(answer, "signature");
		SAY(reason->text, "this kernel refuses modules without a signature, and %s has none",
		    installed->path);
		SAY(reason->hint, "sign it (make sign), and enroll the key: mokutil --import");
	}
}

static void judge_settings(struct answer *answer, const struct host *host)
{
	const struct installed *installed = &host->installed;
	const struct setting *setting;
	struct reason *reason;
	const char *takes;
	size_t i;

	for (i = 0; i < host->conf.nr_settings; i++) {
		setting = &host->conf.settings[i];
		/* Other versions may take other values. */
		takes = *installed->version && strcmp(installed->version, VERSION) ?
			NULL : setting_refused(setting->name, setting->value);
		if (!takes)
			continue;
		reason = add(answer, "parameter");
		SAY(reason->text, "%s: vhx_net does not take %s=%s", setting->where,
		    setting->name, setting->value);
		SAY(reason->hint, "%s: take %s", setting->name, takes);
	}
}

static void judge_conf(struct answer *answer, const struct host *host)
{
	const struct conf *conf = &host->conf;
	struct reason *reason;

	if (!conf->has_rule && host_is_present(host)) {
		reason = add(answer, "no-rule");
		if (*conf->other_where)
			SAY(reason->text, "%s: an install rule takes the place of vhx's",
			    conf->other_where);
		else if (*conf->target)
			SAY(reason->text, "%s: who opens /dev/vhost-net gets %s, and that is not vhx",
			    conf->target_where, conf->target);
		else
			SAY(reason->text, "no file of modprobe.d has vhx's rule for /dev/vhost-net");
		SAY(reason->hint, "install vhx again, or put its vhx.conf back into modprobe.d");
	}
	if (*conf->blocked_where) {
		reason = add(answer, "blocked");
		SAY(reason->text, "%s: %s", conf->blocked_where, conf->blocked_by);
		SAY(reason->hint, "remove that");
	}
	judge_settings(answer, host);
}

/* What modprobe says, and what that means; the hint is for where nothing is seen. */
static const struct {
	const char *said, *code, *hint;
} refusals[] = {
	{ "Key was rejected", "signature",
	  "enroll the key that it is signed by: mokutil --import; then boot" },
	{ "Required key not available", "signature",
	  "sign it with a key that this kernel knows: make sign; mokutil --import" },
	{ "Operation not permitted", "signature",
	  "a locked-down kernel takes modules with a known signature alone" },
	{ "Bad message", "signature", "its signature is damaged: install vhx again" },
	{ "Exec format error", "damaged",
	  "it is damaged, or not for this kernel: install vhx again" },
	{ "Invalid module format", "damaged",
	  "it is damaged, or not for this kernel: install vhx again" },
	{ "Unknown symbol", "wrong-kernel", "it is not for this kernel: install vhx again" },
	{ "not found", "no-module", "install vhx for this kernel" },
	{ "Device or resource busy", "node-taken", "another module has the node" },
	{ "Invalid argument", "parameter",
	  "look at the options of vhx_net in modprobe.d; the kernel log says which" },
	{ "", "refused", "the kernel log says more: dmesg" },
};

static void judge_refusal(struct answer *answer, const struct host *host)
{
	struct reason *reason;
	size_t i = 0;

	if (!host->refusal.when)
		return;
	while (!strstr(host->refusal.text, refusals[i].said))
		i++;
	reason = add(answer, refusals[i].code);
	SAY(reason->text, "%s", host->refusal.text);
	SAY(reason->hint, "%s", host->refusal.is_old ?
	    "the module or modprobe.d has changed since: the next open may load it" :
	    refusals[i].hint);
}

/* Why it is not vhx_net, though that could be loaded. */
static void judge_taken(struct answer *answer, const struct host *host)
{
	struct reason *reason;

	if (host->in_tree.is_builtin) {
		reason = add(answer, "built-in");
		SAY(reason->text, "vhost_net is a part of this kernel, and keeps /dev/vhost-net");
		SAY(reason->hint, "give vhx_net another node: options vhx_net node=NAME");
		return;
	}
	reason = add(answer, "node-taken");
	SAY(reason->text, "vhost_net has /dev/vhost-net as long as it is loaded");
	SAY(reason->hint, "rmmod vhost_net, once no VM uses it: the next open loads vhx_net");
}

static void judge_strict(struct answer *answer, const struct host *host)
{
	struct reason *reason;

	if (!host->conf.is_strict)
		return;
	reason = add(answer, "strict");
	SAY(reason->text, "%s: strict=1, so vhost_net does not serve in its place",
	    host->conf.strict_where);
}

/* What is no fault now. */
static void judge_notes(struct answer *answer, const struct host *host)
{
	const struct installed *installed = &host->installed;
	const struct setting *setting;
	struct reason *reason;
	size_t i;

	if (host_has_upgrade(host)) {
		reason = add(answer, "upgrade");
		SAY(reason->text, "another vhx_net is installed (%s) than is loaded (%s)",
		    installed->version, host->vhx.version);
		SAY(reason->hint, "rmmod vhx_net, once no VM uses it: the next open loads the new one");
	}
	if (*host->conf.error) {
		reason = add(answer, "configuration");
		SAY(reason->text, "%s", host->conf.error);
		SAY(reason->hint, "run vhx-status as root");
	}
	for (i = 0; installed->nr_params && i < host->conf.nr_settings; i++) {
		setting = &host->conf.settings[i];
		if (module_param(installed->params, installed->nr_params, setting->name))
			continue;
		reason = add(answer, "unknown-parameter");
		SAY(reason->text, "%s: vhx_net has no parameter %s, and ignores it",
		    setting->where, setting->name);
		SAY(reason->hint, "modinfo -p vhx_net has them all");
	}
	if (host->devices_err) {
		reason = add(answer, "processes");
		SAY(reason->text, "/proc: %s: who uses it is not known",
		    strerror(-host->devices_err));
	}
	if (host->devices.is_cut) {
		reason = add(answer, "too-many");
		SAY(reason->text, "a process has more than %d descriptors or workers: the rest is left out",
		    OF_ONE_MAX);
	}
}

static enum word serving(const struct host *host)
{
	bool is_vhx = host->vhx.is_there && host->vhx.is_live;

	if (!host->has_sysfs)
		return WORD_UNKNOWN;
	if (is_vhx)
		return strcmp(host->node, STOCK_NAME) ? WORD_BESIDE : WORD_VHX;
	if (host->in_tree.is_there && host->in_tree.is_live)
		return WORD_IN_TREE;
	/* One that is just being loaded may have its node. */
	return host->is_other && !host->vhx.is_there && !host->in_tree.is_there ?
		WORD_OTHER : WORD_NOBODY;
}

/* At boot it is made of modules.devname; else its module made it, and took it along. */
static bool lacks_node(struct answer *answer, const struct host *host)
{
	struct reason *reason;

	if (host->has_node || !host_is_present(host))
		return false;
	reason = add(answer, "no-node");
	SAY(reason->text, "there is no /dev/vhost-net that could be opened");
	SAY(reason->hint, "modprobe devname:vhost-net");
	return true;
}

static void judge_nobody(struct answer *answer, const struct host *host)
{
	struct reason *reason;
	bool is_faulty = answer->nr_reasons || !host->refusal.is_old, is_dead;

	if (!answer->nr_reasons)
		judge_refusal(answer, host);
	is_dead = lacks_node(answer, host);
	is_faulty |= is_dead;
	if (!answer->nr_reasons || !is_faulty) {
		answer->word = WORD_READY;
		if (!host->installed.is_known) {
			answer->word = WORD_UNKNOWN;
			answer->status = STATUS_UNKNOWN;
			reason = add(answer, "modinfo");
			SAY(reason->text, "%s", host->installed.error);
			SAY(reason->hint, "apt-get install kmod");
		}
		return;
	}
	answer->status = STATUS_WARNING;
	if (host->conf.is_strict || host->conf.is_off || is_dead || !host->has_in_tree)
		answer->status = STATUS_CRITICAL;
	judge_strict(answer, host);
}

/**
 * judge_host - who serves, and why
 * @answer: is filled
 * @host: all that there is to know
 */
void judge_host(struct answer *answer, const struct host *host)
{
	struct reason *reason;

	memset(answer, 0, sizeof(*answer));
	answer->word = serving(host);
	if (answer->word == WORD_UNKNOWN) {
		answer->status = STATUS_UNKNOWN;
		reason = add(answer, "no-sysfs");
		SAY(reason->text, "there is no /sys/module, which says what is loaded");
		SAY(reason->hint, "mount /sys");
		return;
	}
	judge_installed(answer, host);
	judge_conf(answer, host);
	if (answer->word == WORD_NOBODY) {
		judge_nobody(answer, host);
	} else if (answer->word == WORD_IN_TREE) {
		answer->status = STATUS_WARNING;
		if (!answer->nr_reasons)
			judge_refusal(answer, host);
		if (host_is_present(host))
			judge_taken(answer, host);
	} else if (answer->word == WORD_OTHER) {
		answer->status = STATUS_WARNING;
		reason = add(answer, "other");
		SAY(reason->text, "/dev/vhost-net is there, and is neither vhx_net's nor vhost_net's");
		SAY(reason->hint, "ls /sys/class/cuse /sys/class/misc: a program or another module made it");
	}
	judge_notes(answer, host);
}
