#include "gateway/pages/docs.h"

#include "app/app.h"
#include "gateway/call/safe_headers.h"
#include "gateway/pages/openapi.h"

/* Larger than the document will be for a long time: today it is about 130 KB. */
#define OPENAPI_LIMIT_BYTES (8 << 20)

/* From docs_assets.o, which pages/docs/fetch.cmake links from the npm packages' files. Names as ld
 * makes them. */
extern const char _binary_swagger_ui_css_start[], _binary_swagger_ui_css_end[];
extern const char _binary_swagger_ui_js_start[], _binary_swagger_ui_js_end[];
extern const char _binary_redoc_js_start[], _binary_redoc_js_end[];

static const char swagger_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Dialplane API</title>\n<link rel=\"icon\" href=\"/favicon.svg\" "
    "type=\"image/svg+xml\">\n"
    "<link rel=\"stylesheet\" href=\"/docs/swagger-ui.css\">\n</head>\n<body>\n<div "
    "id=\"swagger-ui\"></div>\n"
    "<script src=\"/docs/swagger-ui.js\"></script>\n<script "
    "src=\"/docs/start.js\"></script>\n</body>\n</html>\n";
/* A file of its own: the content security policy allows no script inside a page. */
static const char swagger_start[] =
    "window.ui = SwaggerUIBundle({url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true,\n"
    "    tryItOutEnabled: true, displayRequestDuration: true, validatorUrl: null,\n"
    "    onComplete() {\n"
    "        const token = sessionStorage.getItem('dialplane-token'); // of the first page\n"
    "        if (token)\n"
    "            window.ui.preauthorizeApiKey('bearer', token);\n"
    "    }});\n";
static const char redoc_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Dialplane API reference</title>\n<link rel=\"icon\" href=\"/favicon.svg\" "
    "type=\"image/svg+xml\">\n"
    "<link rel=\"stylesheet\" href=\"/redoc/page.css\">\n</head>\n<body>\n<div "
    "id=\"redoc\"></div>\n"
    "<script src=\"/redoc/redoc.js\"></script>\n<script "
    "src=\"/redoc/start.js\"></script>\n</body>\n</html>\n";
static const char redoc_start[] =
    "Redoc.init('/openapi.json', {hideDownloadButton: false}, document.getElementById('redoc'));\n";
static const char missing_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Dialplane "
    "API</title>"
    "<link rel=\"stylesheet\" href=\"/page.css\"></head>\n<body>\n<main>\n<h1>This page is not in "
    "the build</h1>\n"
    "<p>Its npm packages (swagger-ui-dist, redoc) could not be fetched when Dialplane was built. "
    "Install <code>npm</code>, "
    "remove <code>build/*/gateway/docs</code> and build again.</p>\n"
    "<p>The description itself is at <a "
    "href=\"/openapi.json\">/openapi.json</a>.</p>\n</main>\n</body>\n</html>\n";

static bool add_asset(struct pages *pages, const char *path, const char *content_type,
                      const char *start, const char *end)
{
    return start == end ||
           pages_add(pages, path, content_type, (struct str){start, (size_t)(end - start)});
}

static bool add_pages(struct pages *pages)
{
    static const char html[] = "text/html; charset=utf-8";
    static const char script[] = "text/javascript; charset=utf-8";
    bool has_swagger = _binary_swagger_ui_js_end - _binary_swagger_ui_js_start > 0;
    bool has_redoc = _binary_redoc_js_end - _binary_redoc_js_start > 0;
    pages_set_policy(pages, PAGE_POLICY);
    if (!pages_add(pages, "/docs", html, str_from(has_swagger ? swagger_page : missing_page)) ||
        !pages_add(pages, "/docs/start.js", script, str_from(swagger_start)) ||
        !add_asset(pages, "/docs/swagger-ui.css", "text/css; charset=utf-8",
                   _binary_swagger_ui_css_start, _binary_swagger_ui_css_end) ||
        !add_asset(pages, "/docs/swagger-ui.js", script, _binary_swagger_ui_js_start,
                   _binary_swagger_ui_js_end))
        return false;
    pages_set_policy(pages, REDOC_POLICY);
    return pages_add(pages, "/redoc", html, str_from(has_redoc ? redoc_page : missing_page)) &&
           pages_add(pages, "/redoc/page.css", "text/css; charset=utf-8",
                     STR_LITERAL("body { margin: 0; }\n")) &&
           pages_add(pages, "/redoc/start.js", script, str_from(redoc_start)) &&
           add_asset(pages, "/redoc/redoc.js", script, _binary_redoc_js_start,
                     _binary_redoc_js_end);
}

bool docs_add(struct pages *pages, const struct schema *schema, struct err *err)
{
    struct buf document;
    buf_init(&document, OPENAPI_LIMIT_BYTES);
    bool ok = openapi_write(schema, app_version, &document) &&
              pages_add(pages, "/openapi.json", "application/json", buf_str(&document)) &&
              add_pages(pages);
    buf_done(&document);
    return ok ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "the OpenAPI description could not be made");
}
