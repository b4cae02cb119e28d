/* SPDX-License-Identifier: ISC */
/*
 * The binder's tables, share/skep.schema.json and skep.yaml(5) say the same:
 * arguments are the paths of the two files.
 */
#include "util.h"

#include "model/backend.h"
#include "model/keys.h"
#include "model/rules.h"

#include <jansson.h>
#include <stdlib.h>

static const char *schema_path, *man_path;
static json_t *schema;
static char *man;

static const json_t *resolve(const json_t *node)
{
	const char *ref = json_string_value(json_object_get(node, "$ref"));
	if (!ref)
		return node;
	assert_memory_equal(ref, "#/$defs/", 8);
	const json_t *to = json_object_get(json_object_get(schema, "$defs"), ref + 8);
	if (!to)
		fail_msg("no %s", ref);
	return to;
}

/* The alternative that is a mapping, or a list of such. */
static const json_t *mapping(const json_t *node)
{
	size_t i;
	json_t *alt;
	node = resolve(node);
	json_array_foreach(json_object_get(node, "oneOf"), i, alt)
	{
		if (json_object_get(resolve(alt), "properties") || json_object_get(resolve(alt), "items"))
			return mapping(alt);
	}
	return json_object_get(node, "items") ? mapping(json_object_get(node, "items")) : node;
}

static bool lists(const json_t *array, const char *word)
{
	size_t i;
	json_t *v;
	json_array_foreach(array, i, v)
	{
		if (json_string_value(v) && !strcmp(json_string_value(v), word))
			return true;
	}
	return false;
}

/* The words of a key, without the backends that are not in this version. */
static void words_agree(const struct key *k, const json_t *node)
{
	const json_t *list = json_object_get(node, "enum");
	size_t n = 0;
	for (unsigned i = 0; k->words[i]; i++) {
		bool offered = k->place != PLACE_BACKEND || backend_built(i);
		if (lists(list, k->words[i]) != offered)
			fail_msg("%s: %s", k->name, k->words[i]);
		n += offered;
	}
	assert_int_equal(json_array_size(list), n);
}

static void table_agrees(const struct key *keys, const json_t *node, const char *path)
{
	const json_t *props = json_object_get(node, "properties"), *required = json_object_get(node, "required");
	size_t n = 0, must = 0;
	if (!json_is_false(json_object_get(node, "additionalProperties")))
		fail_msg("%s: takes other keys", path);
	for (const struct key *k = keys; k->name; k++) {
		char sub[128];
		const json_t *own = json_object_get(props, k->name);
		snprintf(sub, sizeof(sub), "%s/%s", path, k->name);
		if (k->type == KEY_LATER) {
			assert_null(own);
			continue;
		}
		n++;
		must += k->required;
		if (!own || !json_string_value(json_object_get(own, "description")))
			fail_msg("%s: not in the schema, or without a description", sub);
		if (k->required != lists(required, k->name))
			fail_msg("%s: required here, optional there", sub);
		if (k->type == KEY_WORD)
			words_agree(k, own);
		if (k->type == KEY_NETWORKS || k->type == KEY_HONEYPOTS || k->type == KEY_POLICIES)
			table_agrees(k->sub, mapping(json_object_get(own, "additionalProperties")), sub);
		else if (k->sub)
			table_agrees(k->sub, mapping(own), sub);
	}
	if (json_object_size(props) != n || json_array_size(required) != must)
		fail_msg("%s: the schema has more keys", path);
}

static void schema_agrees(void **state)
{
	(void)state;
	table_agrees(model_keys, schema, "");
}

static void table_in_man(const struct key *keys)
{
	for (const struct key *k = keys; k->name; k++) {
		char line[64];
		snprintf(line, sizeof(line), "\n.It Cm %s", k->name);
		const char *at = strstr(man, line);
		while (at && !strchr(" \n", at[strlen(line)]))
			at = strstr(at + 1, line);
		if (!at)
			fail_msg("skep.yaml(5) does not explain %s", k->name);
		for (unsigned i = 0; k->words && k->words[i]; i++)
			assert_non_null(strstr(man, k->words[i]));
		if (k->sub)
			table_in_man(k->sub);
	}
}

static void man_explains_every_key(void **state)
{
	(void)state;
	table_in_man(model_keys);
}

