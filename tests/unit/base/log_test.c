/* log: what arrives on stderr, seen through a pipe. */
#include "base/log.h"
#include "base/str.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char captured[1 << 20];

struct capture {
    int saved, file;
};

static struct capture begin_capture(void)
{
    struct capture capture = {dup(STDERR_FILENO),
                              open("/tmp", O_TMPFILE | O_RDWR | O_APPEND, 0600)};

    assert_true(capture.saved >= 0 && capture.file >= 0);
    dup2(capture.file, STDERR_FILENO);
    return capture;
}

/* What was written since, as one string. */
static const char *end_capture(struct capture capture)
{
    dup2(capture.saved, STDERR_FILENO);
    close(capture.saved);
    ssize_t length = pread(capture.file, captured, sizeof(captured) - 1, 0);

    assert_true(length >= 0);
    captured[length] = '\0';
    close(capture.file);
    return captured;
}

static void json_lines(void **state)
{
    (void)state;
    log_configure("test", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    struct capture capture = begin_capture();

    log_event(LOG_LEVEL_DEBUG, "unseen", log_int("x", 1));
    log_event(LOG_LEVEL_WARN, "two \"words\"", log_text("path", "a\nb\xff"), log_int("n", -5),
              log_double("d", 0.25), log_double("nan", (double)NAN), log_text("none", NULL));
    const char *text = end_capture(capture);

    assert_non_null(
        strstr(text, "\"level\":\"warn\",\"process\":\"test\",\"event\":\"two \\\"words\\\"\","
                     "\"path\":\"a\\nb\xEF\xBF\xBD\",\"n\":-5,\"d\":0.25,\"nan\":null}\n"));
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text));
    assert_null(strstr(text, "unseen"));
    assert_false(log_is_enabled(LOG_LEVEL_DEBUG));
    assert_true(log_is_enabled(LOG_LEVEL_INFO));
}

static void text_lines(void **state)
{
    (void)state;
    log_configure("test", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    struct capture capture = begin_capture();

    log_event(LOG_LEVEL_DEBUG, "request", log_text("path", "/a"), log_text("words", "two words"),
              log_text("empty", ""), log_int("n", 5), log_text("none", NULL));
    const char *text = end_capture(capture);

    assert_non_null(
        strstr(text, " debug test: request path=/a words=\"two words\" empty=\"\" n=5\n"));
}

/* Long values are cut so that what is left is still one JSON object on one line. */
static void long_lines_are_cut(void **state)
{
    static char long_text[20000];

    (void)state;
    log_configure("test", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    memset(long_text, 'x', sizeof(long_text) - 1);
    /* A character of three bytes and an escape may stand at the cut as well. */
    for (size_t shift = 0; shift < 24; shift++) {
        for (size_t i = 0; i + 4 < sizeof(long_text); i += 4)
            memcpy(long_text + i, shift % 2 ? "漢\"" : "\x01xx\\", 4);
        struct capture capture = begin_capture();

        log_event(LOG_LEVEL_INFO, "long", log_text("value", long_text + shift),
                  log_text("after", "lost"));
        const char *text = end_capture(capture);
        size_t length = strlen(text);

        assert_true(length > 8100 && length <= 8192);
        assert_string_equal(text + length - 3, "\"}\n");
        assert_ptr_equal(strchr(text, '\n'), text + length - 1);
        if (shift % 4 == 1)
            assert_true(utf8_is_valid(text, length));
    }
    /* The cut may fall on a key: the pair goes as a whole. */
    for (size_t length = 7900; length < 8192; length++) {
        long_text[0] = '\0';
        memset(long_text, 'y', length);
        long_text[length] = '\0';
        struct capture capture = begin_capture();

        log_event(LOG_LEVEL_INFO, "long", log_text("value", long_text), log_int("number", 12345),
                  log_text("text", "text"));
        const char *text = end_capture(capture);
        size_t size = strlen(text);

        assert_true(size <= 8192);
        assert_true(strcmp(text + size - 3, "\"}\n") == 0 ||
                    strcmp(text + size - 15, ",\"number\":12345}\n") == 0 ||
                    strcmp(text + size - 3, "5}\n") == 0);
    }
}

static void *write_lines(void *text)
{
    for (int i = 0; i < 500; i++)
        log_event(LOG_LEVEL_INFO, "line", log_text("text", text), log_int("i", i));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    size_t lines = 0;

    (void)state;
    log_configure("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct capture capture = begin_capture();

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)"abcdefghijkl"), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (const char *at = end_capture(capture); *at; lines++) {
        const char *end = strchr(at, '\n');

        assert_non_null(end);
        assert_non_null(strstr(at, "Z info test: line text=abcdefghijkl i="));
        assert_true(end - at < 90);
        at = end + 1;
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(text_lines),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
