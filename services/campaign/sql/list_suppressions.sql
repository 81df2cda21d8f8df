-- $1 company of who asks (NULL: any), $2 company, $3 phone number (NULL: all), $4 source (NULL: all), $5 and $6 created_at and id where the last page ended (NULL:
-- from the beginning), $7 rows to skip, $8 rows of a page
-- One row more than the page tells that another page follows; the first row is there even when the page is empty, for the total; no row: no such company.
SELECT s.id, s.company_id, s.pattern, s.is_prefix, s.reason, s.source, s.call_id, s.created_at,
       (SELECT count(*) FROM suppressions m
        WHERE m.company_id = o.id AND ($4::text IS NULL OR m.source = $4::text)
          AND ($3::text IS NULL OR CASE WHEN m.is_prefix THEN starts_with($3::text, m.pattern) ELSE m.pattern = $3::text END)) AS matching
FROM companies o
    LEFT JOIN LATERAL (
        SELECT * FROM suppressions v
        WHERE v.company_id = o.id AND ($4::text IS NULL OR v.source = $4::text)
          AND ($3::text IS NULL OR CASE WHEN v.is_prefix THEN starts_with($3::text, v.pattern) ELSE v.pattern = $3::text END)
          AND (v.created_at, v.id) < (least($5::timestamptz, 'infinity'), least($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY v.created_at DESC, v.id DESC
        OFFSET $7::bigint LIMIT $8::bigint + 1) s ON true
WHERE o.id = $2::uuid AND ($1::uuid IS NULL OR o.id = $1::uuid)
ORDER BY s.created_at DESC, s.id DESC
