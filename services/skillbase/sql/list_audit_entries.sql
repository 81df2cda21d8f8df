-- $1 company of who asks (NULL: any), $2 company, filters (NULL: all): $3 kind, $4 resource, $5 actor, $6 action, $7 from, $8 to before; $9 and $10 at and id where the
-- last page ended (NULL: from the beginning), $11 rows to skip, $12 rows of a page, $13 bytes of a page
-- A page ends early when its changes are more than $13 bytes; `fetched` tells that more follows. The first row is there even when the page is empty, for the total. No row:
-- no such company, nor was there one.
WITH page AS (
    SELECT e.*, row_number() OVER w AS place,
           sum(coalesce(octet_length(before_change::text), 0) + coalesce(octet_length(after_change::text), 0)) OVER w AS bytes
    FROM (
        SELECT * FROM audit_entries
        WHERE company_id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
          AND ($3::text IS NULL OR kind = $3::text)
          AND ($4::uuid IS NULL OR resource_id = $4::uuid)
          AND ($5::text IS NULL OR actor = $5::text)
          AND ($6::text IS NULL OR action = $6::text)
          AND at >= greatest($7::timestamptz, '-infinity') AND at < least($8::timestamptz, 'infinity')
          AND (at, id) < (least($9::timestamptz, 'infinity'), least($10::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY at DESC, id DESC
        OFFSET $11::bigint LIMIT $12::bigint + 1
    ) e
    WINDOW w AS (ORDER BY at DESC, id DESC)
), total AS (
    SELECT count(*) AS total FROM audit_entries
    WHERE company_id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
      AND ($3::text IS NULL OR kind = $3::text)
      AND ($4::uuid IS NULL OR resource_id = $4::uuid)
      AND ($5::text IS NULL OR actor = $5::text)
      AND ($6::text IS NULL OR action = $6::text)
      AND at >= greatest($7::timestamptz, '-infinity') AND at < least($8::timestamptz, 'infinity')
)
SELECT id, company_id, at, actor, address, request_id, kind, resource_id, action, before_change, after_change,
       total, (SELECT count(*) FROM page) AS fetched
FROM total LEFT JOIN page ON place <= $12::bigint AND (place = 1 OR bytes <= $13::bigint)
WHERE ($1::uuid IS NULL OR $1::uuid = $2::uuid)
  AND (EXISTS (SELECT FROM companies WHERE id = $2::uuid) OR EXISTS (SELECT FROM audit_entries WHERE company_id = $2::uuid))
ORDER BY place
