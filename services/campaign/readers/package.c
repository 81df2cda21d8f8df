#include "readers/package.h"

#include "readers/gunzip.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zip.h>

/* The end of a zip file: its last record and a comment of at most 64 KB. */
#define END_BYTES 22
#define TAIL_BYTES (END_BYTES + 65535)
#define LOCATOR_BYTES 20
#define END_64_BYTES 56

struct package {
    zip_t *zip;
    zip_file_t *part;
    char part_name[128];
    int64_t size;            /* of the file */
    int64_t limit, unpacked; /* of all parts */
    int64_t part_packed, part_unpacked;
};

static uint64_t little_endian(const unsigned char *data, size_t size)
{
    uint64_t value = 0;

    while (size--)
        value = value << 8 | data[size];
    return value;
}

static bool is_broken(struct err *err)
{
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the .xlsx file is broken or cut off (its zip directory is missing): send the "
                   "whole file");
}

static bool has_too_many(struct err *err)
{
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the file is a zip archive with more than %d entries, and no workbook",
                   PACKAGE_ENTRIES_MOST);
}

/* libzip makes room for as many entries as the file claims, so the claim is looked at before. Every
 * record that could be the one which libzip takes must be modest. */
static bool check_ends(const struct spool *spool, const unsigned char *tail, size_t size,
                       struct err *err)
{
    bool found = false;

    for (size_t i = 0; i + END_BYTES <= size; i++) {
        if (memcmp(tail + i, "PK\x05\x06", 4))
            continue;
        found = true;
        uint64_t entries = little_endian(tail + i + 10, 2);

        if (entries > PACKAGE_ENTRIES_MOST && entries != 0xFFFF)
            return has_too_many(err);
    }
    for (size_t i = 0; i + LOCATOR_BYTES <= size; i++) {
        unsigned char end[END_64_BYTES];

        if (memcmp(tail + i, "PK\x06\x07", 4))
            continue;
        uint64_t at = little_endian(tail + i + 8, 8);

        if (spool->size < END_64_BYTES || at > (uint64_t)spool->size - END_64_BYTES)
            continue;
        if (!spool_read(spool, (int64_t)at, end, sizeof(end), err))
            return false;
        if (little_endian(end + 24, 8) > PACKAGE_ENTRIES_MOST ||
            little_endian(end + 32, 8) > PACKAGE_ENTRIES_MOST)
            return has_too_many(err);
    }
    return found || is_broken(err);
}

static bool check_size(const struct spool *spool, struct err *err)
{
    size_t size = spool->size < TAIL_BYTES ? (size_t)spool->size : TAIL_BYTES;
    unsigned char *tail = malloc(size ? size : 1);
    bool is_fine = tail && spool_read(spool, spool->size - (int64_t)size, tail, size, err) &&
                   check_ends(spool, tail, size, err);

    if (!tail)
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    free(tail);
    return is_fine;
}

struct package *package_open(const struct spool *spool, int64_t unpacked_limit, struct err *err)
{
    struct package *package;
    int code = 0, fd;

    if (!check_size(spool, err))
        return NULL;
    package = calloc(1, sizeof(*package));
    fd = package ? dup(spool->fd) : -1;
    if (fd < 0) {
        free(package);
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory or descriptors are short");
        return NULL;
    }
    package->size = spool->size;
    package->limit = unpacked_limit;
    package->zip = zip_fdopen(fd, 0, &code);
    if (!package->zip)
        close(fd);
    if (!package->zip || zip_get_num_entries(package->zip, 0) > PACKAGE_ENTRIES_MOST) {
        if (package->zip)
            has_too_many(err);
        else
            is_broken(err);
        package_close(package);
        return NULL;
    }
    return package;
}

void package_close(struct package *package)
{
    if (!package)
        return;
    package_close_part(package);
    if (package->zip)
        zip_discard(package->zip);
    free(package);
}

static zip_int64_t find(struct package *package, const char *name)
{
    return zip_name_locate(package->zip, *name == '/' ? name + 1 : name,
                           ZIP_FL_NOCASE | ZIP_FL_ENC_GUESS);
}

bool package_has(struct package *package, const char *name)
{
    return find(package, name) >= 0;
}

bool package_open_part(struct package *package, const char *name, struct err *err)
{
    zip_int64_t index = find(package, name);
    zip_stat_t stat;

    package_close_part(package);
    snprintf(package->part_name, sizeof(package->part_name), "%s", *name == '/' ? name + 1 : name);
    if (index < 0 || zip_stat_index(package->zip, (zip_uint64_t)index, 0, &stat))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the workbook is broken: its part %.100s is missing; save it again with a "
                       "spreadsheet program",
                       package->part_name);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the workbook is encrypted: save it without a password");
    if (!(stat.valid & ZIP_STAT_COMP_METHOD) ||
        (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the workbook's part %.100s is compressed in an unusual way: save it again "
                       "with a spreadsheet program",
                       package->part_name);
    package->part = zip_fopen_index(package->zip, (zip_uint64_t)index, 0);
    if (!package->part)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the workbook is broken: its part %.100s cannot be read",
                       package->part_name);
    /* What the directory claims is no more than a claim. */
    package->part_packed =
        stat.valid & ZIP_STAT_COMP_SIZE && stat.comp_size < (zip_uint64_t)package->size
            ? (int64_t)stat.comp_size
            : package->size;
    package->part_unpacked = 0;
    return true;
}

long package_read(struct package *package, void *data, size_t size, struct err *err)
{
    zip_int64_t got = zip_fread(package->part, data, size);

    if (got < 0) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "the workbook is broken: its part %.100s cannot be unpacked; send the whole file",
                package->part_name);
        return -1;
    }
    package->part_unpacked += got;
    package->unpacked += got;
    if (!unpack_is_allowed(package->part_packed, package->part_unpacked, package->limit, err) ||
        !unpack_is_allowed(INT64_MAX, package->unpacked, package->limit, err))
        return -1;
    return (long)got;
}

void package_close_part(struct package *package)
{
    if (package->part)
        zip_fclose(package->part);
    package->part = NULL;
}
