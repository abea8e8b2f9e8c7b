// SPDX-License-Identifier: GPL-2.0-only
/* As JSON; vhx-status(8) has the schema. What is not known is null. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static void put(struct json_object *to, const char *key, struct json_object *val)
{
	json_object_object_add(to, key, val);
}

static void put_text(struct json_object *to, const char *key, const char *text)
{
	put(to, key, text && *text ? json_object_new_string(text) : NULL);
}

static void put_bool(struct json_object *to, const char *key, bool val)
{
	put(to, key, json_object_new_boolean(val));
}

static struct json_object *loaded_of(const struct host *host)
{
	const struct loaded *vhx = &host->vhx;
	struct json_object *to, *params;
	size_t i;

	if (!vhx->is_there)
		return NULL;
	to = json_object_new_object();
	params = json_object_new_object();
	put_text(to, "version", vhx->version);
	put_text(to, "srcversion", vhx->srcversion);
	put_text(to, "node", host->node);
	put_text(to, "taint", vhx->taint);
	put(to, "signed", host->signatures.enforce ?
	    json_object_new_boolean(!strchr(vhx->taint, 'E')) : NULL);
	for (i = 0; i < vhx->nr_params; i++)
		put(params, vhx->params[i].name,
		    json_object_new_string(vhx->params[i].value));
	put(to, "parameters", params);
	return to;
}

static struct json_object *installed_of(const struct installed *installed)
{
	struct json_object *to;

	if (!*installed->path)
		return NULL;
	to = json_object_new_object();
	put_text(to, "path", installed->path);
	put_text(to, "error", installed->error);
	put_text(to, "version", installed->version);
	put_text(to, "srcversion", installed->srcversion);
	put_text(to, "vermagic", installed->vermagic);
	put(to, "signed", installed->is_readable ?
	    json_object_new_boolean(*installed->sig_hash) : NULL);
	put_text(to, "signer", installed->signer);
	put_text(to, "sig_key", installed->sig_key);
	put_text(to, "sig_hashalgo", installed->sig_hash);
	return to;
}

static struct json_object *signatures_of(const struct signatures *signatures)
{
	struct json_object *to = json_object_new_object();

	put(to, "sig_enforce", signatures->enforce ?
	    json_object_new_boolean(signatures->enforce == 'Y') : NULL);
	put_text(to, "lockdown", signatures->lockdown);
	put(to, "secure_boot", signatures->secure_boot < 0 ? NULL :
	    json_object_new_boolean(signatures->secure_boot));
	put_bool(to, "required", signatures->is_required);
	return to;
}

static struct json_object *conf_of(const struct conf *conf)
{
	struct json_object *to = json_object_new_object();
	struct json_object *list = json_object_new_array(), *one;
	size_t i;

	put_text(to, "rule", conf->rule_where);
	put_bool(to, "strict", conf->is_strict);
	for (i = 0; i < conf->nr_settings; i++) {
		one = json_object_new_object();
		put_text(one, "name", conf->settings[i].name);
		put(one, "value", json_object_new_string(conf->settings[i].value));
		put_text(one, "where", conf->settings[i].where);
		json_object_array_add(list, one);
	}
	put(to, "options", list);
	return to;
}

static struct json_object *dkms_of(const struct dkms *dkms)
{
	struct json_object *list = json_object_new_array(), *one;
	size_t i;

	for (i = 0; i < dkms->nr; i++) {
		one = json_object_new_object();
		put_text(one, "version", dkms->list[i].version);
		put_text(one, "state", dkms_state(dkms->list[i].state));
		put_bool(one, "kernel_supported", !dkms->list[i].is_excluded);
		put_text(one, "log", dkms->list[i].log);
		json_object_array_add(list, one);
	}
	return list;
}

static struct json_object *reasons_of(const struct answer *answer)
{
	struct json_object *list = json_object_new_array(), *one;
	size_t i;

	for (i = 0; i < answer->nr_reasons; i++) {
		one = json_object_new_object();
		put_text(one, "code", answer->reasons[i].code);
		put_text(one, "text", answer->reasons[i].text);
		put_text(one, "hint", answer->reasons[i].hint);
		json_object_array_add(list, one);
	}
	return list;
}

static struct json_object *refusal_of(const struct host *host)
{
	struct json_object *to, *list;
	size_t i;

	if (!host->refusal.when)
		return NULL;
	to = json_object_new_object();
	list = json_object_new_array();
	put(to, "time", json_object_new_int64(host->refusal.when));
	put_text(to, "text", host->refusal.text);
	for (i = 0; i < host->klog.nr; i++)
		json_object_array_add(list, json_object_new_string(host->klog.line[i]));
	put(to, "kernel_log", host->klog.err ? NULL : list);
	if (host->klog.err)
		json_object_put(list);
	return to;
}

static struct json_object *features_of(const char *features)
{
	struct json_object *list = json_object_new_array();
	const char *word = features;
	size_t len;

	for (; *word; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		if (len)
			json_object_array_add(list,
					      json_object_new_string_len(word, (int)len));
	}
	return list;
}

static struct json_object *ring_of(const struct ring *ring)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "state", ring->state ? fdinfo_state(ring->state) : "");
	put_text(to, "format", ring->format);
	put_text(to, "ifname", ring->ifname);
	put(to, "queue", ring->queue < 0 ? NULL : json_object_new_int(ring->queue));
	put(to, "worker", ring->worker ? json_object_new_int(ring->worker) : NULL);
	return to;
}

static struct json_object *devices_of(const struct devices *devices)
{
	struct json_object *list = json_object_new_array(), *one;
	const struct device *device;
	size_t i, k;

	for (i = 0; i < devices->nr; i++) {
		device = &devices->list[i];
		one = json_object_new_object();
		put_text(one, "vm", device->vm);
		put(one, "pid", json_object_new_int(device->pid));
		put_text(one, "kind", device_kind(device->kind));
		put_text(one, "node", device->node);
		put(one, "features", device->kind == DEVICE_VHX ?
		    features_of(device->info.features) : NULL);
		for (k = 0; k < RINGS; k++)
			put(one, ring_names[k], ring_of(&device->info.ring[k]));
		json_object_array_add(list, one);
	}
	return list;
}

/**
 * report_json - print all for programs
 * @host: what was found
 * @answer: what that means
 *
 * Return: 0, -ENOMEM
 */
int report_json(const struct host *host, const struct answer *answer)
{
	struct json_object *to = json_object_new_object();

	if (!to)
		return -ENOMEM;
	put_text(to, "word", judge_word(answer->word));
	put(to, "status", json_object_new_int(answer->status));
	put_text(to, "kernel", host->kernel);
	put(to, "reasons", reasons_of(answer));
	put(to, "refusal", refusal_of(host));
	put(to, "loaded", loaded_of(host));
	put(to, "installed", installed_of(&host->installed));
	put_bool(to, "upgrade_pending", host_has_upgrade(host));
	put(to, "signatures", signatures_of(&host->signatures));
	put(to, "configuration", conf_of(&host->conf));
	put(to, "dkms", dkms_of(&host->dkms));
	put(to, "devices", host->devices_err ? NULL : devices_of(&host->devices));
	puts(json_object_to_json_string_ext(to, JSON_C_TO_STRING_PRETTY |
		JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(to);
	return 0;
}
