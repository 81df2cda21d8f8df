#include "gateway/route/multipart.h"

#include "gateway/policy/media.h"
#include "gateway/route/percent.h"

static bool is_boundary_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte != '\0' && strchr("'()+_,-./:=? ", byte));
}

bool multipart_init(struct multipart *multipart, struct str boundary,
                    const struct multipart_handler *handler, void *context)
{
    if (!boundary.length || boundary.length > 70 || boundary.data[boundary.length - 1] == ' ')
        return false;
    for (size_t i = 0; i < boundary.length; i++)
        if (!is_boundary_byte(boundary.data[i]))
            return false;
    multipart->handler = handler;
    multipart->context = context;
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary.data, boundary.length);
    multipart->delimiter_length = 4 + boundary.length;
    /* The first delimiter may stand at the very beginning: as if a line end had come before. */
    multipart->matched = multipart->assumed = 2;
    multipart->state = MULTIPART_PREAMBLE;
    multipart->header_length = 0;
    multipart->parts = 0;
    return true;
}

static bool malformed(struct multipart *multipart, struct err *err, const char *what)
{
    multipart->state = MULTIPART_STOPPED;
    return err_set(err, ERR_INVALID_ARGUMENT, NULL, "Malformed multipart body: %s", what);
}

static bool stopped(struct multipart *multipart)
{
    multipart->state = MULTIPART_STOPPED;
    return false;
}

static bool emit(struct multipart *multipart, const char *data, size_t length)
{
    if (multipart->state != MULTIPART_CONTENT || !length)
        return true;
    return multipart->handler->on_data(multipart->context, (struct str){data, length}) ||
           stopped(multipart);
}

/* Content or preamble up to the next delimiter. CR occurs in the delimiter only as its first byte,
 * so after a mismatch nothing of what matched can begin another match. */
static bool scan(struct multipart *multipart, struct str *data)
{
    const char *at = data->data, *end = at + data->length, *start = at;

    while (at < end) {
        if (multipart->matched) {
            if (*at == multipart->delimiter[multipart->matched]) {
                at++;
                if (++multipart->matched < multipart->delimiter_length)
                    continue;
                bool was_content = multipart->state == MULTIPART_CONTENT;
                multipart->matched = multipart->assumed = 0;
                *data = (struct str){at, (size_t)(end - at)};
                if (was_content && !multipart->handler->on_part_end(multipart->context))
                    return stopped(multipart);
                multipart->state = MULTIPART_AFTER_DELIMITER;
                return true;
            }
            /* It was content after all. */
            size_t matched = multipart->matched, assumed = multipart->assumed;
            multipart->matched = multipart->assumed = 0;
            if (!emit(multipart, multipart->delimiter + assumed, matched - assumed))
                return false;
            start = at;
        }
        const char *cr = memchr(at, '\r', (size_t)(end - at));
        size_t plain = (size_t)((cr ? cr : end) - start);
        if (!emit(multipart, start, plain))
            return false;
        at = start = cr ? cr + 1 : end;
        multipart->matched = cr ? 1 : 0;
    }
    *data = (struct str){NULL, 0};
    return true;
}

/* filename*=UTF-8''%D1%84.csv (RFC 5987), decoded in place. */
static struct str extended_value(char *text)
{
    char *quote = strchr(text, '\'');
    char *second = quote ? strchr(quote + 1, '\'') : NULL;
    struct str charset = {text, quote ? (size_t)(quote - text) : 0};

    if (!second || !str_equal_ignore_case(charset, STR_LITERAL("utf-8")))
        return (struct str){NULL, 0};
    size_t length = percent_decode_lenient(second + 1, strlen(second + 1));
    return (struct str){second + 1, length};
}

/* Browsers escape '"' as %22 and line ends likewise (WHATWG), others with backslashes, which
 * media_type_parameter takes off. */
static bool take_disposition(struct multipart *multipart, struct str value,
                             struct multipart_part *part, char *name, char *file_name, size_t size,
                             struct err *err)
{
    struct media_type media;
    const char *semicolon = value.length ? memchr(value.data, ';', value.length) : NULL;
    struct str kind = str_trim(
        (struct str){value.data, semicolon ? (size_t)(semicolon - value.data) : value.length});

    if (!str_equal_ignore_case(kind, STR_LITERAL("form-data")) || !semicolon)
        return malformed(multipart, err, "a part without Content-Disposition: form-data");
    media.type = kind;
    media.parameters =
        (struct str){semicolon + 1, (size_t)(value.data + value.length - semicolon - 1)};
    if (!media_type_parameter(&media, "name", name, size))
        return malformed(multipart, err, "a part without a name");
    part->name = str_from(name);
    if (media_type_parameter(&media, "filename*", file_name, size))
        part->file_name = extended_value(file_name);
    if (!part->file_name.data && media_type_parameter(&media, "filename", file_name, size))
        part->file_name = str_from(file_name);
    if (!utf8_is_valid(part->name.data, part->name.length) ||
        (part->file_name.length && !utf8_is_valid(part->file_name.data, part->file_name.length)))
        return malformed(multipart, err, "a name is not UTF-8");
    return true;
}

