# The HTTP front's protocol code on arbitrary bytes.
foreach(name http1 http2 websocket)
  dialplane_fuzz_target(${name}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/http/${name}.c ${CMAKE_CURRENT_LIST_DIR}/../unit/http/harness.c
    LINK dialplane_gateway_http)
endforeach()
