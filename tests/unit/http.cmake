# The HTTP front: protocol code fed with bytes, and a real server driven by real clients.
dialplane_executable(test_http_server SOURCES ${CMAKE_CURRENT_LIST_DIR}/http/test_http_server.c
                     LINK dialplane_gateway_http)

dialplane_unit_test(http_protocol
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/http/protocol_test.c ${CMAKE_CURRENT_LIST_DIR}/http/harness.c
  LINK dialplane_gateway_http)

dialplane_unit_test(http_failmalloc
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/http/failmalloc_test.c ${CMAKE_CURRENT_LIST_DIR}/http/harness.c
  LINK dialplane_gateway_http)
target_link_options(test_http_failmalloc PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc)

add_test(NAME unit/http_clients
         COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_LIST_DIR}/http)
set_tests_properties(unit/http_clients PROPERTIES TIMEOUT 300 LABELS unit
                     ENVIRONMENT TEST_HTTP_SERVER=$<TARGET_FILE:test_http_server>)
