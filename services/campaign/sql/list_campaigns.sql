-- $1 company of who asks (NULL: any), $2 company_id, $3 skillbase_id, $4 status (NULL: all), $5 and $6 created_at and id where the last page ended (NULL: from
-- the beginning), $7 rows to skip, $8 rows of a page
-- One row more than the page tells that another page follows; the first row is there even when the page is empty, for the total.
WITH page AS (
    SELECT id FROM campaigns
    WHERE ($1::uuid IS NULL OR company_id = $1::uuid) AND ($2::uuid IS NULL OR company_id = $2::uuid)
      AND ($3::uuid IS NULL OR skillbase_id = $3::uuid) AND ($4::text IS NULL OR status = $4::text)
      AND (created_at, id) < (least($5::timestamptz, 'infinity'), least($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY created_at DESC, id DESC
    OFFSET $7::bigint LIMIT $8::bigint + 1
), total AS (
    SELECT count(*) AS total FROM campaigns
    WHERE ($1::uuid IS NULL OR company_id = $1::uuid) AND ($2::uuid IS NULL OR company_id = $2::uuid)
      AND ($3::uuid IS NULL OR skillbase_id = $3::uuid) AND ($4::text IS NULL OR status = $4::text)
)
SELECT d.*, total.total AS matching
FROM total LEFT JOIN (page JOIN campaign_details d USING (id)) ON true
ORDER BY d.created_at DESC, d.id DESC
