-- $1 company of who asks (NULL: any), $2 company, $3 id
SELECT s.id, s.company_id, s.pattern, s.is_prefix, s.reason, s.source, s.call_id, s.created_at FROM suppressions s WHERE s.id = $3::uuid AND s.company_id = $2::uuid AND ($1::uuid IS NULL OR s.company_id = $1::uuid)
