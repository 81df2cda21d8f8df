-- $1 company of who asks (NULL: any), $2 call
SELECT m.figures FROM call_metrics m JOIN calls c ON c.id = m.call_id
WHERE m.call_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
