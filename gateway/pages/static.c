/* Static files: loaded once, found by exact path, so that no request ever reaches the file system.
 */
#include "gateway/pages/pages.h"

#include "app/app.h"
#include "gateway/call/safe_headers.h"
#include "gateway/policy/etag.h"
#include "gateway/policy/problem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 2000
#define BYTES_MAX (64u << 20)
#define DEPTH_MAX 8
#define PATH_SIZE 1024

struct page {
    char *path;
    const char *content_type, *policy;
    char *data;
    size_t size;
    char etag[ETAG_SIZE];
};

struct pages {
    struct page *list; /* sorted by path once served */
    size_t count, capacity;
    size_t bytes;
    const char *policy; /* of what is added */
};

static const char *content_type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".webmanifest", "application/manifest+json"},
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct page *)a)->path, ((const struct page *)b)->path);
}

static struct page *find(const struct pages *pages, const char *path)
{
    struct page key = {.path = (char *)(uintptr_t)path};

    return pages->count ? bsearch(&key, pages->list, pages->count, sizeof(*pages->list), compare)
                        : NULL;
}

static void put_page(struct page *page, struct str data)
{
    static const char mark[] = "{{version}}";
    const char *at = strncmp(page->content_type, "text/html", 9) == 0 && data.length
                         ? memmem(data.data, data.length, mark, sizeof(mark) - 1)
                         : NULL;
    size_t version = at ? strlen(app_version) : 0;
    size_t before = at ? (size_t)(at - data.data) : data.length;
    size_t skipped = at ? sizeof(mark) - 1 : 0;

    page->size = data.length - skipped + version;
    page->data = malloc(page->size + 1);
    if (!page->data)
        return;
    if (before)
        memcpy(page->data, data.data, before);
    if (at) {
        memcpy(page->data + before, app_version, version);
        memcpy(page->data + before + version, at + skipped, data.length - before - skipped);
    }
    etag_make(ETAG_NO_REVISION, (struct str){page->data, page->size}, page->etag);
}

void pages_set_policy(struct pages *pages, const char *policy)
{
    pages->policy = policy;
}

bool pages_add(struct pages *pages, const char *path, const char *content_type, struct str data)
{
    struct page *page = find(pages, path);

    if (page) { /* the program's own beats a file of the same name */
        free(page->data);
    } else {
        if (pages->count == pages->capacity) {
            size_t capacity = pages->capacity ? pages->capacity * 2 : 32;
            struct page *list = realloc(pages->list, capacity * sizeof(*list));
            if (!list)
                return false;
            pages->list = list;
            pages->capacity = capacity;
        }
        page = &pages->list[pages->count];
        *page = (struct page){.path = strdup(path)};
        if (!page->path)
            return false;
        pages->count++;
    }
    page->content_type = content_type ? content_type : content_type_of(path);
    page->policy = pages->policy;
    put_page(page, data);
    bool fine = page->data != NULL;
    pages->bytes += page->size;
    qsort(pages->list, pages->count, sizeof(*pages->list), compare);
    return fine;
}

static bool load_file(struct pages *pages, int directory, const char *name, const char *path,
                      size_t size, struct err *err)
{
    bool fine = false;

    if (pages->count >= FILES_MAX || size > BYTES_MAX - pages->bytes)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL,
                       "the directory of pages holds more than %d files or %u bytes", FILES_MAX,
                       BYTES_MAX);
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *data = malloc(size + 1);
    size_t length = 0;
    if (fd >= 0 && data) {
        ssize_t count = 1;
        while (length < size && (count = read(fd, data + length, size - length)) > 0)
            length += (size_t)count;
        fine = count >= 0 && pages_add(pages, path, NULL, (struct str){data, length});
    }
    free(data);
    if (fd >= 0)
        close(fd);
    return fine || err_set(err, ERR_UNAVAILABLE, NULL, "%s cannot be read", path);
}

/* Links are not followed and hidden files left out: what is served is what is in the folder. */
static bool load_directory(struct pages *pages, int fd, const char *prefix, unsigned depth,
                           struct err *err)
{
    DIR *directory = fdopendir(fd);
    struct dirent *entry;
    bool fine = true;