static bool begin_part(struct multipart *multipart, struct err *err)
{
    struct multipart_part part = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct str rest = {multipart->headers,
                       multipart->header_length - 2}; /* without the empty line */
    char name[256], file_name[1024];
    bool has_disposition = false;

    if (++multipart->parts > MULTIPART_PARTS_MAX)
        return malformed(multipart, err, "too many parts");
    while (rest.length) {
        const char *cr = memmem(rest.data, rest.length, "\r\n", 2);
        struct str line = {rest.data, cr ? (size_t)(cr - rest.data) : rest.length};
        const char *colon = line.length ? memchr(line.data, ':', line.length) : NULL;
        rest = cr ? (struct str){cr + 2, rest.length - line.length - 2} : (struct str){NULL, 0};
        if (!colon)
            return malformed(multipart, err, "a part's header without a colon");
        struct str key = {line.data, (size_t)(colon - line.data)};
        struct str value =
            str_trim((struct str){colon + 1, (size_t)(line.data + line.length - colon - 1)});
        if (str_equal_ignore_case(key, STR_LITERAL("content-disposition"))) {
            has_disposition = true;
            if (!take_disposition(multipart, value, &part, name, file_name, sizeof(name), err))
                return false;
        } else if (str_equal_ignore_case(key, STR_LITERAL("content-type"))) {
            part.content_type = value;
        }
    }
    if (!has_disposition)
        return malformed(multipart, err, "a part without Content-Disposition");
    multipart->state = MULTIPART_CONTENT;
    return multipart->handler->on_part(multipart->context, &part) || stopped(multipart);
}

static bool take_header_byte(struct multipart *multipart, char byte, struct err *err)
{
    char *headers = multipart->headers;

    if (multipart->header_length == sizeof(multipart->headers))
        return malformed(multipart, err, "a part's headers are too large");
    headers[multipart->header_length++] = byte;
    size_t length = multipart->header_length;
    if (byte == '\n' && (length < 2 || headers[length - 2] != '\r'))
        return malformed(multipart, err, "a line feed without carriage return");
    bool empty_line = byte == '\n' && (length == 2 || (length >= 4 && headers[length - 3] == '\n'));
    return !empty_line || begin_part(multipart, err);
}

static bool take_byte(struct multipart *multipart, char byte, struct err *err)
{
    switch (multipart->state) {
    case MULTIPART_AFTER_DELIMITER:
        if (byte == '-') {
            multipart->state = MULTIPART_DASH;
            return true;
        }
        /* fall through */
    case MULTIPART_PADDING:
        if (byte == '\r')
            multipart->state = MULTIPART_LINE_FEED;
        else if (byte == ' ' || byte == '\t')
            multipart->state = MULTIPART_PADDING;
        else
            return malformed(multipart, err, "unexpected bytes after a boundary");
        return true;
    case MULTIPART_DASH:
        if (byte != '-')
            return malformed(multipart, err, "unexpected bytes after a boundary");
        multipart->state = MULTIPART_EPILOGUE;
        return true;
    case MULTIPART_LINE_FEED:
        if (byte != '\n')
            return malformed(multipart, err, "unexpected bytes after a boundary");
        multipart->state = MULTIPART_HEADERS;
        multipart->header_length = 0;
        return true;
    default:
        return take_header_byte(multipart, byte, err);
    }
}

bool multipart_feed(struct multipart *multipart, struct str data, struct err *err)
{
    while (data.length) {
        switch (multipart->state) {
        case MULTIPART_STOPPED:
            return false;
        case MULTIPART_EPILOGUE:
            return true;
        case MULTIPART_PREAMBLE:
        case MULTIPART_CONTENT:
            if (!scan(multipart, &data))
                return false;
            break;
        default:
            if (!take_byte(multipart, *data.data, err))
                return false;
            data = (struct str){data.data + 1, data.length - 1};
            /* An empty part's delimiter may follow its headers at once: the empty line's end is its
             * line end. */
            if (multipart->state == MULTIPART_CONTENT)
                multipart->matched = multipart->assumed = 2;
        }
    }
    return true;
}

bool multipart_end(struct multipart *multipart, struct err *err)
{
    if (multipart->state == MULTIPART_EPILOGUE)
        return true;
    return malformed(multipart, err, "it ends before the closing boundary");
}
