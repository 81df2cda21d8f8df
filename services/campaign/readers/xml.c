#include "readers/xml.h"

#include <expat.h>
#include <stdlib.h>

#define TOKEN_MOST_BYTES ((XML_Index)1024 * 1024)
#define DEPTH_MOST 64

struct xml {
    XML_Parser parser;
    const struct xml_handlers *handlers;
    void *context;
    const char *part;
    XML_Index fed;
    unsigned depth;
    bool is_end;
    struct err err; /* why a handler stopped it */
};

static const char *local_name(const char *name)
{
    const char *colon = strchr(name, ':');

    return colon ? colon + 1 : name;
}

const char *xml_attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (!strcmp(attributes[0], name))
            return attributes[1];
    return NULL;
}

const char *xml_prefixed_attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strchr(attributes[0], ':') && !strcmp(local_name(attributes[0]), name))
            return attributes[1];
    return NULL;
}

bool xml_fail(struct xml *xml, const struct err *err)
{
    if (!err_is_set(&xml->err)) {
        xml->err = *err;
        XML_StopParser(xml->parser, XML_FALSE);
    }
    return false;
}

void xml_pause(struct xml *xml)
{
    if (!err_is_set(&xml->err))
        XML_StopParser(xml->parser, XML_TRUE);
}

static void refuse(struct xml *xml, const char *what)
{
    struct err err = {0};

    err_set(&err, ERR_INVALID_ARGUMENT, NULL, "the workbook is not usable: %s %s", xml->part, what);
    xml_fail(xml, &err);
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes)
{
    struct xml *xml = context;

    if (++xml->depth > DEPTH_MOST)
        refuse(xml, "is nested too deeply");
    else if (!err_is_set(&xml->err))
        xml->handlers->start(xml->context, local_name(name), attributes);
}

static void XMLCALL on_end(void *context, const char *name)
{
    struct xml *xml = context;

    xml->depth--;
    if (!err_is_set(&xml->err))
        xml->handlers->end(xml->context, local_name(name));
}

static void XMLCALL on_text(void *context, const char *text, int length)
{
    struct xml *xml = context;

    if (!err_is_set(&xml->err))
        xml->handlers->text(xml->context, (struct str){text, (size_t)length});
}

/* Entities are declared nowhere else, so this is the end of every bomb made of them. */
static void XMLCALL on_doctype(void *context, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    struct xml *xml = context;

    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    refuse(xml, "has a DOCTYPE, which no workbook has: save it again with a spreadsheet program");
}

struct xml *xml_new(const struct xml_handlers *handlers, void *context, const char *part)
{
    struct xml *xml = calloc(1, sizeof(*xml));

    if (!xml)
        return NULL;
    xml->parser = XML_ParserCreate(NULL);
    if (!xml->parser) {
        free(xml);
        return NULL;
    }
    xml->handlers = handlers;
    xml->context = context;
    xml->part = part;
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, on_start, on_end);
    if (handlers->text)
        XML_SetCharacterDataHandler(xml->parser, on_text);
    XML_SetStartDoctypeDeclHandler(xml->parser, on_doctype);
    return xml;
}

void xml_free(struct xml *xml)
{
    if (!xml)
        return;
    XML_ParserFree(xml->parser);
    free(xml);
}

static enum xml_result result_of(struct xml *xml, enum XML_Status status, struct err *err)
{
    enum XML_Error error = XML_GetErrorCode(xml->parser);

    if (err_is_set(&xml->err)) {
        *err = xml->err;
        return XML_FAILED;
    }
    if (status == XML_STATUS_SUSPENDED)
        return XML_PAUSED;
    if (status == XML_STATUS_ERROR) {
        if (error == XML_ERROR_NO_MEMORY)
            err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        else
            err_set(err, ERR_INVALID_ARGUMENT, NULL,
                    "the workbook is broken: %s is not well-formed in line %lu: %s; save it again "
                    "with a spreadsheet program",
                    xml->part, (unsigned long)XML_GetCurrentLineNumber(xml->parser),
                    XML_ErrorString(error));
        return XML_FAILED;
    }
    /* expat keeps a tag until its end has come. */
    if (!xml->is_end && xml->fed - XML_GetCurrentByteIndex(xml->parser) > TOKEN_MOST_BYTES) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "the workbook is not usable: a tag in %s is longer than 1 MB", xml->part);
        return XML_FAILED;
    }
    return XML_TAKEN;
}

enum xml_result xml_feed(struct xml *xml, struct str bytes, bool is_end, struct err *err)
{
    xml->fed += (XML_Index)bytes.length;
    xml->is_end = is_end;
    return result_of(xml, XML_Parse(xml->parser, bytes.data, (int)bytes.length, is_end), err);
}

enum xml_result xml_resume(struct xml *xml, struct err *err)
{
    return result_of(xml, XML_ResumeParser(xml->parser), err);
}
