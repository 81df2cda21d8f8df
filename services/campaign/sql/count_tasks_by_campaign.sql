-- $1 campaigns at most. Tasks by state: of the running campaigns first, then the newest; NULL stands for all other campaigns together, "deleted" for those
-- whose tasks are being removed.
WITH counted AS (
    SELECT c.campaign_id, c.state, d.campaign_id IS NOT NULL AS is_deleted, sum(c.n)::bigint AS tasks
    FROM (SELECT campaign_id, state, tasks AS n FROM campaign_counts UNION ALL SELECT campaign_id, state, change FROM campaign_count_changes) c
    LEFT JOIN deleted_campaigns d ON d.campaign_id = c.campaign_id
    GROUP BY 1, 2, 3
), shown AS (
    SELECT id FROM campaigns WHERE status IN ('running', 'paused') ORDER BY status = 'running' DESC, id DESC LIMIT $1::bigint
)
SELECT CASE WHEN c.is_deleted THEN 'deleted' ELSE s.id::text END AS campaign, c.state, sum(c.tasks)::bigint AS tasks
FROM counted c LEFT JOIN shown s ON s.id = c.campaign_id
GROUP BY 1, c.state HAVING sum(c.tasks) <> 0 ORDER BY 1, c.state
