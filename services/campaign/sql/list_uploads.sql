-- $1 company of who asks (NULL: any), $2 campaign, $3 state (NULL: all), $4 and $5 created_at and id where the last page ended (NULL: from the beginning),
-- $6 rows to skip, $7 rows of a page
-- One row more than the page tells that another page follows; the first row is there even when the page is empty, for the total; no row: no such campaign.
SELECT d.*,
       (SELECT count(*) FROM call_list_uploads m WHERE m.campaign_id = c.id AND ($3::text IS NULL OR m.state = $3::text)) AS matching
FROM campaigns c
    LEFT JOIN LATERAL (
        SELECT v.* FROM (
            SELECT id FROM call_list_uploads l
            WHERE l.campaign_id = c.id AND ($3::text IS NULL OR l.state = $3::text)
              AND (l.created_at, l.id) < (least($4::timestamptz, 'infinity'), least($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            ORDER BY l.created_at DESC, l.id DESC
            OFFSET $6::bigint LIMIT $7::bigint + 1) page
        JOIN upload_details v USING (id)
    ) d ON true
WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
ORDER BY d.created_at DESC, d.id DESC
