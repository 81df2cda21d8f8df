/* Secrets in the settings of tools: which keys are secret, what is shown, what "***" keeps. */
#include "domain/secrets.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef Google__Protobuf__Struct object;
typedef Google__Protobuf__Struct__FieldsEntry member;
typedef Google__Protobuf__Value value;
typedef Google__Protobuf__ListValue list;
typedef Dialplane__V1__SkillbaseConfig config;
typedef Dialplane__V1__Tool tool;

static struct arena *arena;
static struct secret_names *names;

static int set_up(void **state)
{
    struct err err = {0};

    (void)state;
    arena = arena_new((size_t)16 << 20);
    names = secret_names_new(SECRET_NAMES_DEFAULT, &err);
    return arena && names ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    secret_names_free(names);
    arena_free(arena);
    return 0;
}

/* ---- Names ---- */

static void test_names(void **state)
{
    static const char *const secret[] = {
        "api_key",       "apiKey",      "API-KEY",       "Api Key",       "x-api-key",
        "openai.apikey", "password",    "db_password_2", "PassWord",      "secret",
        "clientSecret",  "token",       "access_token",  "refreshTokens", "authorization",
        "Authorization", "credentials", "private_key",   "PRIVATE-KEY",   "aws_secret_access_key",
        "bearer",        "Set-Cookie",  "pwd",           "passphrase",    "tok_en",
    };
    static const char *const shown[] = {
        "url",       "api_url",    "max_tokens", "maxTokens",  "max_output_tokens",
        "token_url", "tokenLimit", "user",       "timeout_ms", "key",
        "keyboard",  "",           "___",        "authorized", "token_endpoint",
        "pass",      "author",     "pwd_x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++)
        if (!secret_names_match(names, str_from(secret[i])))
            fail_msg("%s is a secret", secret[i]);
    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
        if (secret_names_match(names, str_from(shown[i])))
            fail_msg("%s is no secret", shown[i]);
}

static bool matches(const char *patterns, const char *key)
{
    struct err err = {0};
    struct secret_names *own = secret_names_new(patterns, &err);

    assert_non_null(own);
    bool result = secret_names_match(own, str_from(key));

    secret_names_free(own);
    return result;
}

static void test_patterns(void **state)
{
    (void)state;
    assert_true(matches("a*c", "abc") && matches("a*c", "ac") && matches("a*c", "abcbc"));
    assert_false(matches("a*c", "abcd") || matches("a*c", "xabc") || matches("abc", "abcd"));
    assert_true(matches("*a*b*", "xxaxxbxx") && matches("**a**", "a"));
    assert_true(matches(" pin , , code", "Pin") && matches(" pin , , code", "CODE"));
    assert_false(matches("", "secret") || matches(" , ", "secret"));
    assert_false(matches("*key,!*public*", "public_key") ||
                 matches("!*public*,*key", "public_key"));
    assert_true(matches("пароль", "пароль") && matches("*ключ", "мой_ключ"));

    /* Long keys, and the worst that a pattern can be made to do. */
    char *key = malloc(100001);

    memset(key, 'a', 100000);
    key[100000] = '\0';
    assert_false(matches("*a*a*a*a*a*b", key));
    memcpy(key + 99990, "secret", 6);
    assert_true(matches("*secret*", key));
    free(key);
}

static void test_wrong_patterns(void **state)
{
    static const char *const wrong[] = {"*", "a,**", "!*", "!", "_", "a,-*-"};
    char many[1000] = "";
    char longest[300];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct err err = {0};

        assert_null(secret_names_new(wrong[i], &err));
        assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
    }
    for (int i = 0; i < 101; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "k%d,", i);
    memset(longest, 'x', sizeof(longest));
    longest[101] = '\0';
    struct err err = {0};

    assert_null(secret_names_new(many, &err));
    assert_null(secret_names_new(longest, &err));
    longest[100] = '\0';
    assert_true(matches(longest, longest));
}

/* ---- Making configurations ---- */

