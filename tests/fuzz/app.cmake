dialplane_fuzz_target(trace_context SOURCES ${CMAKE_CURRENT_LIST_DIR}/app/fuzz_trace.c LINK dialplane_app)
