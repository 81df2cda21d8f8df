-- $1 company of who asks (NULL: any), $2 id, $3 version
-- No row: there is no such skillbase. A NULL version: there is no such version.
SELECT s.id, s.version AS current, v.version, v.created_at,
       v.config_wire, CASE WHEN v.config_wire IS NULL THEN v.config END AS config
FROM skillbases s
LEFT JOIN skillbase_versions v ON v.skillbase_id = s.id AND v.version = $3::integer
WHERE s.id = $2::uuid AND ($1::uuid IS NULL OR s.company_id = $1::uuid)
