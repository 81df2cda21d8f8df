#include "readers/charset.h"

#include "base/buf.h"
#include "base/json_escape.h"
#include "readers/charset_guess.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#define START_BYTES ((size_t)1024)
#define WINDOW_BYTES ((size_t)64 * 1024)

/* Only these: iconv knows hundreds, some with state and a history of holes, and none of those is
 * what a spreadsheet saves. */
static const struct {
    const char *name; /* IANA's */
    const char *aliases[3];
    const char *iconv_name; /* glibc's; NULL: the name */
} known[] = {
    {"utf-8", {"utf8"}, NULL},
    {"utf-16", {"utf16", "unicode"}, NULL},
    {"utf-16le", {0}, NULL},
    {"utf-16be", {0}, NULL},
    {"windows-1251", {"cp1251", "1251"}, "CP1251"},
    {"windows-1250", {"cp1250", "1250"}, "CP1250"},
    {"windows-1252", {"cp1252", "1252"}, "CP1252"},
    {"windows-1253", {"cp1253", "1253"}, "CP1253"},
    {"windows-1254", {"cp1254", "1254"}, "CP1254"},
    {"windows-1255", {"cp1255", "1255"}, "CP1255"},
    {"windows-1256", {"cp1256", "1256"}, "CP1256"},
    {"windows-1257", {"cp1257", "1257"}, "CP1257"},
    {"windows-1258", {"cp1258", "1258"}, "CP1258"},
    {"koi8-r", {"koi8r"}, "KOI8-R"},
    {"koi8-u", {"koi8u"}, "KOI8-U"},
    {"ibm866", {"cp866", "866"}, "CP866"},
    {"iso-8859-1", {"latin1", "iso8859-1"}, "ISO-8859-1"},
    {"iso-8859-2", {"latin2", "iso8859-2"}, "ISO-8859-2"},
    {"iso-8859-5", {"iso8859-5"}, "ISO-8859-5"},
    {"iso-8859-7", {"iso8859-7"}, "ISO-8859-7"},
    {"iso-8859-9", {"latin5", "iso8859-9"}, "ISO-8859-9"},
    {"iso-8859-15", {"latin9", "iso8859-15"}, "ISO-8859-15"},
    {"macintosh", {"macroman"}, "MACINTOSH"},
    {"x-mac-cyrillic", {"maccyrillic"}, "MAC-CYRILLIC"},
    {"shift_jis", {"sjis", "shift-jis"}, "CP932"},
    {"euc-jp", {"eucjp"}, "EUC-JP"},
    {"gbk", {"gb2312", "cp936"}, "GBK"},
    {"gb18030", {0}, "GB18030"},
    {"big5", {"cp950"}, "BIG5"},
    {"euc-kr", {"cp949"}, "UHC"},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

enum { UTF_8, UTF_16, UTF_16LE, UTF_16BE, WINDOWS_1251 };

enum state { AT_START, ASCII_SO_FAR, PLAIN, CONVERTING };

struct charset {
    size_t said; /* index in known; KNOWN: nothing */
    enum state state;
    const char *name; /* while converting */
    iconv_t iconv;
    size_t unit;      /* bytes of the smallest character: skipped when it is none */
    struct buf carry; /* taken and not given yet */
    bool carry_given; /* it is what the last call gave */
    char before;      /* the last byte that was passed on while all were ASCII; 0: none */
    char out[WINDOW_BYTES];
};

static size_t find(const char *name)
{
    struct str wanted = str_from(name);

    for (size_t i = 0; i < KNOWN; i++) {
        if (str_equal_ignore_case(wanted, str_from(known[i].name)))
            return i;
        for (size_t a = 0; a < 3 && known[i].aliases[a]; a++)
            if (str_equal_ignore_case(wanted, str_from(known[i].aliases[a])))
                return i;
    }
    return KNOWN;
}

bool charset_is_known(const char *name)
{
    return find(name) < KNOWN;
}

struct charset *charset_new(const char *said, struct err *err)
{
    struct charset *charset = calloc(1, sizeof(*charset));

    if (!charset) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    charset->said = said ? find(said) : KNOWN;
    charset->iconv = (iconv_t)-1;
    buf_init(&charset->carry, 2 * WINDOW_BYTES);
    return charset;
}

void charset_free(struct charset *charset)
{
    if (!charset)
        return;
    if (charset->iconv != (iconv_t)-1)
        iconv_close(charset->iconv);
    buf_done(&charset->carry);
    free(charset);
}

const char *charset_converts_from(const struct charset *charset)
{
    return charset->state == CONVERTING ? charset->name : NULL;
}

const char *charset_name(const struct charset *charset)
{
    if (charset->state == CONVERTING)
        return charset->name;
    if (charset->state == ASCII_SO_FAR && charset->said < KNOWN)
        return known[charset->said].name;
    return charset->state == AT_START ? NULL : known[UTF_8].name;
}

/* ---- Decisions ---- */

static bool convert_from(struct charset *charset, size_t which, struct err *err)
{
    const char *name = known[which].iconv_name ? known[which].iconv_name : known[which].name;

    charset->iconv = iconv_open("UTF-8", name);
    if (charset->iconv == (iconv_t)-1)
        return err_set(err, ERR_INTERNAL, NULL, "this server cannot convert from %s",
                       known[which].name);
    charset->name = known[which].name;
    charset->unit = which == UTF_16LE || which == UTF_16BE ? 2 : 1;
    charset->state = CONVERTING;
    return true;
}

static bool contradiction(const struct charset *charset, const char *found, struct err *err)
{
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "charset says %s, but the file is %s: leave charset out, or name the right one",
                   known[charset->said].name, found);
}

