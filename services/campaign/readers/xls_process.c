/* dialplane-xls: reads an .xls workbook on standard input with libfreexl and writes the rows of one
 * sheet to standard output (xls_protocol.h). The only argument is the sheet that is wanted, empty
 * for the first visible one. Started by xls.c; it limits itself before it looks at a byte. */
#include "readers/ole.h"
#include "readers/sheet_row.h"
#include "readers/sheet_value.h"
#include "readers/xls_protocol.h"

#include <fcntl.h>
#include <freexl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT "/proc/self/fd/0"
#define MEMORY_MOST ((rlim_t)768 * 1024 * 1024)
#define CPU_SECONDS_MOST 60

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true /* its shadow is larger than any limit */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER true
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER false
#endif

static void limit(int resource, rlim_t most)
{
    const struct rlimit both = {most, most};

    if (setrlimit(resource, &both))
        _exit(2);
}

static void limit_everything(void)
{
    if (!HAS_SANITIZER)
        limit(RLIMIT_AS, MEMORY_MOST);
    limit(RLIMIT_CPU, CPU_SECONDS_MOST);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0); /* a pipe is no file */
    limit(RLIMIT_NOFILE, 16);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _exit(2);
}

static void put(const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size)
        _exit(1); /* nobody reads any more */
}

static void put_frame(enum xls_kind kind, struct str body)
{
    const struct xls_frame frame = {kind, (uint32_t)body.length};

    put(&frame, sizeof(frame));
    put(body.data, body.length);
}

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int refuse(const char *format, ...)
{
    char sentence[380];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    put_frame(XLS_ERROR, str_from(sentence));
    fflush(stdout);
    return 0;
}

/* ---- Cells ---- */

/* libfreexl has made "2026-09-04 10:20:30" of a date with a time. */
static struct str date_text(const char *text, char out[SHEET_VALUE_SIZE])
{
    size_t length = strlen(text);

    if (length >= SHEET_VALUE_SIZE)
        return str_from(text);
    memcpy(out, text, length + 1);
    if (length > 10 && out[10] == ' ')
        out[10] = 'T';
    return (struct str){out, length};
}

static struct str cell_text(const FreeXL_CellValue *cell, char out[SHEET_VALUE_SIZE])
{
    switch (cell->type) {
    case FREEXL_CELL_INT:
        return (struct str){out, sheet_print_number(cell->value.int_value, out)};
    case FREEXL_CELL_DOUBLE:
        return (struct str){out, sheet_print_number(cell->value.double_value, out)};
    case FREEXL_CELL_TEXT:
    case FREEXL_CELL_SST_TEXT:
    case FREEXL_CELL_TIME:
        return str_from(cell->value.text_value);
    case FREEXL_CELL_DATE:
    case FREEXL_CELL_DATETIME:
        return cell->value.text_value ? date_text(cell->value.text_value, out) : (struct str){0};
    default:
        return (struct str){0};
    }
}

static void put_row(const void *workbook, unsigned row, unsigned columns, struct buf *body)
{
    const struct xls_row head = {row + 1};
    bool has_cells = false;

    buf_reset(body);
    buf_put(body, &head, sizeof(head));
    for (unsigned i = 0; i < columns && i < XLS_COLUMNS_MOST; i++) {
        FreeXL_CellValue value = {.type = FREEXL_CELL_NULL};
        char printed[SHEET_VALUE_SIZE];

        if (freexl_get_cell_value(workbook, row, (unsigned short)i, &value) != FREEXL_OK)
            continue;
        struct str text = cell_text(&value, printed);

        if (!text.length)
            continue;
        /* Cut where the reader cuts: it says so. */
        if (text.length > LIST_CELL_LIMIT_BYTES)
            text.length = LIST_CELL_LIMIT_BYTES + 1;
        if (body->length + sizeof(struct xls_cell) + text.length > XLS_FRAME_MOST)
            break;
        const struct xls_cell cell = {i, (uint32_t)text.length};

        buf_put(body, &cell, sizeof(cell));
        buf_put_str(body, text);
        has_cells = true;
    }
    if (has_cells && !body->failed)
        put_frame(XLS_ROW, buf_str(body));
}

