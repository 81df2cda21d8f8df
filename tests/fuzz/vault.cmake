dialplane_fuzz_target(vault_open SOURCES ${CMAKE_CURRENT_LIST_DIR}/vault/open.c LINK dialplane_vault)
dialplane_fuzz_target(vault_keys SOURCES ${CMAKE_CURRENT_LIST_DIR}/vault/keys.c LINK dialplane_vault)
