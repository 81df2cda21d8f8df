#include "readers/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_unnamed(const char *directory)
{
    char path[4096];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    /* Some file systems know no O_TMPFILE (overlay, NFS). */
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if (snprintf(path, sizeof(path), "%s/dialplane-XXXXXX", directory) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static bool system_failed(const char *what, struct err *err)
{
    return err_set(err, ERR_INTERNAL, NULL, "the spool file of the upload cannot be %s: %s", what,
                   strerror(errno));
}

bool spool_open(struct spool *spool, const char *directory, int64_t limit, struct err *err)
{
    *spool = (struct spool){open_unnamed(directory ? directory : "/tmp"), 0, limit};
    return spool->fd >= 0 || system_failed("made", err);
}

void spool_close(struct spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}

bool spool_write(struct spool *spool, struct str bytes, const char *what, struct err *err)
{
    if (spool->size + (int64_t)bytes.length > spool->limit)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "%s is larger than %lld MB",
                       what, (long long)(spool->limit >> 20));
    while (bytes.length) {
        ssize_t written = pwrite(spool->fd, bytes.data, bytes.length, spool->size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return system_failed("written", err);
        spool->size += written;
        bytes = (struct str){bytes.data + written, bytes.length - (size_t)written};
    }
    return true;
}

bool spool_read(const struct spool *spool, int64_t offset, void *data, size_t size, struct err *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(spool->fd, (char *)data + done, size - done, offset + (int64_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return system_failed("read", err);
        done += (size_t)got;
    }
    return true;
}
