-- $1 hash of the ticket
-- Not scoped: the ticket says who asks. Using it up is taking it away: of two at the same moment the second waits for the row and finds it gone.
DELETE FROM ws_tickets t
WHERE t.ticket_hash = $1::bytea AND t.expires_at > now()
RETURNING t.subject, t.company_id, t.roles, t.principal_expires_at, (SELECT k.prefix FROM api_keys k WHERE k.id = t.api_key_id) AS key_prefix, t.grants
