set(campaign_dir ${CMAKE_CURRENT_LIST_DIR}/campaign)
dialplane_unit_test(campaign_domain SOURCES ${campaign_dir}/domain_test.c LINK campaign_domain)
dialplane_unit_test(campaign_phone SOURCES ${campaign_dir}/phone_test.c ${CMAKE_SOURCE_DIR}/services/campaign/phone.cc LINK campaign_domain phonenumber)

# The whole service over gRPC, on a PostgreSQL of its own.
foreach(subject agent campaigns dispatch rules upgrade windows)
  add_test(NAME unit/campaign_${subject}
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/pg/with_postgres.sh
            /usr/bin/python3 -m pytest -q -x -p no:cacheprovider ${campaign_dir}/test_${subject}.py)
  set_tests_properties(unit/campaign_${subject} PROPERTIES TIMEOUT 300 LABELS unit
    ENVIRONMENT "CAMPAIGN_SERVER=$<TARGET_FILE:dialplane-campaign>;PROTOSET=${CMAKE_BINARY_DIR}/proto/dialplane.protoset")
endforeach()
