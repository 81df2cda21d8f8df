-- $1 company of who asks (NULL: any), $2 id, $3 company, $4 pattern, $5 whether it is a prefix, $6 reason
-- No row: no such company. made: false when it was there.
SELECT suppress($2::uuid, o.id, $4::text, $5::boolean, $6::text, 'manual', NULL) AS made
FROM companies o WHERE o.id = $3::uuid AND ($1::uuid IS NULL OR o.id = $1::uuid)
