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
  SOURCES cors.c etag.c identity.c media.c problem.c
  LINK dialplane_base)
dialplane_gateway_part(route
  SOURCES bind.c multipart.c percent.c router.c template.c transcode.c
  LINK dialplane_gateway_policy dialplane_json dialplane_schema dialplane_base)
dialplane_gateway_part(upstream
  SOURCES backend.c call.c channel.c resolve.c session.c status.c
  LINK dialplane_gateway_route dialplane_gateway_http dialplane_loop PkgConfig::NGHTTP2 PkgConfig::LIBEVENT_EXTRA)
dialplane_gateway_part(call
  SOURCES download.c request.c stats.c unary.c upload.c
  LINK dialplane_gateway_upstream dialplane_gateway_route dialplane_gateway_http)
dialplane_gateway_part(live
  SOURCES behind.c event.c history.c hub.c socket.c stream.c watch.c
  LINK dialplane_gateway_call)

set(pages_c ${CMAKE_CURRENT_BINARY_DIR}/gateway_pages.c)
file(GLOB_RECURSE page_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/pages/static/*)
add_custom_command(
  OUTPUT ${pages_c}
  COMMAND ${CMAKE_COMMAND} -DDIRECTORY=${CMAKE_CURRENT_LIST_DIR}/pages/static -DOUT=${pages_c}
          -P ${CMAKE_CURRENT_LIST_DIR}/pages/embed.cmake
  DEPENDS ${page_files} ${CMAKE_CURRENT_LIST_DIR}/pages/embed.cmake
  VERBATIM)
set(docs ${CMAKE_CURRENT_BINARY_DIR}/docs)
add_custom_command(
  OUTPUT ${docs}/docs_assets.o
  COMMAND ${CMAKE_COMMAND} -DOUT=${docs} -P ${CMAKE_CURRENT_LIST_DIR}/pages/docs/fetch.cmake
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/pages/docs/fetch.cmake
  VERBATIM)
dialplane_gateway_part(pages
  SOURCES docs.c health.c metrics.c openapi.c openapi_schema.c openapi_writer.c static.c
  LINK dialplane_gateway_call dialplane_app)
target_sources(dialplane_gateway_pages PRIVATE ${pages_c} ${docs}/docs_assets.o)

find_package(Threads REQUIRED)
dialplane_executable(dialplane-gateway
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/main.c ${CMAKE_CURRENT_LIST_DIR}/worker.c
  LINK dialplane_gateway_pages dialplane_gateway_live dialplane_app Threads::Threads)
