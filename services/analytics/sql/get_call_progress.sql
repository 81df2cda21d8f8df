-- $1 company of who asks (NULL: any), $2 call
SELECT last_seq, started_at FROM calls WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