    if (!directory) {
        close(fd);
        return err_set(err, ERR_UNAVAILABLE, NULL, "%s: %s", prefix, strerror(errno));
    }
    while (fine && (entry = readdir(directory))) {
        struct stat info;
        char path[PATH_SIZE];
        if (entry->d_name[0] == '.' ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            snprintf(path, sizeof(path), "%s/%s", prefix, entry->d_name) >= (int)sizeof(path))
            continue;
        if (S_ISREG(info.st_mode)) {
            fine = load_file(pages, fd, entry->d_name, path, (size_t)info.st_size, err);
        } else if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX) {
            int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (child >= 0)
                fine = load_directory(pages, child, path, depth + 1, err);
        }
    }
    closedir(directory);
    return fine;
}

struct pages *pages_new(const char *directory, struct err *err)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    bool fine = pages != NULL;

    if (!pages) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    pages->policy = directory && directory[0] ? GIVEN_POLICY : PAGE_POLICY;
    if (directory && directory[0]) {
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fine = fd >= 0 ? load_directory(pages, fd, "", 0, err)
                       : err_set(err, ERR_NOT_FOUND, NULL, "%s: %s", directory, strerror(errno));
    } else {
        for (size_t i = 0; fine && i < gateway_embedded_files_count; i++)
            fine = pages_add(pages, gateway_embedded_files[i].path, NULL,
                             (struct str){(const char *)gateway_embedded_files[i].data,
                                          gateway_embedded_files[i].size}) ||
                   err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (fine)
        return pages;
    pages_free(pages);
    return NULL;
}

void pages_free(struct pages *pages)
{
    if (!pages)
        return;
    for (size_t i = 0; i < pages->count; i++) {
        free(pages->list[i].path);
        free(pages->list[i].data);
    }
    free(pages->list);
    free(pages);
}

/* "/", "/docs" and "/docs/" are their index.html. */
static const struct page *find_page(const struct pages *pages, struct str path)
{
    char text[PATH_SIZE];

    if (path.length + sizeof("/index.html") > sizeof(text) ||
        (path.length && memchr(path.data, '\0', path.length)))
        return NULL;
    memcpy(text, path.data, path.length);
    text[path.length] = '\0';
    const struct page *page = find(pages, text);
    if (page)
        return page;
    strcpy(text + path.length,
           path.length && path.data[path.length - 1] == '/' ? "index.html" : "/index.html");
    return find(pages, text);
}

static void serve_page(struct request *request, const struct page *page)
{
    struct answer_headers headers = {.count = 0};
    struct str etag = str_from(page->etag);

    answer_header(&headers, "etag", etag);
    answer_header(&headers, "cache-control", STR_LITERAL("no-cache"));
    if (etag_none_match(exchange_header(request->exchange, "if-none-match"), etag)) {
        request_answer(request, 304, &headers, (struct str){NULL, 0});
        return;
    }
    answer_header(&headers, "content-type", str_from(page->content_type));
    safe_headers_add_page(&headers, page->policy);
    request_answer(request, 200, &headers, (struct str){page->data, page->size});
}

static void refuse_method(struct request *request)
{
    struct answer_headers headers = {.count = 0};
    struct err err = {0};

    err_set(&err, ERR_UNIMPLEMENTED, REASON_METHOD_NOT_ALLOWED, "This page can only be read");
    answer_header(&headers, "allow", STR_LITERAL("GET, HEAD"));
    request_fail(request, &err, &headers);
}

bool pages_serve(struct request *request)
{
    static const struct {
        const char *path;
        void (*serve)(struct request *request);
    } probes[] = {
        {"/healthz", health_serve}, {"/readyz", ready_serve}, {"/metrics", metrics_serve}};
    struct str path = exchange_path(request->exchange);
    struct str method = exchange_method(request->exchange);
    void (*probe)(struct request * request) = NULL;
    const struct page *page = NULL;

    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        if (str_equal_cstr(path, probes[i].path)) {
            probe = probes[i].serve;
            request->label = probes[i].path;
        }
    }
    if (!probe)
        page = find_page(request->worker->gateway->pages, path);
    if (!probe && !page)
        return false;
    request->figures = stats_pages(&request->worker->stats);
    request->quiet = probe != NULL;
    if (page)
        request->label = page->path;
    if (!str_equal_cstr(method, "GET") && !str_equal_cstr(method, "HEAD"))
        refuse_method(request);
    else if (probe)
        probe(request);
    else
        serve_page(request, page);
    return true;
}
