dialplane_unit_test(vault SOURCES ${CMAKE_CURRENT_LIST_DIR}/vault/vault_test.c LINK dialplane_vault)
