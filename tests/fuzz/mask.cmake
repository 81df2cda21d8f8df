dialplane_fuzz_target(mask SOURCES ${CMAKE_CURRENT_LIST_DIR}/mask/mask.c LINK dialplane_base)
