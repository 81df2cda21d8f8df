-- $1 upload, $2 number, $3 bytes
INSERT INTO call_list_upload_chunks (upload_id, number, data) VALUES ($1::uuid, $2::integer, $3::bytea)