static bool said_utf_16(const struct charset *charset, size_t which)
{
    return charset->said == UTF_16 || charset->said == which;
}

/* A byte-order mark decides, and is dropped. */
static bool take_mark(struct charset *charset, bool *ret_is_decided, struct err *err)
{
    const char *data = charset->carry.data;
    size_t length = charset->carry.length;
    bool is_said = charset->said < KNOWN;

    *ret_is_decided = true;
    if (length >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3)) {
        if (is_said && charset->said != UTF_8)
            return contradiction(charset, "in UTF-8 (by the mark it begins with)", err);
        buf_consume(&charset->carry, 3);
        charset->state = PLAIN;
        return true;
    }
    if (length >= 2 && (!memcmp(data, "\xFF\xFE", 2) || !memcmp(data, "\xFE\xFF", 2))) {
        size_t which = data[0] == '\xFF' ? UTF_16LE : UTF_16BE;

        if (is_said && !said_utf_16(charset, which))
            return contradiction(charset, "in UTF-16 (by the mark it begins with)", err);
        buf_consume(&charset->carry, 2);
        return convert_from(charset, which, err);
    }
    *ret_is_decided = false;
    return true;
}

static bool decide_start(struct charset *charset, struct err *err)
{
    struct str start = buf_str(&charset->carry);
    bool is_decided;

    if (!take_mark(charset, &is_decided, err))
        return false;
    if (is_decided)
        return true;
    enum utf_16_order order = charset_guess_utf_16(start);

    if (charset->said == KNOWN) {
        charset->state = ASCII_SO_FAR;
        return order == UTF_16_NONE ||
               convert_from(charset, order == UTF_16_LITTLE ? UTF_16LE : UTF_16BE, err);
    }
    if (charset->said == UTF_8) {
        charset->state = PLAIN;
        return order == UTF_16_NONE || contradiction(charset, "in UTF-16", err);
    }
    if (charset->said <= UTF_16BE) {
        if (order == UTF_16_NONE && start.length && charset_is_ascii(start))
            return contradiction(charset, "not: it has no zeros between its letters", err);
        return convert_from(charset,
                            charset->said != UTF_16 ? charset->said
                            : order == UTF_16_BIG   ? UTF_16BE
                                                    : UTF_16LE,
                            err);
    }
    charset->state = ASCII_SO_FAR;
    return true;
}

/* The carry begins with the first byte that is not ASCII. */
static bool decide_window(struct charset *charset, bool is_end, struct err *err)
{
    struct str window = buf_str(&charset->carry);
    struct utf_8_counts counts = charset_count_utf_8(window, is_end);

    if (charset->said < KNOWN) {
        /* Text in another charset that is valid UTF-8 by accident is next to impossible. */
        if (!counts.bad && counts.good >= 4)
            return contradiction(charset, "in UTF-8", err);
        return convert_from(charset, charset->said, err);
    }
    if (counts.bad > counts.good && charset_looks_like_windows_1251(charset->before, window))
        return convert_from(charset, WINDOWS_1251, err);
    charset->state = PLAIN;
    return true;
}

