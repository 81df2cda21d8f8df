-- $1 prefix
-- At most once a minute for each key, however many instances see it. A table of its own, so that the row of the key changes only when
-- somebody changes it.
INSERT INTO api_key_uses AS u (api_key_id, company_id, last_used_at)
SELECT id, company_id, now() FROM api_keys WHERE prefix = $1::text
ON CONFLICT (api_key_id) DO UPDATE SET last_used_at = excluded.last_used_at
    WHERE u.last_used_at <= excluded.last_used_at - interval '1 minute'
