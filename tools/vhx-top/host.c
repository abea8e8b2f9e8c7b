// SPDX-License-Identifier: GPL-2.0-only
/* Reads all that there is to know of who serves vhost-net on this host. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "setting.h"
#include "text.h"
#include "tree.h"

#define REFUSED		"/run/vhx-refused"	/* etc/vhx.conf writes it */
#define EFI_SECURE_BOOT	"/sys/firmware/efi/efivars/" \
	"SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* "none [integrity] confidentiality" */
static void read_lockdown(struct signatures *signatures)
{
	char text[128], *at;

	tree_read(text, sizeof(text), "/sys/kernel/security/lockdown");
	at = strchr(text, '[');
	if (!at)
		return;
	at++;
	at[strcspn(at, "]\n")] = 0;
	text_clean(signatures->lockdown, sizeof(signatures->lockdown), at);
}

static void read_signatures(struct signatures *signatures)
{
	char text[16];

	memset(signatures, 0, sizeof(*signatures));
	tree_read(text, sizeof(text), "/sys/module/module/parameters/sig_enforce");
	if (*text == 'Y' || *text == 'N')
		signatures->enforce = *text;
	read_lockdown(signatures);
	signatures->secure_boot = -1;
	/* Four bytes of attributes, then one of value. */
	if (tree_read(text, sizeof(text), "%s", EFI_SECURE_BOOT) >= 5)
		signatures->secure_boot = text[4] == 1;
	signatures->is_required = signatures->enforce == 'Y' ||
		(*signatures->lockdown && strcmp(signatures->lockdown, "none"));
}

static void read_refusal(struct host *host)
{
	struct refusal *refusal = &host->refusal;
	int64_t when = tree_changed(REFUSED);
	char text[600];

	tree_read(text, sizeof(text), REFUSED);
	text[strcspn(text, "\n")] = 0;
	text_clean(refusal->text, sizeof(refusal->text), text);
	if (!*text)
		return;
	refusal->when = when / 1000000000;
	refusal->is_old = host->conf.changed > when || host->installed.changed > when;
}

/* Of modules that serve: the one it has, else the one that it is to get; the last counts. */
static void find_node(struct host *host)
{
	const char *name = module_param(host->vhx.params, host->vhx.nr_params, "node");
	size_t i = host->vhx.is_there ? 0 : host->conf.nr_settings;

	while (!name && i--)
		if (!strcmp(host->conf.settings[i].name, "node"))
			name = host->conf.settings[i].value;
	setting_unquote(host->node, sizeof(host->node), name ? name : STOCK_NAME);
}

/* That of the kernel's own module is right. */
static void read_vermagic(struct host *host)
{
	static struct installed stock;

	module_read_installed(&stock, host->kernel, "vhost_net");
	host->has_in_tree = *stock.path || host->in_tree.is_there ||
		module_is_builtin(host->kernel, "vhost_net");
	strcpy(host->wanted_vermagic, stock.vermagic);
}

static void read_kernel(struct host *host)
{
	char text[sizeof(host->kernel)];

	tree_read(text, sizeof(text), "/proc/sys/kernel/osrelease");
	text[strcspn(text, "\n")] = 0;
	text_clean(host->kernel, sizeof(host->kernel), text);
}

/**
 * host_read - all that there is to know
 * @host: is filled; to be freed in any case
 *
 * Return: 0, -ENOMEM
 */
int host_read(struct host *host)
{
	int err;

	memset(host, 0, sizeof(*host));
	read_kernel(host);
	host->has_sysfs = tree_has("/sys/module");
	module_read_loaded(&host->vhx, "vhx_net");
	module_read_loaded(&host->in_tree, "vhost_net");
	host->has_node = tree_has("/dev/" STOCK_NAME);
	host->is_other = tree_has("/sys/class/misc/" STOCK_NAME) ||
		tree_has("/sys/class/cuse/" STOCK_NAME);
	module_read_installed(&host->installed, host->kernel, "vhx_net");
	read_vermagic(host);
	read_signatures(&host->signatures);
	err = conf_read(&host->conf);
	if (err)
		return err;
	find_node(host);
	dkms_read(&host->dkms, host->kernel);
	read_refusal(host);
	klog_read(&host->klog);
	host->devices_err = devices_read_nodes(&host->devices);
	return host->devices_err == -ENOMEM ? -ENOMEM : 0;
}

/* Let go of what host_read() found. */
void host_free(struct host *host)
{
	devices_free(&host->devices);
}

/* Whether anything of vhx is installed here. */
bool host_is_present(const struct host *host)
{
	return host->vhx.is_there || *host->installed.path || host->conf.has_rule ||
	       host->dkms.nr;
}

static bool differ(const char *loaded, const char *installed)
{
	return *loaded && *installed && strcmp(loaded, installed);
}

/*
 * Whether another vhx_net is installed than the one that is loaded. The sources
 * alone do not tell: two versions may have the same.
 */
bool host_has_upgrade(const struct host *host)
{
	const struct installed *installed = &host->installed;
	const struct loaded *vhx = &host->vhx;

	return vhx->is_there && installed->is_readable &&
	       (differ(vhx->version, installed->version) ||
		differ(vhx->srcversion, installed->srcversion));
}