static value *new_value(Google__Protobuf__Value__KindCase kind)
{
    value *v = ARENA_NEW(arena, value);

    google__protobuf__value__init(v);
    v->kind_case = kind;
    return v;
}

static value *text(const char *t)
{
    value *v = new_value(GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE);

    v->string_value = arena_strdup(arena, t);
    return v;
}

static value *number(double n)
{
    value *v = new_value(GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE);

    v->number_value = n;
    return v;
}

static value *null(void)
{
    return new_value(GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE);
}

/* key, value, …, NULL */
static object *make_object(const char *key, va_list more)
{
    object *o = ARENA_NEW(arena, object);

    google__protobuf__struct__init(o);
    o->fields = ARENA_ARRAY(arena, member *, 64);
    for (; key; key = va_arg(more, const char *)) {
        member *m = ARENA_NEW(arena, member);

        google__protobuf__struct__fields_entry__init(m);
        m->key = arena_strdup(arena, key);
        m->value = va_arg(more, value *);
        o->fields[o->n_fields++] = m;
    }
    return o;
}

static value *of(const char *key, ...)
{
    value *v = new_value(GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE);
    va_list more;

    va_start(more, key);
    v->struct_value = make_object(key, more);
    va_end(more);
    return v;
}

static value *items(value *first, ...)
{
    value *v = new_value(GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE);
    va_list more;

    v->list_value = ARENA_NEW(arena, list);
    google__protobuf__list_value__init(v->list_value);
    v->list_value->values = ARENA_ARRAY(arena, value *, 16);
    va_start(more, first);
    for (; first; first = va_arg(more, value *))
        v->list_value->values[v->list_value->n_values++] = first;
    va_end(more);
    return v;
}

/* name, value (an object), …, NULL */
static config *tools(const char *name, ...)
{
    config *c = ARENA_NEW(arena, config);
    va_list more;

    dialplane__v1__skillbase_config__init(c);
    c->tools = ARENA_ARRAY(arena, tool *, 16);
    va_start(more, name);
    for (; name; name = va_arg(more, const char *)) {
        tool *t = ARENA_NEW(arena, tool);

        dialplane__v1__tool__init(t);
        t->name = arena_strdup(arena, name);
        t->config = va_arg(more, value *)->struct_value;
        c->tools[c->n_tools++] = t;
    }
    va_end(more);
    return c;
}

static struct str wire_of(const config *c)
{
    size_t size = dialplane__v1__skillbase_config__get_packed_size(c);
    uint8_t *bytes = arena_alloc(arena, size);

    return (struct str){(char *)bytes, dialplane__v1__skillbase_config__pack(c, bytes)};
}

static void assert_shown(const config *stored, const config *expected)
{
    struct str wire = wire_of(stored), wanted = wire_of(expected);
    struct buf out;

    buf_init(&out, 0);
    enum secrets_shown shown = secrets_hide(names, wire, &out);
    struct str got = shown == SECRETS_HIDDEN ? buf_str(&out) : wire;

    assert_int_not_equal(shown, SECRETS_BROKEN);
    assert_int_equal(got.length, wanted.length);
    assert_memory_equal(got.data, wanted.data, wanted.length);
    assert_int_equal(shown == SECRETS_NONE,
                     wire.length == wanted.length && !memcmp(wire.data, wanted.data, wire.length));
    buf_done(&out);
}

/* ---- Hiding ---- */

