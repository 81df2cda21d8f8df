# The workers of tests/bench/bench_dispatch.py, which brings database and services.
if(TARGET dialplane_gateway_upstream)
  dialplane_executable(bench_dispatch SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/dispatch/bench_dispatch.c
    LINK dialplane_gateway_upstream dialplane_proto dialplane_loop dialplane_base protobuf-c)
endif()
