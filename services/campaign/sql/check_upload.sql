-- $1 company of who asks (NULL: any), $2 campaign
SELECT status FROM campaigns WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
