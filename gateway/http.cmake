# The HTTP front: sockets, HTTP/1.1 (llhttp), HTTP/2 (nghttp2), WebSocket (wslay).
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl libcrypto>=3.0)
find_path(WSLAY_INCLUDE wslay/wslay.h REQUIRED)
find_library(WSLAY_LIBRARY wslay REQUIRED)
find_file(LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp REQUIRED)
find_path(LLHTTP_INCLUDE llhttp/llhttp.h PATHS /usr/share/include REQUIRED)

# Node's parser, as packaged; generated code, so without our warnings.
get_filename_component(LLHTTP_DIR ${LLHTTP_SOURCE} DIRECTORY)
add_library(dialplane_llhttp STATIC ${LLHTTP_DIR}/llhttp.c ${LLHTTP_DIR}/http.c ${LLHTTP_DIR}/api.c)
target_include_directories(dialplane_llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE} PRIVATE ${LLHTTP_INCLUDE}/llhttp)
target_compile_definitions(dialplane_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(dialplane_llhttp PRIVATE -w -O2)

set(SOURCES
  net/address.c net/shared_bytes.c net/outq.c net/timeouts.c net/socket.c net/listener.c net/tls_context.c net/tls_session.c
  http/core.c http/head.c http/target.c http/exchange.c http/h1.c http/h1_head.c http/h1_answer.c
  http/h2.c http/h2_head.c http/h2_answer.c http/h2_flood.c http/h2_memory.c http/h2_socket.c http/websocket.c http/websocket_handshake.c
  http/connection.c http/peers.c http/server.c)
list(TRANSFORM SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
dialplane_layer(gateway_http
  SOURCES ${SOURCES}
  LINK dialplane_tls dialplane_loop dialplane_llhttp PkgConfig::NGHTTP2 PkgConfig::OPENSSL ${WSLAY_LIBRARY})
target_include_directories(dialplane_gateway_http PUBLIC ${CMAKE_SOURCE_DIR} SYSTEM PRIVATE ${WSLAY_INCLUDE})
