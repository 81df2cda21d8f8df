-- $1 company of who asks (NULL: any), $2 id, $3 version where the last page ended (NULL: from the newest), $4 rows to skip, $5 rows of a page
-- No row: there is no such skillbase. One row more than the page tells that more follows.
SELECT s.id, s.version AS current, (SELECT count(*) FROM skillbase_versions WHERE skillbase_id = s.id) AS total,
       v.version, v.created_at
FROM skillbases s
LEFT JOIN LATERAL (
    SELECT version, created_at FROM skillbase_versions
    WHERE skillbase_id = s.id AND version < least($3::bigint, 2147483648)
    ORDER BY version DESC
    OFFSET $4::bigint LIMIT $5::bigint + 1
) v ON true
WHERE s.id = $2::uuid AND ($1::uuid IS NULL OR s.company_id = $1::uuid)
ORDER BY v.version DESC
