#include "readers/workbook.h"

#include "readers/sheet_row.h"
#include "readers/xml.h"

#include <stdio.h>
#include <stdlib.h>

/* Workbook, relationships, styles; of what bloated workbooks have. */
#define PART_MOST_BYTES ((int64_t)32 * 1024 * 1024)
#define SHEETS_MOST 1024
#define RELATIONS_MOST 4096
#define FORMATS_MOST 4096
#define STYLES_MOST 65536
#define PATH_SIZE 256

struct relation {
    const char *id, *target;
    const char *type; /* its last word: "worksheet" */
};

struct sheet {
    const char *name, *relation;
    bool is_visible;
};

struct format {
    unsigned id;
    enum sheet_format kind;
};

/* Everything that the parts say, while they are read. */
struct reading {
    struct package *package;
    struct workbook *workbook;
    struct arena *arena;
    struct xml *xml;
    char main_part[PATH_SIZE];
    struct relation *relations;
    size_t relation_count;
    struct sheet *sheets;
    size_t sheet_count;
    struct format *formats; /* that the file itself declares */
    size_t format_count;
    unsigned char *styles;
    size_t style_count;
    bool in_cell_styles;
};

static bool memory_is_short(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL,
                   "memory is short, or the workbook is bloated");
}

static bool read_part(struct reading *reading, const char *part,
                      const struct xml_handlers *handlers, const char *said_name, struct err *err)
{
    char data[16384];
    int64_t total = 0;
    bool is_fine = false;

    if (!package_open_part(reading->package, part, err))
        return false;
    reading->xml = xml_new(handlers, reading, said_name);
    if (!reading->xml)
        return memory_is_short(err);
    for (;;) {
        long got = package_read(reading->package, data, sizeof(data), err);

        if (got < 0)
            break;
        total += got;
        if (total > PART_MOST_BYTES) {
            err_set(err, ERR_INVALID_ARGUMENT, NULL,
                    "the workbook is not usable: %s is larger than "
                    "32 MB",
                    said_name);
            break;
        }
        if (xml_feed(reading->xml, (struct str){data, (size_t)got}, got == 0, err) == XML_FAILED)
            break;
        if (got == 0) {
            is_fine = true;
            break;
        }
    }
    xml_free(reading->xml);
    package_close_part(reading->package);
    return is_fine;
}

static void stop(struct reading *reading, const char *what, size_t most)
{
    struct err err = {0};

    err_set(&err, ERR_INVALID_ARGUMENT, NULL, "the workbook is not usable: it has more than %zu %s",
            most, what);
    xml_fail(reading->xml, &err);
}

static void on_end(void *context, const char *name)
{
    (void)context, (void)name;
}

/* ---- Relationships ---- */

static void on_relation(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;
    const char *id = xml_attribute(attributes, "Id");
    const char *type = xml_attribute(attributes, "Type");
    const char *target = xml_attribute(attributes, "Target");
    const char *slash = type ? strrchr(type, '/') : NULL;

    if (strcmp(name, "Relationship") || !id || !slash || !target)
        return;
    if (reading->relation_count == RELATIONS_MOST) {
        stop(reading, "relationships in one part", RELATIONS_MOST);
        return;
    }
    reading->relations[reading->relation_count++] = (struct relation){
        .id = arena_strdup(reading->arena, id),
        .target = arena_strdup(reading->arena, target),
        .type = arena_strdup(reading->arena, slash + 1),
    };
}

static const struct relation *relation_of_type(const struct reading *reading, const char *type)
{
    for (size_t i = 0; i < reading->relation_count; i++)
        if (reading->relations[i].type && !strcmp(reading->relations[i].type, type))
            return &reading->relations[i];
    return NULL;
}

static const struct relation *relation_of_id(const struct reading *reading, const char *id)
{
    for (size_t i = 0; i < reading->relation_count; i++)
        if (reading->relations[i].id && !strcmp(reading->relations[i].id, id))
            return &reading->relations[i];
    return NULL;
}

static bool read_relations(struct reading *reading, const char *part, struct err *err)
{
    static const struct xml_handlers handlers = {on_relation, on_end, NULL};

    reading->relation_count = 0;
    return read_part(reading, part, &handlers, "its list of parts", err);
}

