dialplane_unit_test(auth_check SOURCES ${CMAKE_CURRENT_LIST_DIR}/auth/check_test.c ${CMAKE_CURRENT_LIST_DIR}/auth/fixture.c LINK dialplane_auth)
dialplane_unit_test(auth_key_source SOURCES ${CMAKE_CURRENT_LIST_DIR}/auth/key_source_test.c ${CMAKE_CURRENT_LIST_DIR}/auth/fixture.c LINK dialplane_auth)
