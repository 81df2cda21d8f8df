/* What a client shows: a token it was given, or the one that lies in a file at the time. */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* More than any service accepts. */
#define TOKEN_LIMIT 8192
#define LOOK_PERIOD_MS 1000

struct token {
    char *file; /* NULL: it stays what it is */
    pthread_mutex_t lock;
    grpc_slice header; /* "Bearer …"; empty: none */
    struct timespec changed;
    ino_t inode;
    int64_t looked_ms;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: no token, or one that cannot be a metadata value; *ret_header is left alone. */
static bool make_header(const char *text, size_t length, grpc_slice *ret_header)
{
    static const char scheme[] = "Bearer ";
    size_t scheme_length = sizeof(scheme) - 1;

    while (length && strchr(" \t\r\n", text[length - 1]))
        length--;
    if (!length)
        return false;
    grpc_slice value = grpc_slice_malloc(scheme_length + length);
    memcpy(GRPC_SLICE_START_PTR(value), scheme, scheme_length);
    memcpy(GRPC_SLICE_START_PTR(value) + scheme_length, text, length);
    if (!grpc_header_nonbin_value_is_legal(value)) {
        grpc_slice_unref(value);
        return false;
    }
    *ret_header = value;
    return true;
}

/* Reads the file when it is not the one that was read. What cannot be read leaves the old token in
 * force: a file that is being replaced is a matter of moments. True: there is a new header. */
static bool look(struct token *token)
{
    char text[TOKEN_LIMIT];
    struct stat status;
    grpc_slice fresh;
    bool changed = false;

    token->looked_ms = now_ms();
    int descriptor = open(token->file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    if (fstat(descriptor, &status) == 0 &&
        (status.st_ino != token->inode || status.st_mtim.tv_sec != token->changed.tv_sec ||
         status.st_mtim.tv_nsec != token->changed.tv_nsec)) {
        ssize_t length = read(descriptor, text, sizeof(text));
        if (length > 0 && (size_t)length < sizeof(text) &&
            make_header(text, (size_t)length, &fresh)) {
            changed = !grpc_slice_eq(fresh, token->header);
            grpc_slice_unref(token->header);
            token->header = fresh;
            token->changed = status.st_mtim;
            token->inode = status.st_ino;
        }
    }
    close(descriptor);
    return changed;
}

struct token *token_open(const char *text, const char *file)
{
    struct token *token = calloc(1, sizeof(*token));

    if (!token)
        return NULL;
    token->header = grpc_empty_slice();
    pthread_mutex_init(&token->lock, NULL);
    bool good = !text || make_header(text, strlen(text), &token->header);
    if (good && file && !text)
        good = (token->file = strdup(file)) != NULL && look(token);
    if (good)
        return token;
    token_close(token);
    return NULL;
}

void token_close(struct token *token)
{
    grpc_slice_unref(token->header);
    pthread_mutex_destroy(&token->lock);
    free(token->file);
    free(token);
}

grpc_slice token_header(struct token *token)
{
    pthread_mutex_lock(&token->lock);
    if (token->file && now_ms() - token->looked_ms >= LOOK_PERIOD_MS)
        look(token);
    grpc_slice header = grpc_slice_ref(token->header);
    pthread_mutex_unlock(&token->lock);
    return header;
}

bool token_renewed(struct token *token, grpc_slice shown)
{
    if (!token->file)
        return false;
    pthread_mutex_lock(&token->lock);
    look(token);
    bool other = !grpc_slice_eq(shown, token->header);
    pthread_mutex_unlock(&token->lock);
    return other;
}
