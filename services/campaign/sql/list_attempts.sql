-- $1 company of who asks (NULL: any), $2 campaign, $3 task, $4 fence where the last page ended (NULL: from the beginning), $5 rows of a page
-- One row more than the page tells that another page follows; a row without call_id: a task without attempts; no row: no such task.
SELECT a.call_id, a.fence, a.number, a.worker_id, a.claimed_at, a.dialed_at, a.ringing_at, a.answered_at, a.ended_at, a.ended_how, a.disposition, a.outcome,
       a.error_message, a.fault, a.settled_by, (SELECT count(*) FROM call_attempts m WHERE m.task_id = t.id) AS matching
FROM call_tasks t
    JOIN campaigns c ON c.id = t.campaign_id
    LEFT JOIN LATERAL (SELECT * FROM call_attempts v WHERE v.task_id = t.id AND v.fence < coalesce($4::bigint, 9223372036854775807)
                       ORDER BY v.fence DESC LIMIT $5::bigint + 1) a ON true
WHERE t.id = $3::uuid AND t.campaign_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
ORDER BY a.fence DESC
