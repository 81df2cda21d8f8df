-- $1 prefix
-- Not scoped: whoever shows a key is not known yet. What is found says who that is, once the hash has been compared.
SELECT company_id, roles, secret_hash, expires_at, grants FROM api_keys WHERE prefix = $1::text