/* A target is relative to the folder of the part that it belongs to, or absolute. */
static const char *resolve(const char *target, const char *of_part, struct arena *arena)
{
    const char *slash = strrchr(of_part, '/');
    size_t folder = slash ? (size_t)(slash - of_part) : 0;

    if (*target == '/')
        return target + 1;
    while (!strncmp(target, "../", 3) || !strncmp(target, "./", 2)) {
        bool is_up = target[1] == '.';

        target += is_up ? 3 : 2;
        if (!is_up)
            continue;
        while (folder && of_part[folder - 1] != '/')
            folder--;
        folder -= folder > 0;
    }
    return arena_printf(arena, "%.*s%s%s", (int)folder, of_part, folder ? "/" : "", target);
}

/* ---- The workbook part ---- */

static bool is_true(const char *value)
{
    return value && (!strcmp(value, "1") || !strcmp(value, "true") || !strcmp(value, "on"));
}

static void on_workbook(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;

    if (!strcmp(name, "workbookPr")) {
        reading->workbook->is_1904 = is_true(xml_attribute(attributes, "date1904"));
    } else if (!strcmp(name, "sheet")) {
        const char *sheet_name = xml_attribute(attributes, "name");
        const char *relation = xml_prefixed_attribute(attributes, "id");
        const char *state = xml_attribute(attributes, "state");

        if (!sheet_name || !relation)
            return;
        if (reading->sheet_count == SHEETS_MOST) {
            stop(reading, "sheets", SHEETS_MOST);
            return;
        }
        reading->sheets[reading->sheet_count++] = (struct sheet){
            .name = arena_strdup(reading->arena, sheet_name),
            .relation = arena_strdup(reading->arena, relation),
            .is_visible = !state || !strcmp(state, "visible"),
        };
    }
}

/* A zip that holds no workbook: what it holds. */
static bool is_no_workbook(struct package *package, struct err *err)
{
    static const struct {
        const char *part, *what;
    } kinds[] = {
        {"word/document.xml", "a Word document"},
        {"ppt/presentation.xml", "a presentation"},
        {"xl/workbook.bin", "a binary workbook (.xlsb)"},
        {"EncryptedPackage", "an encrypted workbook"},
        {"content.xml", "an OpenDocument file (.ods)"},
        {"index.xml", "a package of another program"},
        {"Index/Document.iwa", "a Numbers document"},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (package_has(package, kinds[i].part))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the file is %s, which cannot be read: save the list as .xlsx or CSV",
                           kinds[i].what);
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the file is a zip archive that holds no workbook: send the .xlsx or the CSV "
                   "itself");
}

static bool find_main_part(struct reading *reading, struct err *err)
{
    const struct relation *relation = NULL;

    if (package_has(reading->package, "_rels/.rels")) {
        if (!read_relations(reading, "_rels/.rels", err))
            return false;
        relation = relation_of_type(reading, "officeDocument");
    }
    const char *part = relation && relation->target ? resolve(relation->target, "", reading->arena)
                                                    : "xl/workbook.xml";
    size_t length = part ? strlen(part) : 0;

    /* A Word document has such a relation, too. */
    if (!part || length >= PATH_SIZE || strstr(part, "word/") == part ||
        strstr(part, "ppt/") == part || length < 4 || strcmp(part + length - 4, ".xml") ||
        !package_has(reading->package, part))
        return is_no_workbook(reading->package, err);
    memcpy(reading->main_part, part, length + 1);
    return true;
}

static bool read_main_part(struct reading *reading, struct err *err)
{
    static const struct xml_handlers handlers = {on_workbook, on_end, NULL};
    char relations[PATH_SIZE + 16];
    const char *slash = strrchr(reading->main_part, '/');
    int folder = slash ? (int)(slash - reading->main_part) + 1 : 0;

    snprintf(relations, sizeof(relations), "%.*s_rels/%s.rels", folder, reading->main_part,
             reading->main_part + folder);
    return read_part(reading, reading->main_part, &handlers, "its list of sheets", err) &&
           read_relations(reading, relations, err);
}

