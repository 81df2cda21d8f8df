-- One element a rejected row: $1 upload, $2 row, $3 its content as it shall be. One that has been erased meanwhile stays so.
UPDATE call_list_upload_errors e SET content = u.new
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS u(upload, number, new) WHERE e.upload_id = u.upload AND e.row_number = u.number AND e.content IS NOT NULL
