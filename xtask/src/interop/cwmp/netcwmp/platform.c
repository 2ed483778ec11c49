/*
 * The platform under netcwmp, as whoever builds a device with it writes one: parameters, the rows of its table,
 * and the fetching of files. The protocol is netcwmp's. Compiled in the place of its sample data model.
 *
 * Settings of the daemon itself are in its configuration file, everything else is in /etc/values: a line
 * "name=value" each. The rows of port mappings are in /etc/rows: the last number that was given away, then
 * those that are there.
 */
#include "cwmp/model.h"
#include "cwmp_module.h"
#include "data_model.h"

#define VALUES "/etc/values"
#define ROWS "/etc/rows"
#define ROWS_MAX 64
#define LINE_MAX_BYTES 1024

/* Parameters that are settings of the daemon, by the ends of their names. */
static const struct { const char *name, *key; } settings[] = {
    {".DeviceInfo.Manufacturer", "cwmp:cpe_manufacture"},
    {".DeviceInfo.ManufacturerOUI", "cwmp:cpe_oui"},
    {".DeviceInfo.ProductClass", "cwmp:cpe_pc"},
    {".DeviceInfo.SerialNumber", "cwmp:cpe_sn"},
    {".DeviceInfo.SpecVersion", "cwmp:cpe_specver"},
    {".DeviceInfo.HardwareVersion", "cwmp:cpe_hwver"},
    {".DeviceInfo.SoftwareVersion", "cwmp:cpe_version"},
    {".ManagementServer.URL", "cwmp:acs_url"},
    {".ManagementServer.Username", "cwmp:acs_username"},
    {".ManagementServer.Password", "cwmp:acs_password"},
    {".ManagementServer.ConnectionRequestUsername", "cwmp:cpe_username"},
    {".ManagementServer.ConnectionRequestPassword", "cwmp:cpe_password"},
};

static const char *setting(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        size_t end = strlen(settings[i].name);
        if (length > end && strcmp(name + length - end, settings[i].name) == 0)
            return settings[i].key;
    }
    return NULL;
}

/* The value of the line of this name, in `value`; whether there is one. */
static int look_up(const char *name, char *value)
{
    char line[LINE_MAX_BYTES];
    size_t length = strlen(name);
    int found = 0;
    FILE *file = fopen(VALUES, "r");
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        found = strncmp(line, name, length) == 0 && line[length] == '=';
    }
    if (file)
        fclose(file);
    strcpy(value, found ? line + length + 1 : "");
    return found;
}

static int platform_get(cwmp_t *cwmp, const char *name, char **value, pool_t *pool)
{
    char found[LINE_MAX_BYTES], of_new[LINE_MAX_BYTES];
    const char *key = setting(name), *table = strstr(name, ".PortMapping."), *dot;
    if (key) {
        *value = cwmp_conf_pool_get(pool, key);
        return FAULT_CODE_OK;
    }
    /* What was never set has the value that every new row has. */
    if (!look_up(name, found) && table && (dot = strchr(table + 13, '.'))) {
        snprintf(of_new, sizeof of_new, "PortMapping.{i}%s", dot);
        look_up(of_new, found);
    }
    /* netcwmp sends what lies behind an empty text; without any it sends nothing, which is right. */
    *value = *found ? pool_pstrdup(pool, found) : NULL;
    return FAULT_CODE_OK;
}

static int platform_set(cwmp_t *cwmp, const char *name, const char *value, int length, callback_register_func_t later)
{
    char line[LINE_MAX_BYTES];
    const char *key = setting(name);
    size_t end = strlen(name);
    FILE *old, *new;
    if (!value)
        value = "";
    if (key) {
        cwmp_conf_set(key, value);
        /* The next session uses them; this one has its own copies. */
        if (strcmp(key, "cwmp:acs_username") == 0)
            cwmp->acs_user = strdup(value);
        if (strcmp(key, "cwmp:acs_password") == 0)
            cwmp->acs_pwd = strdup(value);
        return FAULT_CODE_OK;
    }
    if (end + strlen(value) + 2 >= sizeof line || strchr(value, '\n'))
        return FAULT_CODE_9007;
    old = fopen(VALUES, "r");
    new = fopen(VALUES ".new", "w");
    if (!new)
        return FAULT_CODE_9002;
    while (old && fgets(line, sizeof line, old))
        if (strncmp(line, name, end) != 0 || line[end] != '=')
            fputs(line, new);
    fprintf(new, "%s=%s\n", name, value);
    if (old)
        fclose(old);
    fclose(new);
    rename(VALUES ".new", VALUES);
    return FAULT_CODE_OK;
}

