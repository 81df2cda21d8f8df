-- $1 campaigns at most. Tasks by state: of the running campaigns first, then the newest; NULL stands for all other campaigns together.
WITH counted AS (
    SELECT campaign_id, state, sum(n)::bigint AS tasks
    FROM (SELECT campaign_id, state, tasks AS n FROM campaign_counts UNION ALL SELECT campaign_id, state, change FROM campaign_count_changes) c
    GROUP BY campaign_id, state
), shown AS (
    SELECT id FROM campaigns WHERE status IN ('running', 'paused') ORDER BY status = 'running' DESC, id DESC LIMIT $1::bigint
)
SELECT s.id AS campaign_id, c.state, sum(c.tasks)::bigint AS tasks
FROM counted c LEFT JOIN shown s ON s.id = c.campaign_id
GROUP BY s.id, c.state HAVING sum(c.tasks) <> 0 ORDER BY s.id, c.state
