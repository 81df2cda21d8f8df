#include "auth/key_fetch.h"

#include "auth/internal.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 5000L
#define HOST_SIZE 256

struct key_fetch {
    struct loop *loop;
    const char *url, *ca_file;
    void (*done)(void *context, struct str text, const struct err *err);
    void *context;
    pthread_t thread;
    bool under_way; /* the thread is there to be joined */
    atomic_bool stop;
    struct loop_letter letter;
    /* The thread's, until the letter has come. */
    struct buf text;
    struct err err;
    bool good;
};

bool key_fetch_is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

/* Part of a URL as text; "" when it has none. */
static void get_part(CURLU *url, CURLUPart part, char *out, size_t out_size)
{
    char *text = NULL;

    out[0] = '\0';
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK && text && strlen(text) < out_size)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
}

static bool check_parts(CURLU *url, struct err *err)
{
    char scheme[16], host[HOST_SIZE], user[HOST_SIZE];

    get_part(url, CURLUPART_SCHEME, scheme, sizeof(scheme));
    get_part(url, CURLUPART_HOST, host, sizeof(host));
    get_part(url, CURLUPART_USER, user, sizeof(user));
    if (!host[0] || user[0])
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the URL of the key set must name a host, and no user or password");
    if (strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && is_loopback(host)))
        return true;
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the URL of the key set must begin with https:// (http:// on the loopback "
                   "interface only): whoever could change it on its way could sign tokens");
}

bool key_fetch_check(const char *url, struct err *err)
{
    CURLU *parsed = curl_url();
    bool good;

    if (!parsed)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        good = check_parts(parsed, err);
    else
        good = err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the URL of the key set is not well-formed: https://HOST[:PORT]/PATH");
    curl_url_cleanup(parsed);
    return good;
}

/* Less than it was given makes curl give up. */
static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct buf *out = context;

    if (out->length + size * count > KEY_SET_BYTES_MAX)
        return 0;
    buf_put(out, data, size * count);
    return out->failed ? 0 : size * count;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const atomic_bool *stop = context;

    (void)a, (void)b, (void)c, (void)d;
    return stop && atomic_load(stop);
}

static bool set_options(CURL *curl, const char *url, const char *ca_file, struct buf *out,
                        char *why, const atomic_bool *stop)
{
    CURLcode code = CURLE_OK;

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
#define SET(option, value) (code = code ? code : curl_easy_setopt(curl, option, value))
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    SET(CURLOPT_MAXFILESIZE, (long)KEY_SET_BYTES_MAX);
    SET(CURLOPT_USERAGENT, "dialplane");
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, out);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, (void *)(uintptr_t)stop);
    SET(CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    if (ca_file)
        SET(CURLOPT_CAINFO, ca_file);
#undef SET
    return code == CURLE_OK;
}

static bool run(const char *url, const char *ca_file, const atomic_bool *stop, struct buf *out,
                struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    if (curl && set_options(curl, url, ca_file, out, why, stop))
        code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED)
        return err_set(err, ERR_UNAVAILABLE, NULL, "the key set is larger than %zu bytes",
                       KEY_SET_BYTES_MAX);
    if (code != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, NULL, "the key set cannot be fetched: %s",
                       why[0] ? why : curl_easy_strerror(code));
    if (status != 200)
        return err_set(err, ERR_UNAVAILABLE, NULL,
                       "the key set cannot be fetched: the server answered %ld", status);
    return out->length || err_set(err, ERR_UNAVAILABLE, NULL, "the key set is empty");
}

bool key_fetch_now(const char *url, const char *ca_file, struct buf *out, struct err *err)
{
    return run(url, ca_file, NULL, out, err);
}

/* ---- On a thread of its own ---- */

static void *work(void *context)
{
    struct key_fetch *fetch = context;

    fetch->good = run(fetch->url, fetch->ca_file, &fetch->stop, &fetch->text, &fetch->err);
    if (!atomic_load(&fetch->stop))
        loop_post(fetch->loop, &fetch->letter);
    return NULL;
}

static void answer(struct key_fetch *fetch)
{
    struct buf text = fetch->text;
    struct err err = fetch->err;

    fetch->text = (struct buf){0}; /* done() may start the next one */
    fetch->done(fetch->context, fetch->good ? buf_str(&text) : (struct str){NULL, 0}, &err);
    buf_done(&text);
}

static void on_letter(struct loop_letter *letter)
{
    struct key_fetch *fetch =
        (struct key_fetch *)(void *)((char *)letter - offsetof(struct key_fetch, letter));

    if (fetch->under_way)
        pthread_join(fetch->thread, NULL);
    fetch->under_way = false;
    answer(fetch);
}

struct key_fetch *key_fetch_new(struct loop *loop, const char *url, const char *ca_file,
                                void (*done)(void *context, struct str text, const struct err *err),
                                void *context)
{
    struct key_fetch *fetch = calloc(1, sizeof(*fetch));

    if (!fetch)
        return NULL;
    fetch->loop = loop;
    fetch->url = url;
    fetch->ca_file = ca_file;
    fetch->done = done;
    fetch->context = context;
    fetch->letter.deliver = on_letter;
    atomic_init(&fetch->stop, false);
    return fetch;
}

void key_fetch_start(struct key_fetch *fetch)
{
    buf_init(&fetch->text, KEY_SET_BYTES_MAX);
    fetch->err = (struct err){0};
    fetch->good = false;
    fetch->under_way = pthread_create(&fetch->thread, NULL, work, fetch) == 0;
    if (fetch->under_way)
        return;
    err_set(&fetch->err, ERR_UNAVAILABLE, NULL, "no thread can be started to fetch the key set");
    loop_post(fetch->loop, &fetch->letter);
}

void key_fetch_free(struct key_fetch *fetch)
{
    if (!fetch)
        return;
    atomic_store(&fetch->stop, true);
    if (fetch->under_way)
        pthread_join(fetch->thread, NULL);
    buf_done(&fetch->text);
    free(fetch);
}
