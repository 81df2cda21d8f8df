-- $1 company of who asks (NULL: any), $2 id
SELECT id, name, slug, description, settings, limits, is_active, created_at, updated_at
FROM companies
WHERE id = $2::uuid AND ($1::uuid IS NULL OR id = $1::uuid)
