dialplane_unit_test(client SOURCES ${CMAKE_CURRENT_LIST_DIR}/client/client_test.c LINK dialplane_client pthread)