/* ---- Bytes ---- */

/* Moves bytes from `in` until the carry has `wanted`. True: it has, or nothing follows. */
static bool gather(struct charset *charset, struct str *in, size_t wanted, bool is_end)
{
    size_t missing = wanted > charset->carry.length ? wanted - charset->carry.length : 0;
    size_t size = missing < in->length ? missing : in->length;

    if (size)
        buf_put(&charset->carry, in->data, size);
    *in = str_after(*in, size);
    return charset->carry.length >= wanted || (is_end && !in->length);
}

static enum charset_result give_carry(struct charset *charset, struct str *ret_text)
{
    *ret_text = buf_str(&charset->carry);
    charset->carry_given = true;
    return CHARSET_TEXT;
}

/* Passes on the longest beginning that is ASCII; what follows goes to the carry. */
static enum charset_result next_ascii(struct charset *charset, struct str *in, bool is_end,
                                      struct str *ret_text, struct err *err)
{
    if (!charset->carry.length) {
        size_t ascii = charset_ascii_length(*in);

        if (ascii) {
            charset->before = in->data[ascii - 1];
            *ret_text = (struct str){in->data, ascii};
            *in = str_after(*in, ascii);
            return CHARSET_TEXT;
        }
        if (!in->length)
            return is_end ? CHARSET_ENDED : CHARSET_NEEDS_INPUT;
    } else { /* what the start was decided by */
        size_t ascii = charset_ascii_length(buf_str(&charset->carry));

        if (ascii) {
            memcpy(charset->out, charset->carry.data, ascii);
            charset->before = charset->carry.data[ascii - 1];
            buf_consume(&charset->carry, ascii);
            *ret_text = (struct str){charset->out, ascii};
            return CHARSET_TEXT;
        }
    }
    if (!gather(charset, in, WINDOW_BYTES, is_end))
        return CHARSET_NEEDS_INPUT;
    if (!decide_window(charset, is_end && !in->length, err))
        return CHARSET_FAILED;
    return charset_next(charset, in, is_end, ret_text, err);
}

static enum charset_result convert(struct charset *charset, struct str *in, bool is_end,
                                   struct str *ret_text)
{
    /* A quarter, so that what comes out fits: no byte becomes more than three. */
    gather(charset, in, WINDOW_BYTES / 4, is_end);
    char *from = charset->carry.data, *to = charset->out;
    size_t left = charset->carry.length, room = sizeof(charset->out);
    bool is_last = is_end && !in->length;

    while (left && room > 8) {
        if (iconv(charset->iconv, &from, &left, &to, &room) != (size_t)-1)
            break;
        if (errno == EINVAL && !is_last) /* the rest of a character comes later */
            break;
        if (errno == E2BIG)
            break;
        size_t skip = charset->unit < left ? charset->unit : left;

        from += skip;
        left -= skip;
        *to++ = '\xFF';
        room--;
    }
    buf_consume(&charset->carry, charset->carry.length - left);
    *ret_text = (struct str){charset->out, sizeof(charset->out) - room};
    if (ret_text->length)
        return CHARSET_TEXT;
    return is_last ? CHARSET_ENDED : CHARSET_NEEDS_INPUT;
}

enum charset_result charset_next(struct charset *charset, struct str *in, bool is_end,
                                 struct str *ret_text, struct err *err)
{
    if (charset->carry_given) {
        buf_reset(&charset->carry);
        charset->carry_given = false;
    }
    if (charset->carry.failed) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return CHARSET_FAILED;
    }
    switch (charset->state) {
    case AT_START:
        if (!gather(charset, in, START_BYTES, is_end))
            return CHARSET_NEEDS_INPUT;
        if (!decide_start(charset, err))
            return CHARSET_FAILED;
        return charset_next(charset, in, is_end, ret_text, err);
    case ASCII_SO_FAR:
        return next_ascii(charset, in, is_end, ret_text, err);
    case CONVERTING:
        return convert(charset, in, is_end, ret_text);
    case PLAIN:
        break;
    }
    if (charset->carry.length)
        return give_carry(charset, ret_text);
    if (!in->length)
        return is_end ? CHARSET_ENDED : CHARSET_NEEDS_INPUT;
    *ret_text = *in;
    *in = str_after(*in, in->length);
    return CHARSET_TEXT;
}
