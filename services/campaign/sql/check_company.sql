-- $1 company of who asks (NULL: any), $2 company
SELECT id FROM companies WHERE id = $2::uuid AND ($1::uuid IS NULL OR id = $1::uuid)
