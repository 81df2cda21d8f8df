-- $1 hash of the ticket, $2 hash of the session that shows it (NULL: none)
-- Not scoped: the ticket says who asks. The first to show it has it; of two at the same moment the second waits for the row, looks again and
-- finds it used. The same session may open further streams with it: a watcher that fell behind goes on by itself.
UPDATE ws_tickets t
SET used_at = coalesce(t.used_at, now()),
    session_hash = CASE WHEN t.used_at IS NULL THEN $2::bytea ELSE t.session_hash END,
    keep_until = CASE WHEN t.used_at IS NULL THEN now() + interval '1 day' ELSE t.keep_until END
WHERE t.ticket_hash = $1::bytea
  AND CASE WHEN t.used_at IS NULL THEN t.expires_at > now() ELSE t.session_hash = $2::bytea AND t.keep_until > now() END
RETURNING t.subject, t.company_id, t.roles, t.principal_expires_at, (SELECT k.prefix FROM api_keys k WHERE k.id = t.api_key_id) AS key_prefix
