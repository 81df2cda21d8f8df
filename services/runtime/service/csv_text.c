#include "service/csv_text.h"

#include <string.h>

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* [+-]digits[.digits] */
static bool is_plain_number(struct str cell)
{
    size_t at = cell.data[0] == '+' || cell.data[0] == '-' ? 1 : 0;
    size_t digits = at;

    while (at < cell.length && is_digit(cell.data[at]))
        at++;
    if (at == digits)
        return false;
    if (at == cell.length)
        return true;
    if (cell.data[at] != '.' && cell.data[at] != ',')
        return false;
    digits = ++at;
    while (at < cell.length && is_digit(cell.data[at]))
        at++;
    return at > digits && at == cell.length;
}

static bool may_be_formula(struct str cell)
{
    /* U+FF1D ＝, U+FF0B ＋, U+FF0D －, U+FF20 ＠ */
    static const char *const wide[] = {"\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D",
                                       "\xEF\xBC\xA0"};

    if (!cell.length)
        return false;
    if (cell.data[0] && strchr("=+-@\t\r\n", cell.data[0]))
        return !is_plain_number(cell);
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if (cell.length >= 3 && !memcmp(cell.data, wide[i], 3))
            return true;
    return false;
}

static bool needs_quotes(struct str cell)
{
    for (size_t i = 0; i < cell.length; i++)
        if (cell.data[i] && strchr("\",;\t\r\n", cell.data[i]))
            return true;
    return cell.length && (cell.data[0] == ' ' || cell.data[cell.length - 1] == ' ');
}

void csv_put_cell(struct buf *out, struct str cell, bool *is_first)
{
    bool quotes = needs_quotes(cell);
    size_t plain = 0;

    if (!*is_first)
        buf_put_char(out, ',');
    *is_first = false;
    if (quotes)
        buf_put_char(out, '"');
    if (may_be_formula(cell))
        buf_put_char(out, '\'');
    for (size_t i = 0; i < cell.length; i++) {
        if (cell.data[i] && cell.data[i] != '"')
            continue;
        buf_put(out, cell.data + plain, i - plain);
        if (cell.data[i])
            buf_put(out, "\"\"", 2);
        plain = i + 1;
    }
    buf_put(out, cell.data + plain, cell.length - plain);
    if (quotes)
        buf_put_char(out, '"');
}

void csv_put_cells(struct buf *out, const char *const *cells, size_t count)
{
    bool is_first = true;

    for (size_t i = 0; i < count; i++)
        csv_put_cell(out, str_from(cells[i]), &is_first);
}

void csv_put_line_end(struct buf *out)
{
    buf_put(out, "\r\n", 2);
}
