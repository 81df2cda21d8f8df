# The gateway from policy to pages, and the executable. Each part may use those above it only.
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(LIBEVENT_EXTRA REQUIRED IMPORTED_TARGET libevent_extra) # evdns: names without blocking the loop

function(dialplane_gateway_part name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${name}/)
  add_library(dialplane_gateway_${name} STATIC ${ARG_SOURCES})
  target_include_directories(dialplane_gateway_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/services/runtime)
  target_link_libraries(dialplane_gateway_${name} PRIVATE dialplane_flags PUBLIC ${ARG_LINK})
endfunction()

dialplane_gateway_part(policy
  SOURCES client_address.c cors.c credentials.c etag.c identity.c media.c problem.c rate_credentials.c rate_limit.c rate_share.c rate_text.c
  LINK dialplane_gateway_http dialplane_bus dialplane_app dialplane_base)
dialplane_gateway_part(route
  SOURCES bind.c multipart.c percent.c query_credentials.c router.c template.c transcode.c
  LINK dialplane_gateway_policy dialplane_json dialplane_schema dialplane_base)
dialplane_gateway_part(upstream
  SOURCES backend.c call.c channel.c exporter.c health.c resolve.c session.c status.c
  LINK dialplane_gateway_route dialplane_gateway_http dialplane_loop PkgConfig::NGHTTP2 PkgConfig::LIBEVENT_EXTRA)
dialplane_gateway_part(call
  SOURCES download.c limits.c request.c safe_headers.c stats.c unary.c upload.c
  LINK dialplane_gateway_upstream dialplane_gateway_route dialplane_gateway_http)
dialplane_gateway_part(live
  SOURCES behind.c event.c history.c hub.c socket.c stream.c watch.c
  LINK dialplane_gateway_call)

# Files that are part of the program: the pages, and the recorded examples of /openapi.json.
function(dialplane_embed directory name)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/pages/${directory}/*)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DDIRECTORY=${CMAKE_CURRENT_LIST_DIR}/pages/${directory} -DNAME=${name} -DOUT=${out}
            -P ${CMAKE_CURRENT_LIST_DIR}/pages/embed.cmake
    DEPENDS ${files} ${CMAKE_CURRENT_LIST_DIR}/pages/embed.cmake
    VERBATIM)
endfunction()
dialplane_embed(static gateway_embedded_files)
dialplane_embed(examples gateway_examples)
set(docs ${CMAKE_CURRENT_BINARY_DIR}/docs)
add_custom_command(
  OUTPUT ${docs}/docs_assets.o
  COMMAND ${CMAKE_COMMAND} -DOUT=${docs} -P ${CMAKE_CURRENT_LIST_DIR}/pages/docs/fetch.cmake
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/pages/docs/fetch.cmake
  VERBATIM)
dialplane_gateway_part(pages
  SOURCES docs.c health.c metrics.c openapi.c openapi_examples.c openapi_responses.c openapi_schema.c openapi_uses.c openapi_writer.c
          static.c
  LINK dialplane_gateway_call dialplane_app)
target_sources(dialplane_gateway_pages PRIVATE
  ${CMAKE_CURRENT_BINARY_DIR}/gateway_embedded_files.c ${CMAKE_CURRENT_BINARY_DIR}/gateway_examples.c ${docs}/docs_assets.o)

find_package(Threads REQUIRED)
dialplane_executable(dialplane-gateway
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/main.c ${CMAKE_CURRENT_LIST_DIR}/limit_settings.c ${CMAKE_CURRENT_LIST_DIR}/worker.c ${CMAKE_CURRENT_LIST_DIR}/redirect.c ${CMAKE_CURRENT_LIST_DIR}/secure.c
  LINK dialplane_gateway_pages dialplane_gateway_live dialplane_app Threads::Threads)
