-- $1 id, $2 name, $3 slug, $4 description, $5 settings, $6 limits, $7 is_active
-- Not scoped: the handler lets only those in who may see every company.
INSERT INTO companies (id, name, slug, description, settings, limits, is_active)
VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::jsonb, $6::jsonb, $7::boolean)
RETURNING id, name, slug, description, settings, limits, is_active, created_at, updated_at
