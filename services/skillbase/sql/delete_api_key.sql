-- $1 company of who asks (NULL: any), $2 company, $3 id
DELETE FROM api_keys WHERE id = $3::uuid AND company_id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid) RETURNING id