/* ---- The workbook ---- */

static bool look(struct ole_facts *facts)
{
    struct stat stat;
    void *data;

    if (fstat(STDIN_FILENO, &stat) || stat.st_size <= 0)
        return false;
    data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    if (data == MAP_FAILED)
        return false;
    ole_look(data, (size_t)stat.st_size, facts);
    munmap(data, (size_t)stat.st_size);
    return true;
}

static const char *what_it_is(enum ole_kind kind)
{
    switch (kind) {
    case OLE_ENCRYPTED:
        return "the workbook is encrypted: save it without a password";
    case OLE_WORD:
        return "the file is a Word document, which cannot be read: save the list as .xlsx or CSV";
    case OLE_POWERPOINT:
        return "the file is a presentation, which cannot be read: save the list as .xlsx or CSV";
    case OLE_UNKNOWN:
    case OLE_WORKBOOK:
        break;
    }
    return NULL;
}

static bool choose(const void *workbook, const char *wanted, const struct ole_facts *facts,
                   unsigned *ret_sheet, struct err *err)
{
    const char *names[OLE_SHEETS_MOST];
    bool is_visible[OLE_SHEETS_MOST];
    unsigned count = 0;
    size_t chosen;

    freexl_get_info(workbook, FREEXL_BIFF_SHEET_COUNT, &count);
    if (count > OLE_SHEETS_MOST)
        count = OLE_SHEETS_MOST;
    for (unsigned i = 0; i < count; i++) {
        if (freexl_get_worksheet_name(workbook, (unsigned short)i, &names[i]) != FREEXL_OK ||
            !names[i])
            names[i] = "";
        /* BIFF versions before 5 have one sheet and no list of them. */
        is_visible[i] = facts->sheet_count != count || facts->is_visible[i];
    }
    if (!count)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the .xls file has no sheet, so it is damaged: save the list as .xlsx or "
                       "CSV");
    if (!sheet_choose(wanted, names, is_visible, count, &chosen, err))
        return false;
    *ret_sheet = (unsigned)chosen;
    put_frame(XLS_SHEET, str_from(names[chosen]));
    return true;
}

static int read_workbook(const void *workbook, const char *wanted, const struct ole_facts *facts)
{
    unsigned sheet = 0, password = 0, rows = 0;
    unsigned short columns = 0;
    struct err err = {0};
    struct buf body;

    freexl_get_info(workbook, FREEXL_BIFF_PASSWORD, &password);
    if (password == FREEXL_BIFF_OBFUSCATED)
        return refuse("%s", what_it_is(OLE_ENCRYPTED));
    if (!choose(workbook, wanted, facts, &sheet, &err))
        return refuse("%s", err.message);
    if (freexl_select_active_worksheet(workbook, (unsigned short)sheet) != FREEXL_OK ||
        freexl_worksheet_dimensions(workbook, &rows, &columns) != FREEXL_OK)
        return refuse("the .xls file is damaged: save the list as .xlsx or CSV");
    buf_init(&body, XLS_FRAME_MOST);
    for (unsigned row = 0; row < rows; row++)
        put_row(workbook, row, columns, &body);
    buf_done(&body);
    put_frame(XLS_END, (struct str){"", 0});
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    const char *wanted = argc == 2 && *argv[1] ? argv[1] : NULL;
    const void *workbook = NULL;
    struct ole_facts facts = {.kind = OLE_UNKNOWN};

    limit_everything();
    if (!look(&facts))
        return refuse("the .xls file is empty");
    if (what_it_is(facts.kind))
        return refuse("%s", what_it_is(facts.kind));
    int result = freexl_open(INPUT, &workbook);

    if (result == FREEXL_INSUFFICIENT_MEMORY)
        result = refuse("the .xls file is larger than can be read: save the list as .xlsx or CSV");
    else if (result != FREEXL_OK)
        result = refuse("the .xls file is damaged or no workbook (libfreexl: %d): save the list as "
                        ".xlsx or CSV",
                        result);
    else
        result = read_workbook(workbook, wanted, &facts);
    if (workbook)
        freexl_close(workbook);
    return result;
}
