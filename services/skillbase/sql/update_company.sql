-- $1 company of who asks (NULL: any), $2 id, $3 revision that the caller has seen (NULL: any), $4 name, $5 slug, $6 whether description
-- changes, $7 description, $8 settings, $9 limits, $10 is_active; a value that is NULL without a flag of its own stays as it is.
-- No row: there is no such company. Nothing changes unless the verdict is true, nor when everything is as it was already.
WITH before AS (
    SELECT *, ($3::timestamptz IS NULL OR updated_at = $3::timestamptz) AS revision_matches
    FROM companies
    WHERE id = $2::uuid AND ($1::uuid IS NULL OR id = $1::uuid)
    FOR NO KEY UPDATE
), changed AS (
    UPDATE companies c
    SET name = coalesce($4::text, c.name),
        slug = coalesce($5::text, c.slug),
        description = CASE WHEN $6::boolean THEN $7::text ELSE c.description END,
        settings = coalesce($8::jsonb, c.settings),
        limits = coalesce($9::jsonb, c.limits),
        is_active = coalesce($10::boolean, c.is_active),
        updated_at = greatest(clock_timestamp(), c.updated_at + interval '1 microsecond')
    FROM before b
    WHERE c.id = b.id AND b.revision_matches
      AND (c.name, c.slug, c.description, c.settings, c.limits, c.is_active)
          IS DISTINCT FROM
          (coalesce($4::text, c.name), coalesce($5::text, c.slug),
           CASE WHEN $6::boolean THEN $7::text ELSE c.description END,
           coalesce($8::jsonb, c.settings), coalesce($9::jsonb, c.limits), coalesce($10::boolean, c.is_active))
    RETURNING c.*, true AS revision_matches
), after AS (
    SELECT * FROM changed
    UNION ALL
    SELECT * FROM before WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT id, name, slug, description, settings, limits, is_active, created_at, updated_at,
       revision_matches
FROM after
