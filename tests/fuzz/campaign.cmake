if(DIALPLANE_FUZZ)
  set(campaign_fuzz_dir ${CMAKE_CURRENT_LIST_DIR}/campaign)
  dialplane_fuzz_target(campaign_csv SOURCES ${campaign_fuzz_dir}/csv.c LINK campaign_domain)
  dialplane_fuzz_target(campaign_reader SOURCES ${campaign_fuzz_dir}/reader.c LINK campaign_readers)
  dialplane_fuzz_target(campaign_sheet SOURCES ${campaign_fuzz_dir}/sheet.c LINK campaign_readers)
  dialplane_fuzz_target(campaign_ole SOURCES ${campaign_fuzz_dir}/ole.c LINK campaign_readers)
  dialplane_fuzz_target(campaign_phone
    SOURCES ${campaign_fuzz_dir}/phone.c ${CMAKE_SOURCE_DIR}/services/campaign/phone.cc LINK campaign_domain phonenumber)
endif()
