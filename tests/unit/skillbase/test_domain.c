/* The rules of a configuration that the .proto cannot say. */
#include "domain/config_check.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define GRAPH DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_GRAPH
#define LINEAR DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_LINEAR

static struct arena *arena;
static Dialplane__V1__SkillbaseConfig config;
static Dialplane__V1__Flow flow;
static struct violations found;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new((size_t)256 << 20);
    dialplane__v1__skillbase_config__init(&config);
    dialplane__v1__flow__init(&flow);
    config.flow = &flow;
    flow.type = GRAPH;
    violations_init(&found, arena, 10000);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* Room is made in steps of powers of two. */
static void *grow(void *items, size_t count)
{
    if (count & (count - 1))
        return items;
    void **more = ARENA_ARRAY(arena, void *, count ? 2 * count : 1);
    assert_non_null(more);
    if (count)
        memcpy(more, items, count * sizeof(void *));
    return more;
}

static void add_state(const char *id)
{
    Dialplane__V1__FlowState *state = ARENA_NEW(arena, Dialplane__V1__FlowState);
    dialplane__v1__flow_state__init(state);
    state->id = (char *)id;
    flow.states = grow(flow.states, flow.n_states);
    flow.states[flow.n_states++] = state;
}

static void add_transition(const char *from, const char *to)
{
    Dialplane__V1__Transition *transition = ARENA_NEW(arena, Dialplane__V1__Transition);
    dialplane__v1__transition__init(transition);
    transition->from_state = (char *)from;
    transition->to_state = (char *)to;
    flow.transitions = grow(flow.transitions, flow.n_transitions);
    flow.transitions[flow.n_transitions++] = transition;
}

static void add_tool(const char *name)
{
    Dialplane__V1__Tool *tool = ARENA_NEW(arena, Dialplane__V1__Tool);
    dialplane__v1__tool__init(tool);
    tool->name = (char *)name;
    config.tools = grow(config.tools, config.n_tools);
    config.tools[config.n_tools++] = tool;
}

/* The next finding, in the order in which they were made. */
static void expect(const char *field, const char *message)
{
    assert_non_null(found.first);
    assert_string_equal(found.first->field, field);
    assert_string_equal(found.first->message, message);
    found.first = found.first->next;
}

static void a_good_graph(void **state)
{
    (void)state;
    add_state("greeting");
    add_state("Прощание");
    add_transition("greeting", "Прощание");
    add_transition("Прощание", "Прощание");
    add_tool("a");
    add_tool("b");
    skillbase_config_check(&config, "config", &found);
    skillbase_config_doubt(&config, "config", &found);
    assert_int_equal(found.count, 0);
}

static void unknown_ends(void **state)
{
    (void)state;
    add_state("a");
    add_transition("a", "a");
    add_transition("b", "a");
    add_transition("A", "confirm");
    skillbase_config_check(&config, "config", &found);
    assert_int_equal(found.count, 3);
    expect("config.flow.transitions[1].from_state", "unknown state \"b\"");
    expect("config.flow.transitions[2].from_state", "unknown state \"A\"");
    expect("config.flow.transitions[2].to_state", "unknown state \"confirm\"");
}

static void duplicates_name_the_first(void **state)
{
    (void)state;
    add_state("b");
    add_state("a");
    add_state("b");
    add_state("a");
    add_state("b");
    add_tool("t");
    add_tool("t");
    skillbase_config_check(&config, "skillbase.config", &found);
    assert_int_equal(found.count, 4);
    expect("skillbase.config.flow.states[2].id", "duplicate state \"b\": states[0] has it already");
    expect("skillbase.config.flow.states[3].id", "duplicate state \"a\": states[1] has it already");
    expect("skillbase.config.flow.states[4].id", "duplicate state \"b\": states[0] has it already");
    expect("skillbase.config.tools[1].name", "duplicate tool \"t\": tools[0] has it already");
}

/* What the value rules report is not reported a second time, and nothing falls over. */
static void broken_messages(void **state)
{
    (void)state;
    skillbase_config_check(NULL, "config", &found);
    skillbase_config_doubt(NULL, "config", &found);
    config.flow = NULL;
    skillbase_config_check(&config, "config", &found);
    skillbase_config_doubt(&config, "config", &found);
    config.flow = &flow;
    flow.type = (Dialplane__V1__FlowType)77;
    add_state("");
    add_state("");
    add_tool("");
    add_tool("");
    add_transition("", "");
    skillbase_config_check(&config, "config", &found);
    flow.type = GRAPH;
    skillbase_config_check(&config, "config", &found);
    assert_int_equal(found.count, 0);
    flow.n_states = 0;
    add_transition("x", "");
    skillbase_config_check(&config, "config", &found);
    assert_int_equal(found.count, 1);
    expect("config.flow.transitions[1].from_state", "unknown state \"x\"");
}

static void unreachable_states(void **state)
{
    (void)state;
    add_state("a");
    add_state("b");
    add_state("c");
    add_state("d");
    add_state("e");
    add_transition("a", "c");
    add_transition("c", "d");
    add_transition("d", "a");
    add_transition("b", "e");
    add_transition("e", "b");
    skillbase_config_doubt(&config, "config", &found);
    assert_int_equal(found.count, 2);
    expect("config.flow.states[1]", "state \"b\" cannot be reached from the first state, \"a\"");
    expect("config.flow.states[4]", "state \"e\" cannot be reached from the first state, \"a\"");
}

static void a_linear_flow_may_name_anything(void **state)
{
    (void)state;
    flow.type = LINEAR;
    add_state("a");
    add_state("b");
    add_transition("a", "z");
    skillbase_config_check(&config, "config", &found);
    assert_int_equal(found.count, 0);
    skillbase_config_doubt(&config, "config", &found);
    assert_int_equal(found.count, 1);
    expect("config.flow.transitions[0].to_state",
           "unknown state \"z\" (a linear flow does not use its transitions)");
}

static void long_names_are_cut_between_characters(void **state)
{
    char name[1001];

    (void)state;
    memset(name, 'x', sizeof(name));
    for (int i = 399; i < 999; i += 2)
        memcpy(name + i, "ж", 2);
    name[1000] = '\0';
    add_state("a");
    add_transition("a", name);
    skillbase_config_check(&config, "config", &found);
    assert_int_equal(found.count, 1);
    size_t length = strlen(found.first->message);
    assert_string_equal(found.first->message + length - 2, "x\"");
    assert_int_equal(length, strlen("unknown state \"\"") + 399);
}

/* At sizes far beyond the limits: not quadratic. */
static void grows_gently(void **state)
{
    enum { COUNT = 200000 };
    (void)state;
    for (int i = 0; i < COUNT; i++)
        add_state(arena_printf(arena, "state number %d", i));
    for (int i = 0; i + 1 < COUNT; i++)
        add_transition(flow.states[i]->id, flow.states[i + 1]->id);
    clock_t start = clock();
    skillbase_config_check(&config, "config", &found);
    skillbase_config_doubt(&config, "config", &found);
    assert_int_equal(found.count, 0);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_graph, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicates_name_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreachable_states, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_linear_flow_may_name_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_names_are_cut_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(grows_gently, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
