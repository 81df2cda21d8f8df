-- $1 company of who asks (NULL: any), $2 company, $3 id
SELECT k.id, k.company_id, k.name, k.roles, k.expires_at, k.prefix, u.last_used_at, k.created_by, k.created_at, k.grants
FROM api_keys k LEFT JOIN api_key_uses u ON u.api_key_id = k.id
WHERE k.id = $3::uuid AND k.company_id = $2::uuid AND ($1::uuid IS NULL OR k.company_id = $1::uuid)
