-- What an upload has answered, to answer it again: a row for each message, at least one. $1 upload, $2 most messages
SELECT u.id, u.campaign_id, u.state, u.total, u.created, u.updated, u.duplicates, u.error_count, e.message
FROM call_list_uploads u
    LEFT JOIN LATERAL (
        SELECT format('Row %s: %s', row_number, reason) AS message FROM call_list_upload_errors WHERE upload_id = u.id ORDER BY row_number LIMIT $2::bigint) e ON true
WHERE u.id = $1::uuid
