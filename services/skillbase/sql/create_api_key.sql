-- $1 company of who asks (NULL: any), $2 id, $3 company, $4 name, $5 roles, $6 prefix, $7 hash, $8 expires_at, $9 who makes it, $10 most keys of a company,
-- $11 grants
-- No row: no such company. made NULL: it has too many already.
WITH made AS (
    INSERT INTO api_keys (id, company_id, name, roles, prefix, secret_hash, expires_at, created_by, created_at, grants)
    SELECT $2::uuid, o.id, $4::text, $5::text[], $6::text, $7::bytea, $8::timestamptz, $9::text, clock_timestamp(), $11::text[]
    FROM companies o
    WHERE o.id = $3::uuid AND ($1::uuid IS NULL OR o.id = $1::uuid)
      AND (SELECT count(*) FROM api_keys k WHERE k.company_id = o.id) < $10::bigint
    RETURNING *
)
SELECT m.id, o.id AS company_id, m.name, m.roles, m.expires_at, m.prefix, NULL::timestamptz AS last_used_at, m.created_by, m.created_at, m.grants
FROM companies o LEFT JOIN made m ON true
WHERE o.id = $3::uuid AND ($1::uuid IS NULL OR o.id = $1::uuid)
