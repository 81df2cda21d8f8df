#include "config_check.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX
/* "skillbase.config" and what follows in here; paths of this file are short. */
#define LIST_SIZE 128
#define PATH_SIZE (LIST_SIZE + 64)
/* Longest piece of a client's name in a message: 100 code points, the limit of the .proto. */
#define QUOTE_LIMIT 400

/* ---- Names, sorted ----
 * Sorting instead of hashing: its worst case needs no trust in who chose the names. */

struct name {
    const char *text;
    size_t index;
};

struct names {
    struct name *sorted; /* by text, then index */
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    int order = strcmp(left->text, right->text);

    return order ? order : (left->index > right->index) - (left->index < right->index);
}

/* Index of the first one called `text`, or NOWHERE. */
static size_t find_name(const struct names *names, const char *text)
{
    size_t low = 0, high = names->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->sorted[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < names->count && !strcmp(names->sorted[low].text, text))
        return names->sorted[low].index;
    return NOWHERE;
}

/* What cannot be checked must not pass as checked. In effect unreachable: the message itself would
 * have filled the arena before. */
static void give_up(const char *path, struct violations *violations)
{
    violations_add(violations, path, "is too large to be checked");
}

/* Bytes of `text` to show: whole code points, at most QUOTE_LIMIT. */
static int quoted_length(const char *text)
{
    size_t length = strnlen(text, QUOTE_LIMIT + 1);

    if (length > QUOTE_LIMIT)
        for (length = QUOTE_LIMIT; length && ((unsigned char)text[length] & 0xC0) == 0x80;)
            length--;
    return (int)length;
}

/* ---- Uniqueness ---- */

/* Sorts `names` and reports each that is there already, in the order of the message. `list` is the
 * path of the list, `member` the field that names, `noun` what is named. */
static void check_unique(struct names *names, const char *list, const char *member,
                         const char *noun, struct violations *violations)
{
    size_t total = 0;
    for (size_t i = 0; i < names->count; i++)
        if (names->sorted[i].index >= total)
            total = names->sorted[i].index + 1;
    qsort(names->sorted, names->count, sizeof(*names->sorted), compare_names);

    size_t *first = arena_calloc(violations->arena, total, sizeof(*first));
    const char **text = arena_calloc(violations->arena, total, sizeof(*text));
    if (!first || !text) {
        give_up(list, violations);
        return;
    }
    for (size_t i = 1; i < names->count; i++) {
        const struct name *name = &names->sorted[i], *before = &names->sorted[i - 1];
        if (strcmp(name->text, before->text))
            continue;
        text[name->index] = name->text;
        first[name->index] = text[before->index] ? first[before->index] : before->index;
    }
    const char *short_list = strrchr(list, '.') ? strrchr(list, '.') + 1 : list;
    for (size_t i = 0; i < total; i++) {
        if (!text[i])
            continue;
        char path[PATH_SIZE];
        snprintf(path, sizeof(path), "%s[%zu].%s", list, i, member);
        violations_add(violations, path, "duplicate %s \"%.*s\": %s[%zu] has it already", noun,
                       quoted_length(text[i]), text[i], short_list, first[i]);
    }
}

/* A missing name is what the value rules report; it is nobody's duplicate. */
static void add_name(struct names *names, const char *text, size_t index)
{
    if (text && *text)
        names->sorted[names->count++] = (struct name){text, index};
}

static bool list_states(const Dialplane__V1__Flow *flow, struct arena *arena,
                        struct names *ret_names)
{
    *ret_names = (struct names){arena_calloc(arena, flow->n_states, sizeof(struct name)), 0};
    if (!ret_names->sorted)
        return false;
    for (size_t i = 0; i < flow->n_states; i++)
        add_name(ret_names, flow->states[i]->id, i);
    return true;
}

/* ---- Transitions ---- */

static void check_end(const struct names *states, const char *state, const char *transitions,
                      size_t index, const char *end, const char *tail,
                      struct violations *violations)
{
    if (!state || !*state || find_name(states, state) != NOWHERE)
        return;
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s[%zu].%s", transitions, index, end);
    violations_add(violations, path, "unknown state \"%.*s\"%s", quoted_length(state), state, tail);
}

/* `states` sorted. `tail` ends each message. */
static void check_transitions(const Dialplane__V1__Flow *flow, const struct names *states,
                              const char *path, const char *tail, struct violations *violations)
{
    char list[LIST_SIZE];
    snprintf(list, sizeof(list), "%s.flow.transitions", path);
    for (size_t i = 0; i < flow->n_transitions; i++) {
        const Dialplane__V1__Transition *transition = flow->transitions[i];
        check_end(states, transition->from_state, list, i, "from_state", tail, violations);
        check_end(states, transition->to_state, list, i, "to_state", tail, violations);
    }
}

/* ---- The check ---- */

