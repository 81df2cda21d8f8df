set(dir ${CMAKE_CURRENT_LIST_DIR}/cli)
dialplane_unit_test(cli_text SOURCES ${dir}/text_test.c LINK dialplane_cli)
dialplane_unit_test(cli_files SOURCES ${dir}/files_test.c LINK dialplane_cli)
dialplane_unit_test(cli_arguments SOURCES ${dir}/arguments_test.c LINK dialplane_cli dialplane_descriptors)