/* Charts have sheets of their own, which have no cells: they do not count. */
static bool choose_sheet(struct reading *reading, const char *wanted, struct err *err)
{
    const char *names[SHEETS_MOST], *targets[SHEETS_MOST];
    bool is_visible[SHEETS_MOST];
    size_t count = 0, chosen;

    for (size_t i = 0; i < reading->sheet_count; i++) {
        const struct sheet *sheet = &reading->sheets[i];
        const struct relation *relation =
            sheet->relation ? relation_of_id(reading, sheet->relation) : NULL;

        if (!sheet->name || !relation || !relation->target || strcmp(relation->type, "worksheet"))
            continue;
        names[count] = sheet->name;
        targets[count] = relation->target;
        is_visible[count++] = sheet->is_visible;
    }
    if (!count)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the workbook has no sheet with cells");
    if (!sheet_choose(wanted, names, is_visible, count, &chosen, err))
        return false;
    reading->workbook->sheet_name = names[chosen];
    reading->workbook->sheet_part = resolve(targets[chosen], reading->main_part, reading->arena);
    return reading->workbook->sheet_part || memory_is_short(err);
}

/* ---- Styles ---- */

static enum sheet_format format_of(const struct reading *reading, unsigned id)
{
    for (size_t i = 0; i < reading->format_count; i++)
        if (reading->formats[i].id == id)
            return reading->formats[i].kind;
    return sheet_format_built_in(id);
}

static unsigned number_of(const char *text)
{
    return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void on_style(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;

    if (!strcmp(name, "numFmt")) {
        const char *code = xml_attribute(attributes, "formatCode");

        if (reading->format_count == FORMATS_MOST)
            stop(reading, "number formats", FORMATS_MOST);
        else if (code)
            reading->formats[reading->format_count++] = (struct format){
                number_of(xml_attribute(attributes, "numFmtId")), sheet_format_of(str_from(code))};
    } else if (!strcmp(name, "cellXfs")) {
        reading->in_cell_styles = true;
    } else if (!strcmp(name, "xf") && reading->in_cell_styles) {
        if (reading->style_count == STYLES_MOST)
            stop(reading, "cell styles", STYLES_MOST);
        else
            reading->styles[reading->style_count++] =
                (unsigned char)format_of(reading, number_of(xml_attribute(attributes, "numFmtId")));
    }
}

static void on_style_end(void *context, const char *name)
{
    struct reading *reading = context;

    if (!strcmp(name, "cellXfs"))
        reading->in_cell_styles = false;
}

static bool read_styles(struct reading *reading, struct err *err)
{
    static const struct xml_handlers handlers = {on_style, on_style_end, NULL};
    const struct relation *relation = relation_of_type(reading, "styles");
    const char *part = relation && relation->target
                           ? resolve(relation->target, reading->main_part, reading->arena)
                           : NULL;

    /* Without styles every number is a number. */
    if (!part || !package_has(reading->package, part))
        return true;
    return read_part(reading, part, &handlers, "its list of styles", err);
}

/* ---- All of it ---- */

bool workbook_read(struct workbook *workbook, struct package *package, const char *wanted_sheet,
                   struct arena *arena, struct err *err)
{
    struct reading reading = {
        .package = package,
        .workbook = workbook,
        .arena = arena,
        .relations = ARENA_ARRAY(arena, struct relation, RELATIONS_MOST),
        .sheets = ARENA_ARRAY(arena, struct sheet, SHEETS_MOST),
        .formats = ARENA_ARRAY(arena, struct format, FORMATS_MOST),
        .styles = ARENA_ARRAY(arena, unsigned char, STYLES_MOST),
    };

    if (arena_is_exhausted(arena))
        return memory_is_short(err);
    if (!find_main_part(&reading, err) || !read_main_part(&reading, err) ||
        !choose_sheet(&reading, wanted_sheet, err) || !read_styles(&reading, err))
        return false;
    const struct relation *strings = relation_of_type(&reading, "sharedStrings");

    if (strings && strings->target) {
        workbook->strings_part = resolve(strings->target, reading.main_part, arena);
        if (workbook->strings_part && !package_has(package, workbook->strings_part))
            workbook->strings_part = NULL;
    }
    workbook->formats = reading.styles;
    workbook->format_count = reading.style_count;
    return !arena_is_exhausted(arena) || memory_is_short(err);
}
