-- $1 company of who asks (NULL: any), $2 id
SELECT id, company_id, name, slug, description, version, knowledge_base_id, is_active, is_published, created_at, updated_at,
       config_wire, CASE WHEN config_wire IS NULL THEN config END AS config
FROM skillbases
WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