struct rows { int last, count, numbers[ROWS_MAX]; };

static void rows_read(struct rows *rows)
{
    FILE *file = fopen(ROWS, "r");
    memset(rows, 0, sizeof *rows);
    if (file && fscanf(file, "%d", &rows->last) == 1)
        while (rows->count < ROWS_MAX && fscanf(file, "%d", &rows->numbers[rows->count]) == 1)
            rows->count++;
    if (file)
        fclose(file);
}

static void rows_write(const struct rows *rows)
{
    FILE *file = fopen(ROWS ".new", "w");
    if (!file)
        return;
    fprintf(file, "%d", rows->last);
    for (int i = 0; i < rows->count; i++)
        fprintf(file, " %d", rows->numbers[i]);
    fclose(file);
    rename(ROWS ".new", ROWS);
}

static int platform_add(cwmp_t *cwmp, parameter_node_t *table, int *number, callback_register_func_t later)
{
    struct rows rows;
    parameter_node_t *row;
    rows_read(&rows);
    if (rows.count >= ROWS_MAX)
        return FAULT_CODE_9004;
    *number = rows.numbers[rows.count++] = ++rows.last;
    if (cwmp_model_copy_parameter(table, &row, *number) != CWMP_OK)
        return FAULT_CODE_9002;
    rows_write(&rows);
    return FAULT_CODE_OK;
}

static int platform_delete(cwmp_t *cwmp, parameter_node_t *row, int number, callback_register_func_t later)
{
    struct rows rows;
    int kept = 0;
    rows_read(&rows);
    for (int i = 0; i < rows.count; i++)
        if (rows.numbers[i] != number)
            rows.numbers[kept++] = rows.numbers[i];
    rows.count = kept;
    rows_write(&rows);
    /* Out of the list, and not freed: netcwmp's own function goes on through what it has freed. */
    for (parameter_node_t *before = row->parent->child; before; before = before->next_sibling)
        if (before->next_sibling == row) {
            before->next_sibling = row->next_sibling;
            break;
        }
    return FAULT_CODE_OK;
}

/* Makes the rows that are in the flash, once for each start. */
static int platform_refresh(cwmp_t *cwmp, parameter_node_t *table, callback_register_func_t later)
{
    struct rows rows;
    parameter_node_t *row;
    if (!table->child || table->child->next_sibling)
        return FAULT_CODE_OK;
    rows_read(&rows);
    for (int i = 0; i < rows.count; i++)
        cwmp_model_copy_parameter(table, &row, rows.numbers[i]);
    return FAULT_CODE_OK;
}

static model_func_t functions[] = {
    {"get", platform_get},
    {"set", platform_set},
    {"add", platform_add},
    {"delete", platform_delete},
    {"refresh", platform_refresh},
};

void cwmp_model_load(cwmp_t *cwmp, const char *file)
{
    cwmp_model_load_xml(cwmp, file, functions, sizeof functions / sizeof *functions);
}

/*
 * Linked in the place of netcwmp's own function (--wrap), which gives the HTTP status back while its caller takes
 * everything but 0 for a failure. The platform fetches the file and "flashes" it: its first line is the version.
 */
#define IMAGE "/etc/image"

int __wrap_http_receive_file(const char *url, const char *into)
{
    char quoted[LINE_MAX_BYTES], command[2 * LINE_MAX_BYTES], version[64] = "";
    size_t length = 0;
    FILE *file;
    for (const char *c = url; *c && length + 1 < sizeof quoted; c++)
        if (*c != '\'')
            quoted[length++] = *c;
    quoted[length] = 0;
    snprintf(command, sizeof command, "curl -fsS -o " IMAGE " '%s'", quoted);
    if (system(command) != 0)
        return CWMP_ERROR;
    file = fopen(IMAGE, "r");
    if (file && fgets(version, sizeof version, file)) {
        version[strcspn(version, "\r\n")] = 0;
        cwmp_conf_set("cwmp:cpe_version", version);
    }
    if (file)
        fclose(file);
    return *version ? CWMP_OK : CWMP_ERROR;
}
