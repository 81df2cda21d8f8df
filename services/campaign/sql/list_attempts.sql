-- $1 company of who asks (NULL: any), $2 campaign, $3 task, $4 fence where the last page ended (NULL: from the beginning), $5 rows of a page
-- One row more than the page tells that another page follows; a row without call_id: a task without attempts; no row: no such task. The attempt under way,
-- the task's last, is its live call.
SELECT a.call_id, a.fence, a.number, a.worker_id, a.claimed_at, a.dialed_at, a.ringing_at, a.answered_at, a.ended_at, a.ended_how, a.disposition, a.outcome,
       a.error_message, a.fault, a.settled_by,
       (SELECT count(*) FROM call_attempts m WHERE m.task_id = t.id) + (SELECT count(*) FROM live_calls m WHERE m.call_id = t.call_id) AS matching
FROM call_tasks t
    JOIN campaigns c ON c.id = t.campaign_id
    LEFT JOIN LATERAL (SELECT v.call_id, v.fence, v.number, v.worker_id, v.claimed_at, v.dialed_at, v.ringing_at, v.answered_at, v.ended_at, v.ended_how, v.disposition,
                              v.outcome, v.error_message, v.fault, v.settled_by
                       FROM call_attempts v WHERE v.task_id = t.id AND v.fence < least($4::bigint, 9223372036854775807)
                       UNION ALL
                       SELECT l.call_id, l.fence, l.number, l.worker_id, l.claimed_at, l.dialed_at, l.ringing_at, l.answered_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL
                       FROM live_calls l WHERE l.call_id = t.call_id AND l.fence < least($4::bigint, 9223372036854775807)
                       ORDER BY fence DESC LIMIT $5::bigint + 1) a ON true
WHERE t.id = $3::uuid AND t.campaign_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
ORDER BY a.fence DESC
