set(dir ${CMAKE_CURRENT_LIST_DIR}/route)
dialplane_fuzz_target(route SOURCES ${dir}/fuzz_route.c LINK dialplane_gateway_route)
dialplane_fuzz_target(multipart SOURCES ${dir}/fuzz_multipart.c LINK dialplane_gateway_route)
dialplane_fuzz_target(grpc_status SOURCES ${dir}/fuzz_status.c LINK dialplane_gateway_upstream)
