/* server/config/text.c -- writes a configuration, and the manual of all options, from the rows. */
#include <inttypes.h>
#include <string.h>

#include "server/config/table.h"

#define VALUE_MAX 2048 /* the longest value: a list of CONFIG_UIDS_MAX ids, or a quoted path */

static void dump_group(const struct option_group *group, const void *base, const char *indent, FILE *out)
{
    char value[VALUE_MAX];
    for (size_t i = 0; i < group->nrows; i++) {
        const struct option_row *row = &group->rows[i];
        const uint8_t *member = (const uint8_t *)base + row->offset;
        bool empty = (row->kind == KIND_TEXT && *member == 0) ||
                     (row->kind == KIND_UIDS && ((const struct config_uids *)(const void *)member)->count == 0);
        if (empty) continue;
        config_format_value(row, base, value, sizeof value);
        fprintf(out, "%s%s = %s;\n", indent, row->name, value);
    }
}

static void dump_socket(const struct socket_options *socket, const char *indent, FILE *out)
{
    char inner[16];
    snprintf(inner, sizeof inner, "%s    ", indent);
    fprintf(out, "%ssocket = {\n", indent);
    dump_group(&config_socket_group, socket, inner, out);
    fprintf(out, "%s};\n", indent);
}

static void dump_tenant(const struct tenant_config *tenant, FILE *out)
{
    fputs("    {\n", out);
    dump_group(&config_tenant_group, tenant, "        ", out);
    if (tenant->has_socket) dump_socket(&tenant->socket, "        ", out);
    fputs("        limits = {\n", out);
    dump_group(&config_limits_group, &tenant->limits, "            ", out);
    fputs("        };\n    }", out);
}

void config_dump(const struct config *config, FILE *out)
{
    dump_group(&config_daemon_group, &config->options, "", out);
    if (config->socket.path[0] != 0) dump_socket(&config->socket, "", out);
    fputs("limits = {\n", out);
    dump_group(&config_limits_group, &config->limits, "    ", out);
    fputs("};\ntenants = (\n", out);
    for (size_t i = 0; i < config->ntenants; i++) {
        dump_tenant(&config->tenants[i], out);
        fputs(i + 1 < config->ntenants ? ",\n" : "\n", out);
    }
    fputs(");\n", out);
}

static void docs_row(const struct option_row *row, FILE *out)
{
    static const char *const kinds[] = {
        [KIND_SIZE] = "size",   [KIND_DURATION] = "time", [KIND_COUNT] = "number", [KIND_LEVEL] = "word",
        [KIND_FORMAT] = "word", [KIND_NEED] = "word",     [KIND_SWITCH] = "word",  [KIND_TEXT] = "string",
        [KIND_MODE] = "mode",   [KIND_UIDS] = "list",
    };
    char def[64], min[64], max[64];
    config_format_number(row->kind, row->min, min, sizeof min);
    config_format_number(row->kind, row->max, max, sizeof max);
    fprintf(out, "| `%s` | %s | ", row->name, kinds[row->kind]);
    if (row->kind == KIND_TEXT) {
        fprintf(out, "%s | %" PRIu64 "–%" PRIu64 " bytes", row->min > 0 ? "required" : "empty", row->min, row->max);
    } else if (row->kind == KIND_UIDS) {
        fprintf(out, "empty | 1–%d users", CONFIG_UIDS_MAX);
    } else if (config_words(row->kind) != NULL) {
        const char *const *words = config_words(row->kind);
        fprintf(out, "%s | ", words[row->def]);
        for (size_t i = 0; words[i] != NULL; i++) fprintf(out, "%s%s", i == 0 ? "" : ", ", words[i]);
    } else {
        config_format_number(row->kind, row->def, def, sizeof def);
        fprintf(out, "%s | %s–%s", def, min, max);
    }
    fprintf(out, " | %s |\n", row->doc);
}

static void docs_group(const struct option_group *group, const char *heading, const char *text, FILE *out)
{
    fprintf(out, "\n## %s\n\n%s\n\n| option | kind | default | range | meaning |\n|---|---|---|---|---|\n", heading,
            text);
    for (size_t i = 0; i < group->nrows; i++) docs_row(&group->rows[i], out);
}

void config_docs(FILE *out)
{
    fputs(
        "# The configuration of hemid\n\n"
        "`hemid --config FILE` reads a file in [libconfig](https://hyperrealm.github.io/libconfig/)'s grammar: "
        "`name = value;`, groups in `{}`,\nlists in `()`, arrays in `[]`, `#` comments, `@include \"FILE\"`. "
        "An unknown key or a bad value is an error that names file,\nline and key; the exit status is then 2. "
        "`hemid --check-config FILE` only checks (not what may be made "
        "before the start, such as a socket's directory), `hemid --dump-config` prints every option\nin force, in the "
        "file's own format. This page is generated from the table that the daemon itself uses\n"
        "(`hemid --config-docs`).\n\n"
        "Sizes are `\"64MiB\"` (B, KiB, MiB, GiB) or a number of bytes; times are `\"30s\"` (ms, s, m, h) or a "
        "number of seconds.\n\n"
        "Without a file there is one socket (`--socket`, else `$HEMI_SOCKET`, else "
        "`$XDG_RUNTIME_DIR/hemi/hemi.sock`, else\n`/run/hemi/hemi.sock`) and one tenant, `default`: the "
        "user that runs the daemon.\nA file whose tenants need the shared socket and that has no `socket` "
        "gets the same one, which is open to the daemon's\nuser only (mode 0600).\n\n"
        "```\n"
        "log_level = \"info\";\n"
        "limits = { memory = \"1GiB\"; };            # of tenants that do not say otherwise\n"
        "socket = { path = \"/run/hemi/hemi.sock\"; mode = \"0666\"; };\n"
        "tenants = (\n"
        "    { name = \"alpha\"; socket = { path = \"/run/hemi/alpha.sock\"; mode = \"0660\"; group = \"alpha\"; }; "
        "},\n"
        "    { name = \"beta\"; token_file = \"/etc/hemi/beta.token\"; },\n"
        "    { name = \"gamma\"; uids = [1000]; limits = { memory = \"256MiB\"; }; }\n"
        ");\n"
        "```\n\n"
        "A tenant is known by exactly one of `socket` (whoever may connect to that socket is the tenant), "
        "`token_file` and `uids`;\nthe last two use the shared `socket`. A token has 16 to 256 bytes, the last "
        "of them no\ncarriage return; one newline at its file's end is not of it. The file must be root's or the "
        "daemon's, with no access\nfor anybody else (`chmod go=`), as ssh asks of keys. The configuration, what it "
        "includes (16 MiB\ntogether) and tokens are regular files. A user id counts only for processes that the kernel "
        "can name in the "
        "daemon's own namespaces: the overflow uid "
        "(65534, `/proc/sys/kernel/overflowuid`) and peers from another pid\nnamespace are nobody. Process ids "
        "identify nobody.\n\n"
        "SIGHUP reads the file again. Options of the daemon, limits and tokens may change (limits apply to workers "
        "that start\nafterwards); a change of tenants, user ids or sockets is refused with a line in the log and "
        "needs a restart.\n",
        out);
    docs_group(&config_daemon_group, "The daemon", "At the top level of the file.", out);
    docs_group(&config_socket_group, "`socket`", "At the top level: the shared socket. In a tenant: its own.", out);
    docs_group(&config_tenant_group, "`tenants`", "A list of groups; each may also have `socket` and `limits`.", out);
    docs_group(&config_limits_group, "`limits`",
               "At the top level: what tenants have that do not say otherwise. In a tenant: what it may use.", out);
}
