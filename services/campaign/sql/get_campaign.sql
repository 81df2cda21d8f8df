-- $1 company of who asks (NULL: any), $2 id
SELECT * FROM campaign_details WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
