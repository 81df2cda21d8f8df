-- $1 days back. Calls under way that began since then.
SELECT count(*) AS calls FROM calls WHERE status = 1 AND started_at >= date_trunc('day', now(), 'UTC') - $1::bigint * interval '1 day'
