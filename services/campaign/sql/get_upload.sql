-- $1 company of who asks (NULL: any), $2 campaign, $3 upload
SELECT d.* FROM upload_details d JOIN call_list_uploads u USING (id)
WHERE u.id = $3::uuid AND u.campaign_id = $2::uuid AND ($1::uuid IS NULL OR u.company_id = $1::uuid)
