# What it costs to count a request.
dialplane_executable(bench_limits SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/limits/main.c LINK dialplane_gateway_policy)
