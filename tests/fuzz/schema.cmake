dialplane_fuzz_target(schema_check SOURCES schema/check_fuzz.c LINK dialplane_schema)
dialplane_fuzz_target(schema_decode SOURCES schema/decode_fuzz.c LINK dialplane_schema)
dialplane_fuzz_target(schema_load SOURCES schema/load_fuzz.c LINK dialplane_schema)
