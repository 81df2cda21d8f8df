-- $1 company of who asks (NULL: any), $2 campaign, $3 state, $4 outcome, $5 phone_number (NULL: all), $6 and $7 priority and id where the last page ended
-- (NULL: from the beginning), $8 rows to skip, $9 rows of a page
-- No row: no such campaign. Without outcome and phone_number the total comes from the counters, whatever the size of the campaign.
SELECT t.*,
       CASE WHEN $4::text IS NULL AND $5::text IS NULL THEN
                (SELECT coalesce(sum(n), 0) FROM (
                    SELECT state, tasks AS n FROM campaign_counts WHERE campaign_id = c.id
                    UNION ALL SELECT state, change FROM campaign_count_changes WHERE campaign_id = c.id) counts
                 WHERE $3::text IS NULL OR state = $3::text)::bigint
            ELSE (SELECT count(*) FROM call_tasks m
                  WHERE m.campaign_id = c.id AND ($3::text IS NULL OR m.state = $3::text) AND ($4::text IS NULL OR m.outcome = $4::text)
                    AND ($5::text IS NULL OR m.phone_number = $5::text))
       END AS matching
FROM campaigns c
    LEFT JOIN LATERAL (
        SELECT d.* FROM (
            SELECT id FROM call_tasks
            WHERE campaign_id = c.id AND ($3::text IS NULL OR state = $3::text) AND ($4::text IS NULL OR outcome = $4::text)
              AND ($5::text IS NULL OR phone_number = $5::text)
              AND priority <= least($6::smallint, 32767::smallint)
              AND ($6::smallint IS NULL OR priority < $6::smallint OR id > $7::uuid)
            ORDER BY priority DESC, id
            OFFSET $8::bigint LIMIT $9::bigint + 1) page
        JOIN call_task_details d USING (id)
    ) t ON true
WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
ORDER BY t.priority DESC, t.id
