dialplane_unit_test(bus_redis_url SOURCES ${CMAKE_CURRENT_LIST_DIR}/bus/redis_url_test.c LINK dialplane_bus)
