set(campaign_dir ${CMAKE_CURRENT_LIST_DIR}/campaign)
dialplane_unit_test(campaign_domain SOURCES ${campaign_dir}/domain_test.c LINK campaign_domain)
dialplane_unit_test(campaign_call_list SOURCES ${campaign_dir}/call_list_test.c LINK campaign_domain)
dialplane_unit_test(campaign_phone SOURCES ${campaign_dir}/phone_test.c ${CMAKE_SOURCE_DIR}/services/campaign/phone.cc LINK campaign_domain phonenumber)

# The whole service over gRPC, on a PostgreSQL of its own.
foreach(subject agent campaigns dispatch rules upgrade windows)
  add_test(NAME unit/campaign_${subject}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/pg/with_postgres.sh
            /usr/bin/python3 -m pytest -q -x -p no:cacheprovider ${campaign_dir}/test_${subject}.py)
  set_tests_properties(unit/campaign_${subject} PROPERTIES TIMEOUT 300 LABELS unit
    ENVIRONMENT "DIALPLANE_AUTH=off;CAMPAIGN_SERVER=$<TARGET_FILE:dialplane-campaign>;PROTOSET=${CMAKE_BINARY_DIR}/proto/dialplane.protoset")
endforeach()

# The readers of call lists, through a program that prints what they read; the files are made by the test.
add_executable(read_list ${campaign_dir}/read_list.c)
target_link_libraries(read_list PRIVATE dialplane_flags campaign_readers)
add_dependencies(read_list dialplane-xls)
foreach(subject text workbooks)
  add_test(NAME unit/campaign_readers_${subject}
    COMMAND /usr/bin/python3 -m pytest -q -x -p no:cacheprovider ${campaign_dir}/test_readers_${subject}.py)
  set_tests_properties(unit/campaign_readers_${subject} PROPERTIES TIMEOUT 900 LABELS unit
    ENVIRONMENT "READ_LIST=$<TARGET_FILE:read_list>")
endforeach()
