-- $1 company, $2 and $3 upload and row where the last batch ended; rejected rows of all its uploads
SELECT u.id, e.row_number, e.reason, e.content
FROM (SELECT id FROM call_list_uploads WHERE company_id = $1::uuid AND errors_kept > 0 AND id >= $2::uuid ORDER BY id) u
CROSS JOIN LATERAL (SELECT * FROM call_list_upload_errors r WHERE r.upload_id = u.id AND r.row_number > CASE WHEN u.id = $2::uuid THEN $3::bigint ELSE 0 END
                    ORDER BY r.row_number LIMIT 500) e
ORDER BY u.id, e.row_number LIMIT 500
