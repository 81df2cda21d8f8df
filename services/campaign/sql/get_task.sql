-- $1 company of who asks (NULL: any), $2 campaign, $3 task
SELECT t.* FROM call_task_details t JOIN campaigns c ON c.id = t.campaign_id
WHERE t.id = $3::uuid AND t.campaign_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
