dialplane_unit_test(base_memory SOURCES base/memory_test.c LINK dialplane_base)
dialplane_unit_test(base_text SOURCES base/text_test.c LINK dialplane_base)
dialplane_unit_test(base_numbers SOURCES base/numbers_test.c LINK dialplane_base)
dialplane_unit_test(base_log SOURCES base/log_test.c LINK dialplane_base)
