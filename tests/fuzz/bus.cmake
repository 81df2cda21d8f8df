dialplane_fuzz_target(redis_url SOURCES ${CMAKE_CURRENT_LIST_DIR}/bus/redis_url.c LINK dialplane_bus)
