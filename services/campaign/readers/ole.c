#include "readers/ole.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 512
#define ENTRY_BYTES 128
#define HEADER_FAT_SECTORS 109
#define DIRECTORY_SECTORS_MOST 1024
#define MINI_STREAM_BYTES 4096 /* smaller streams lie elsewhere */
#define SECTOR_MOST 0xFFFFFFF9U

enum { RECORD_EOF = 0x000A, RECORD_BOUNDSHEET = 0x0085 };

struct file {
    const unsigned char *data;
    size_t size, sector_bytes;
    size_t sector_count; /* a chain that is longer goes round in a circle */
};

static uint32_t number(const unsigned char *p, size_t bytes)
{
    uint32_t value = 0;

    while (bytes--)
        value = value << 8 | p[bytes];
    return value;
}

/* NULL: the file has no such sector. */
static const unsigned char *sector(const struct file *file, uint32_t index)
{
    size_t start = ((size_t)index + 1) * file->sector_bytes;

    return index < SECTOR_MOST && start <= file->size && file->size - start >= file->sector_bytes
               ? file->data + start
               : NULL;
}

/* The sector that follows in a chain. FAT sectors beyond those in the header (files over 6.8 MB)
 * are found through a chain of their own. */
static uint32_t next_sector(const struct file *file, uint32_t index)
{
    size_t per_sector = file->sector_bytes / 4, which = index / per_sector;
    const unsigned char *fat;

    if (index >= file->sector_count)
        return UINT32_MAX;
    if (which < HEADER_FAT_SECTORS) {
        fat = sector(file, number(file->data + 76 + which * 4, 4));
    } else {
        uint32_t list = number(file->data + 68, 4);
        const unsigned char *entries = NULL;

        which -= HEADER_FAT_SECTORS;
        for (size_t hop = 0; hop <= which / (per_sector - 1); hop++) {
            entries = sector(file, list);
            if (!entries)
                return UINT32_MAX;
            list = number(entries + (per_sector - 1) * 4, 4);
        }
        fat = sector(file, number(entries + which % (per_sector - 1) * 4, 4));
    }
    return fat ? number(fat + index % per_sector * 4, 4) : UINT32_MAX;
}

static bool has_name(const unsigned char *entry, const char *name)
{
    size_t length = strlen(name);

    if (number(entry + 64, 2) != (length + 1) * 2)
        return false;
    for (size_t i = 0; i < length; i++)
        if (entry[2 * i] != (unsigned char)name[i] || entry[2 * i + 1])
            return false;
    return true;
}

/* ---- The sheets of the workbook stream ---- */

/* A place in a stream that lies in a chain of sectors. */
struct stream {
    const struct file *file;
    uint32_t index;
    size_t at; /* in the sector */
    size_t hops;
};

static bool read_bytes(struct stream *stream, unsigned char *out, size_t size)
{
    while (size) {
        if (stream->at == stream->file->sector_bytes) {
            if (++stream->hops > stream->file->sector_count)
                return false;
            stream->index = next_sector(stream->file, stream->index);
            stream->at = 0;
        }
        const unsigned char *data = sector(stream->file, stream->index);
        size_t left = stream->file->sector_bytes - stream->at;
        size_t piece = size < left ? size : left;

        if (!data)
            return false;
        if (out) {
            memcpy(out, data + stream->at, piece);
            out += piece;
        }
        stream->at += piece;
        size -= piece;
    }
    return true;
}

static void look_at_sheets(const struct file *file, uint32_t first, struct ole_facts *facts)
{
    struct stream stream = {.file = file, .index = first};
    unsigned char head[4], sheet[6];
    size_t count = 0;

    while (read_bytes(&stream, head, sizeof(head))) {
        uint32_t kind = number(head, 2), length = number(head + 2, 2);

        if (kind == RECORD_EOF) {
            facts->sheet_count = count;
            return;
        }
        if (kind == RECORD_BOUNDSHEET && length >= sizeof(sheet) && count < OLE_SHEETS_MOST) {
            if (!read_bytes(&stream, sheet, sizeof(sheet)))
                return;
            facts->is_visible[count++] = !(sheet[4] & 3);
            length -= (uint32_t)sizeof(sheet);
        }
        if (!read_bytes(&stream, NULL, length))
            return;
    }
}

/* ---- The directory ---- */

/* `ret_workbook`: the first sector of the stream that has the sheets, when that is where it looks.
 */
static void look_at_entry(const unsigned char *entry, struct ole_facts *facts,
                          uint32_t *ret_workbook)
{
    if (entry[66] != 2) /* no stream */
        return;
    if (has_name(entry, "EncryptedPackage")) {
        facts->kind = OLE_ENCRYPTED;
    } else if (facts->kind == OLE_UNKNOWN && has_name(entry, "WordDocument")) {
        facts->kind = OLE_WORD;
    } else if (facts->kind == OLE_UNKNOWN && has_name(entry, "PowerPoint Document")) {
        facts->kind = OLE_POWERPOINT;
    } else if (has_name(entry, "Workbook") || has_name(entry, "Book")) {
        if (facts->kind != OLE_ENCRYPTED)
            facts->kind = OLE_WORKBOOK;
        if (number(entry + 120, 4) >= MINI_STREAM_BYTES)
            *ret_workbook = number(entry + 116, 4);
    }
}

static void look_at_directory(const struct file *file, struct ole_facts *facts,
                              uint32_t *ret_workbook)
{
    uint32_t index = number(file->data + 48, 4);

    for (size_t hops = 0; hops < file->sector_count && hops < DIRECTORY_SECTORS_MOST; hops++) {
        const unsigned char *entries = sector(file, index);

        if (!entries)
            return;
        for (size_t at = 0; at < file->sector_bytes; at += ENTRY_BYTES)
            look_at_entry(entries + at, facts, ret_workbook);
        index = next_sector(file, index);
    }
}

void ole_look(const unsigned char *data, size_t size, struct ole_facts *ret_facts)
{
    struct file file = {data, size, 0, 0};
    uint32_t workbook = UINT32_MAX;

    memset(ret_facts, 0, sizeof(*ret_facts));
    if (size < HEADER_BYTES || memcmp(data, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8))
        return;
    unsigned shift = number(data + 30, 2);

    if (shift != 9 && shift != 12)
        return;
    file.sector_bytes = (size_t)1 << shift;
    file.sector_count = size / file.sector_bytes;
    look_at_directory(&file, ret_facts, &workbook);
    if (workbook != UINT32_MAX)
        look_at_sheets(&file, workbook, ret_facts);
}
