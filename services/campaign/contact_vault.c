#include "contact_vault.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void contact_data_place(struct vault_place *place, const struct uuid *campaign, struct str phone)
{
    vault_place_init(place, "call_task_contacts.contact_data");
    vault_place_uuid(place, campaign);
    vault_place_text(place, phone);
}

void upload_content_place(struct vault_place *place, const struct uuid *upload, int64_t row)
{
    vault_place_init(place, "call_list_upload_errors.content");
    vault_place_uuid(place, upload);
    vault_place_int64(place, row);
}

void upload_chunk_place(struct vault_place *place, const struct uuid *upload, int64_t number)
{
    vault_place_init(place, "call_list_upload_chunks.data");
    vault_place_uuid(place, upload);
    vault_place_int64(place, number);
}

/* The text between the quotes of a JSON string of base64url, which has no escapes. */
static bool sealed_string(struct str json, struct str *ret_text)
{
    if (json.length < 2 || json.data[0] != '"' || json.data[json.length - 1] != '"')
        return false;
    *ret_text = (struct str){json.data + 1, json.length - 2};
    return vault_is_sealed_text(*ret_text);
}

static bool no_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the contact's data do not fit the memory of one call");
}

static bool damaged(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "DATA_DAMAGED", "a contact's stored data cannot be read");
}

static struct str keep(struct arena *arena, struct str text, struct err *err)
{
    const char *copy = arena_strndup(arena, text.data, text.length);

    if (!copy)
        no_memory(err);
    return (struct str){copy, text.length};
}

static json_t *open_layer(const struct vault *vault, const struct vault_place *place,
                          const json_t *layer, struct err *err)
{
    struct buf plain;
    json_t *object = NULL;

    if (json_is_object(layer))
        return json_deep_copy(layer);
    struct str text = {json_string_value(layer), json_string_length(layer)};

    if (!json_is_string(layer) || !vault_is_sealed_text(text)) {
        damaged(err);
        return NULL;
    }
    buf_init(&plain, 0);
    if (vault_open_text(vault, place, text, &plain, err) &&
        !(object = json_loadb(plain.data, plain.length, 0, NULL)))
        damaged(err);
    buf_done(&plain);
    return object;
}

static struct str open_layers(const struct vault *vault, const struct vault_place *place,
                              struct str stored, struct arena *arena, struct err *err)
{
    json_t *layers = json_loadb(stored.data, stored.length, 0, NULL), *layer;
    json_t *whole = json_object();
    struct str result = {NULL, 0};
    bool ok = (json_is_array(layers) && whole) || damaged(err);
    size_t i;

    json_array_foreach(layers, i, layer)
    {
        json_t *object = ok ? open_layer(vault, place, layer, err) : NULL;

        ok = object && json_object_update(whole, object) == 0;
        json_decref(object);
    }
    char *text = ok ? json_dumps(whole, JSON_COMPACT) : NULL;

    if (text)
        result = keep(arena, str_from(text), err);
    else if (!err_is_set(err))
        no_memory(err);
    free(text);
    json_decref(whole);
    json_decref(layers);
    return result;
}

struct str contact_data_open(const struct vault *vault, const struct uuid *campaign,
                             struct str phone, struct str stored, struct arena *arena,
                             struct err *err)
{
    struct str text, result = {NULL, 0};
    struct vault_place place;
    struct buf plain;

    if (stored.length && stored.data[0] == '{')
        return stored;
    contact_data_place(&place, campaign, phone);
    if (!sealed_string(stored, &text))
        return open_layers(vault, &place, stored, arena, err);
    buf_init(&plain, 0);
    if (vault_open_text(vault, &place, text, &plain, err))
        result = keep(arena, buf_str(&plain), err);
    buf_done(&plain);
    return result;
}

bool contact_data_is_current(const struct vault *vault, struct str stored)
{
    struct str text;

    if (stored.length && stored.data[0] == '{')
        return !vault_seals(vault) || stored.length == 2; /* nothing is in it */
    return sealed_string(stored, &text) && vault_is_current_text(vault, text);
}

bool contact_data_seal(const struct vault *vault, const struct uuid *campaign, struct str phone,
                       struct str object, struct buf *out)
{
    struct vault_place place;

    if (!vault_seals(vault) || object.length == 2) {
        buf_put_str(out, object);
        return !out->failed;
    }
    contact_data_place(&place, campaign, phone);
    buf_put_char(out, '"');
    vault_seal_text(vault, &place, object, out);
    buf_put_char(out, '"');
    return !out->failed;
}
