-- $1 company of who asks (NULL: any), $2 company, $3 and $4 created_at and id where the last page ended (NULL: from the beginning), $5 rows to skip,
-- $6 rows of a page
-- One row more than the page tells that another page follows; the first row is there even when the page is empty, for the total; no row: no
-- such company.
SELECT k.id, k.company_id, k.name, k.roles, k.expires_at, k.prefix, k.last_used_at, k.created_by, k.created_at, k.grants,
       (SELECT count(*) FROM api_keys m WHERE m.company_id = o.id) AS total
FROM companies o
    LEFT JOIN LATERAL (
        SELECT a.*, u.last_used_at FROM api_keys a LEFT JOIN api_key_uses u ON u.api_key_id = a.id
        WHERE a.company_id = o.id
          AND (a.created_at, a.id) < (least($3::timestamptz, 'infinity'), least($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY a.created_at DESC, a.id DESC
        OFFSET $5::bigint LIMIT $6::bigint + 1) k ON true
WHERE o.id = $2::uuid AND ($1::uuid IS NULL OR o.id = $1::uuid)
ORDER BY k.created_at DESC, k.id DESC