/* What it shows can be used as it stands. */
static void examples_in_man_are_good(void **state)
{
	(void)state;
	unsigned n = 0;
	for (char *at = man; (at = strstr(at, "\n.Bd -literal")); n++) {
		static struct model m;
		char *begin = strchr(at + 1, '\n') + 1, *end = strstr(begin, ".Ed\n");
		assert_non_null(end);
		*end = '\0';
		good(begin, &m);
		*end = '.';
		at = end;
	}
	assert_int_equal(n, 3);
}

static void unescaped(char *to, size_t cap, const char *s, size_t n)
{
	size_t at = 0;
	for (size_t i = 0; i < n && at + 1 < cap; i++) {
		to[at++] = s[i];
		if (s[i] == '\\' && i + 1 < n && s[i + 1] == 'e') /* roff's name of a backslash */
			i++;
	}
	to[at] = '\0';
}

/* Each key of a policy has an example, which is right in its place. */
static void lines_in_man_are_good(void **state)
{
	(void)state;
	static const char head[] = "honeynet: n\nnetworks: {lan: {v4: 198.51.100.0/24}}\nhoneypots:\n"
				   "  web1: {image: busybox, address: 198.51.100.10}\n"
				   "  db1: {image: busybox, address: 198.51.100.11}\n";
	const char *rules = strstr(man, "\n.Ss Rules"), *named = strstr(man, "\n.Ss Named policies");
	const char *triggers = strstr(man, "\n.Ss Triggers"), *notices = strstr(man, "\n.Ss Notices");
	unsigned n = 0;
	assert_true(rules && named && triggers && notices);
	for (const char *at = strstr(man, "\n.Ss Policy"); (at = strstr(at, "\n.Dl ")); n++) {
		static struct model m;
		char line[256], file[1024];
		size_t len = strcspn(at + 5, "\n");
		unescaped(line, sizeof(line), at + 5, len);
		const char *policy = "policy: {inspect: inline}\npolicies: {tight: {preset: strict}}\n";
		const char *notify = "notify: {mail: root}\n";
		if (at < rules)
			snprintf(file, sizeof(file), "%spolicy:\n  %s\n", head, line);
		else if (at < named)
			snprintf(file, sizeof(file), "%spolicy:\n  inspect: inline\n  rules:\n    %s\n", head, line);
		else if (at > notices || at < triggers)
			snprintf(file, sizeof(file), "%s%s\n", head, line);
		else
			snprintf(file, sizeof(file), "%s%s%striggers:\n  %s\n", head, policy, notify, line);
		good(file, &m);
		at++;
	}
	assert_true(n > 50);
}

static void tables_are_sane(const struct key *keys)
{
	unsigned n = 0;
	for (const struct key *k = keys; k->name; k++, n++) {
		assert_true(k->min <= k->max || k->type == KEY_PREFIX);
		assert_true(k->type != KEY_WORD || k->words);
		for (const struct key *o = keys; o < k; o++)
			assert_string_not_equal(o->name, k->name);
		if (k->sub)
			tables_are_sane(k->sub);
	}
	assert_in_range(n, 1, KEYS_MAX);
}

static void no_name_twice(void **state)
{
	(void)state;
	tables_are_sane(model_keys);
	for (unsigned i = 0; i < BACKEND_COUNT; i++) {
		const struct key *k = model_keys;
		while (k->type != KEY_HONEYPOTS)
			k++;
		assert_string_equal(k->sub[0].words[i], backend_name(i));
	}
}

static int setup(void **state)
{
	(void)state;
	json_error_t e;
	FILE *f = fopen(man_path, "re");
	enum { CAP = 1 << 18 };
	man = calloc(1, CAP);
	schema = json_load_file(schema_path, JSON_REJECT_DUPLICATES, &e);
	if (!schema || !f || !man)
		return -1;
	size_t n = fread(man, 1, CAP - 1, f);
	fclose(f);
	return n ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(schema);
	free(man);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schema_agrees),
		cmocka_unit_test(man_explains_every_key),
		cmocka_unit_test(examples_in_man_are_good),
		cmocka_unit_test(lines_in_man_are_good),
		cmocka_unit_test(no_name_twice),
	};
	if (argc != 3)
		return 2;
	schema_path = argv[1];
	man_path = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
