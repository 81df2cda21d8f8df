-- $1 company of who asks (NULL: any), $2 company, $3 id of a new record, $4 keyed hash of the number, $5 id of its key (NULL: the database's secret), $6 reference, $7 who
SELECT verdict, erasure, upload, upload_row FROM open_erasure($1::uuid, $2::uuid, $3::uuid, $4::bytea, $5::text, $6::text, $7::text)