static void check_flow(const Dialplane__V1__Flow *flow, const char *path,
                       struct violations *violations)
{
    char list[LIST_SIZE];
    snprintf(list, sizeof(list), "%s.flow.states", path);
    struct names states;
    if (!list_states(flow, violations->arena, &states)) {
        give_up(list, violations);
        return;
    }
    check_unique(&states, list, "id", "state", violations);
    if (flow->type == DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_GRAPH)
        check_transitions(flow, &states, path, "", violations);
}

static void check_tools(const Dialplane__V1__SkillbaseConfig *config, const char *path,
                        struct violations *violations)
{
    char list[LIST_SIZE];
    snprintf(list, sizeof(list), "%s.tools", path);
    struct names names = {arena_calloc(violations->arena, config->n_tools, sizeof(struct name)), 0};
    if (!names.sorted) {
        give_up(list, violations);
        return;
    }
    for (size_t i = 0; i < config->n_tools; i++)
        add_name(&names, config->tools[i]->name, i);
    check_unique(&names, list, "name", "tool", violations);
}

void skillbase_config_check(const Dialplane__V1__SkillbaseConfig *config, const char *path,
                            struct violations *violations)
{
    if (!config)
        return;
    if (config->flow)
        check_flow(config->flow, path, violations);
    check_tools(config, path, violations);
}

/* ---- Doubts ---- */

/* The transitions as lists by the state they leave: those of state s are to[from[s]] … to[from[s +
 * 1] - 1]. */
struct ways {
    size_t *from, *to;
};

static bool list_ways(const Dialplane__V1__Flow *flow, const struct names *states,
                      struct arena *arena, struct ways *ret_ways)
{
    size_t *from = arena_calloc(arena, flow->n_states + 2, sizeof(*from));
    size_t *to = arena_calloc(arena, flow->n_transitions, sizeof(*to));
    size_t *start = arena_calloc(arena, flow->n_transitions, sizeof(*start));
    size_t *end = arena_calloc(arena, flow->n_transitions, sizeof(*end));
    if (!from || !to || !start || !end)
        return false;
    /* Counted one place further on, summed up, then filled: filling moves each start to where it
     * belongs. */
    for (size_t i = 0; i < flow->n_transitions; i++) {
        start[i] = find_name(states, flow->transitions[i]->from_state);
        end[i] = find_name(states, flow->transitions[i]->to_state);
        if (start[i] != NOWHERE && end[i] != NOWHERE)
            from[start[i] + 2]++;
    }
    for (size_t s = 2; s < flow->n_states + 2; s++)
        from[s] += from[s - 1];
    for (size_t i = 0; i < flow->n_transitions; i++)
        if (start[i] != NOWHERE && end[i] != NOWHERE)
            to[from[start[i] + 1]++] = end[i];
    *ret_ways = (struct ways){from, to};
    return true;
}

static void doubt_graph(const Dialplane__V1__Flow *flow, const struct names *states,
                        const char *path, struct violations *warnings)
{
    struct ways ways;
    bool *reached = arena_calloc(warnings->arena, flow->n_states, sizeof(*reached));
    size_t *queue = arena_calloc(warnings->arena, flow->n_states, sizeof(*queue));
    if (!reached || !queue || !list_ways(flow, states, warnings->arena, &ways)) {
        give_up(path, warnings);
        return;
    }
    size_t head = 0, tail = 0;
    queue[tail++] = 0;
    reached[0] = true;
    while (head < tail) {
        size_t state = queue[head++];
        for (size_t i = ways.from[state]; i < ways.from[state + 1]; i++) {
            if (reached[ways.to[i]])
                continue;
            reached[ways.to[i]] = true;
            queue[tail++] = ways.to[i];
        }
    }
    const char *first = flow->states[0]->id;
    for (size_t i = 0; i < flow->n_states; i++) {
        if (reached[i])
            continue;
        const char *id = flow->states[i]->id;
        char field[PATH_SIZE];
        snprintf(field, sizeof(field), "%s.flow.states[%zu]", path, i);
        /* Two names share what one may have, so that the message stays whole. */
        if (quoted_length(first) + quoted_length(id) <= QUOTE_LIMIT)
            violations_add(warnings, field,
                           "state \"%s\" cannot be reached from the first state, \"%s\"", id,
                           first);
        else
            violations_add(warnings, field, "state \"%.*s\" cannot be reached", quoted_length(id),
                           id);
    }
}

void skillbase_config_doubt(const Dialplane__V1__SkillbaseConfig *config, const char *path,
                            struct violations *warnings)
{
    const Dialplane__V1__Flow *flow = config ? config->flow : NULL;
    if (!flow || !flow->n_states)
        return;
    struct names states;
    if (!list_states(flow, warnings->arena, &states)) {
        give_up(path, warnings);
        return;
    }
    qsort(states.sorted, states.count, sizeof(*states.sorted), compare_names);
    if (flow->type == DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_GRAPH)
        doubt_graph(flow, &states, path, warnings);
    else
        check_transitions(flow, &states, path, " (a linear flow does not use its transitions)",
                          warnings);
}