static void test_hide(void **state)
{
    (void)state;
    assert_shown(tools(NULL), tools(NULL));
    assert_shown(tools("a", of("url", text("u"), "n", number(1), NULL), NULL),
                 tools("a", of("url", text("u"), "n", number(1), NULL), NULL));
    assert_shown(tools("a", of("url", text("u"), "api_key", text("k"), NULL), "b",
                       of("password", number(0), "p", text("p"), NULL), NULL),
                 tools("a", of("url", text("u"), "api_key", text("***"), NULL), "b",
                       of("password", text("***"), "p", text("p"), NULL), NULL));
    /* what is empty hides nothing; what is hidden is hidden as a whole */
    assert_shown(tools("a",
                       of("secret", null(), "token", text(""), "credentials", of(NULL), "tokens",
                          items(NULL), NULL),
                       NULL),
                 tools("a",
                       of("secret", null(), "token", text(""), "credentials", of(NULL), "tokens",
                          items(NULL), NULL),
                       NULL));
    assert_shown(tools("a",
                       of("credentials", of("user", text("u"), NULL), "tokens",
                          items(text("t"), null(), NULL), NULL),
                       NULL),
                 tools("a", of("credentials", text("***"), "tokens", text("***"), NULL), NULL));
    /* at any depth, and as a pair */
    assert_shown(
        tools("a",
              of("x",
                 items(items(of("y", of("token", text("t"), NULL), NULL), NULL),
                       of("name", text("X-Api-Key"), "value", text("v"), NULL),
                       of("name", text("Accept"), "value", text("v"), NULL),
                       of("value", items(text("v"), NULL), "header", text("cookie"), NULL), NULL),
                 NULL),
              NULL),
        tools("a",
              of("x",
                 items(items(of("y", of("token", text("***"), NULL), NULL), NULL),
                       of("name", text("X-Api-Key"), "value", text("***"), NULL),
                       of("name", text("Accept"), "value", text("v"), NULL),
                       of("value", text("***"), "header", text("cookie"), NULL), NULL),
                 NULL),
              NULL));
}

/* Lengths of one, two and three bytes on the way up change with what is hidden. */
static void test_hide_lengths(void **state)
{
    static const size_t sizes[] = {1, 3, 100, 120, 125, 130, 16200, 16300, 16383, 16400, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *filling = arena_alloc(arena, sizes[i] + 1);

        memset(filling, 'f', sizes[i]);
        filling[sizes[i]] = '\0';
        assert_shown(
            tools("a", of("x", of("secret", text(filling), NULL), "y", text("y"), NULL), NULL),
            tools("a", of("x", of("secret", text("***"), NULL), "y", text("y"), NULL), NULL));
        assert_shown(
            tools("a", of("x", of("secret", text("s"), "f", text(filling), NULL), NULL), NULL),
            tools("a", of("x", of("secret", text("***"), "f", text(filling), NULL), NULL), NULL));
    }
}

static void test_broken_wire(void **state)
{
    struct str wire = wire_of(tools("a", of("x", of("secret", text("s"), NULL), NULL), NULL));
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    for (size_t cut = 1; cut < wire.length; cut++) /* each begins inside the only tool */
        assert_int_equal(secrets_hide(names, (struct str){wire.data, cut}, &out), SECRETS_BROKEN);
    buf_done(&out);
    buf_init(&out, 4);
    assert_int_equal(secrets_hide(names, wire, &out), SECRETS_BROKEN);
    assert_true(out.failed);
    buf_done(&out);
}

/* ---- Keeping ---- */

static size_t restored(config *new, const config *stored, const config *expected)
{
    struct violations wrong;

    violations_init(&wrong, arena, 10);
    secrets_restore(names, new, stored, "config", arena, &wrong);
    if (expected) {
        struct str got = wire_of(new), wanted = wire_of(expected);

        assert_int_equal(got.length, wanted.length);
        assert_memory_equal(got.data, wanted.data, wanted.length);
    }
    return wrong.count;
}

