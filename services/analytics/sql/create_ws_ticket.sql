-- $1 hash, $2 subject, $3 company (NULL: every one; who asks may name one that is not there), $4 roles, $5 end of what was shown (NULL: none), $6 prefix of the API key that was shown (NULL: a
-- token), $7 seconds that it is good for, $8 grants
-- No row: the company or the key is gone since it was last looked for. With each some of those whose time is over go, so that there are never many.
WITH over AS (
    DELETE FROM ws_tickets WHERE ticket_hash IN (SELECT ticket_hash FROM ws_tickets WHERE expires_at < now() LIMIT 10 FOR UPDATE SKIP LOCKED)
)
INSERT INTO ws_tickets (ticket_hash, subject, company_id, roles, principal_expires_at, api_key_id, expires_at, grants)
SELECT $1::bytea, $2::text, $3::uuid, $4::text[], $5::timestamptz, k.id, w.until, $8::text[]
FROM (SELECT now() + $7::bigint * interval '1 second' AS until) w
    LEFT JOIN api_keys k ON k.prefix = $6::text
WHERE ($3::uuid IS NULL OR EXISTS (SELECT FROM companies WHERE id = $3::uuid)) AND ($6::text IS NULL OR k.id IS NOT NULL)
RETURNING expires_at
