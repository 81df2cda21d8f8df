# The HTTP front: protocol code fed with bytes, and a real server driven by real clients.
dialplane_executable(test_http_server SOURCES ${CMAKE_CURRENT_LIST_DIR}/http/test_http_server.c LINK dialplane_gateway_http)
target_include_directories(test_http_server PRIVATE ${CMAKE_SOURCE_DIR})