static void test_restore(void **state)
{
    const config *stored = tools("a", of("token", text("t"), "n", number(1), NULL), "b",
                                 of("token", of("x", text("y"), NULL), NULL), NULL);

    (void)state;
    /* other order, other members */
    assert_int_equal(restored(tools("b", of("token", text("***"), NULL), "a",
                                    of("m", number(2), "token", text("***"), NULL), NULL),
                              stored,
                              tools("b", of("token", of("x", text("y"), NULL), NULL), "a",
                                    of("m", number(2), "token", text("t"), NULL), NULL)),
                     0);
    /* a new name, unless there is a choice or nothing */
    assert_int_equal(restored(tools("a", of("token", text("***"), NULL), "c",
                                    of("token", text("***"), NULL), NULL),
                              stored,
                              tools("a", of("token", text("t"), NULL), "c",
                                    of("token", of("x", text("y"), NULL), NULL), NULL)),
                     0);
    assert_int_equal(restored(tools("c", of("token", text("***"), NULL), NULL), stored, NULL), 1);
    assert_int_equal(restored(tools("a", of(NULL), "c", of("token", text("***"), NULL), "d",
                                    of("token", text("***"), NULL), NULL),
                              stored, NULL),
                     1); /* the first of two has taken it */
    assert_int_equal(restored(tools("a", of("pwd", text("***"), "token", text("***"), NULL), NULL),
                              stored, NULL),
                     1);
    /* a new value is a new value, and "***" under a name that hides nothing is a text */
    assert_int_equal(restored(tools("a", of("token", text("new"), "n", text("***"), NULL), NULL),
                              stored,
                              tools("a", of("token", text("new"), "n", text("***"), NULL), NULL)),
                     0);
}

static value *item(double n, const char *token)
{
    return of("n", number(n), "token", text(token), NULL);
}

static void test_restore_lists(void **state)
{
    const config *stored =
        tools("a", of("l", items(item(1, "t1"), item(2, "t2"), item(3, "t3"), NULL), NULL), NULL);

    (void)state;
    assert_int_equal(
        restored(tools("a", of("l", items(item(3, "***"), item(1, "***"), NULL), NULL), NULL),
                 stored,
                 tools("a", of("l", items(item(3, "t3"), item(1, "t1"), NULL), NULL), NULL)),
        0);
    assert_int_equal(
        restored(tools("a",
                       of("l", items(item(3, "***"), item(9, "***"), item(1, "***"), NULL), NULL),
                       NULL),
                 stored,
                 tools("a", of("l", items(item(3, "t3"), item(9, "t2"), item(1, "t1"), NULL), NULL),
                       NULL)),
        0);
    /* the place of 9 is that of an item that is elsewhere now */
    assert_int_equal(
        restored(tools("a",
                       of("l", items(item(2, "***"), item(9, "***"), item(1, "***"), NULL), NULL),
                       NULL),
                 stored, NULL),
        1);
    assert_int_equal(
        restored(tools("a", of("l", items(item(9, "***"), NULL), NULL), NULL), stored, NULL), 1);
    assert_int_equal(restored(tools("a", of("l", item(1, "***"), NULL), NULL), stored, NULL), 1);
}

static void test_find_marks(void **state)
{
    struct violations marks, wrong;
    const config *sent =
        tools("a",
              of("token", text("***"), "x", items(of("pwd", text("***"), NULL), NULL), "y",
                 text("***"), NULL),
              "b", of("credentials", of("p", items(text("***"), NULL), NULL), NULL), NULL);

    (void)state;
    violations_init(&marks, arena, 10);
    violations_init(&wrong, arena, 10);
    assert_int_equal(secrets_find_marks(names, sent, "config", &marks, &wrong), 2);
    assert_int_equal(marks.count, 2);
    assert_string_equal(marks.first->field, "config.tools[0].config.token");
    assert_string_equal(marks.last->field, "config.tools[0].config.x[0].pwd");
    assert_int_equal(wrong.count, 1);
    assert_string_equal(wrong.first->field, "config.tools[1].config.credentials");
    assert_int_equal(secrets_find_marks(names, NULL, "config", &marks, &wrong), 0);
    /* A key may be as long as it likes; a path is cut. */
    char *key = arena_alloc(arena, 5001);

    memset(key, 'k', 5000);
    key[5000] = '\0';
    sent = tools("a", of(key, of("token", text("***"), NULL), NULL), NULL);
    assert_int_equal(secrets_find_marks(names, sent, "config", &marks, &wrong), 1);
    assert_true(strlen(marks.last->field) < 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_patterns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_patterns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hide, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hide_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_wire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restore, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restore_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_marks, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
