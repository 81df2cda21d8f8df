-- $1 company, $2 erasure, $3 number
SELECT removed, kept, under_way, at FROM close_erasure($1::uuid, $2::uuid, $3::text)
