-- $1 company of who asks (NULL: any), $2 id, $3 company_id, $4 name, $5 slug, $6 description, $7 config, $8 config_wire,
-- $9 knowledge_base_id, $10 is_active, $11 is_published
-- No row when the company is not the caller's own: for the caller it does not exist.
WITH made AS (
    INSERT INTO skillbases (id, company_id, name, slug, description, config, config_wire, knowledge_base_id, is_active, is_published)
    SELECT $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::jsonb, $8::bytea, $9::uuid, $10::boolean, $11::boolean
    WHERE $1::uuid IS NULL OR $1::uuid = $3::uuid
    RETURNING *
), saved AS (
    INSERT INTO skillbase_versions (skillbase_id, version, company_id, config, config_wire, created_at)
    SELECT id, version, company_id, config, config_wire, created_at FROM made
)
SELECT id, company_id, name, slug, description, version, knowledge_base_id, is_active, is_published, created_at, updated_at,
       config_wire, CASE WHEN config_wire IS NULL THEN config END AS config
FROM made
