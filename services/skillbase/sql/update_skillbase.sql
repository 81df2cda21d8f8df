-- $1 company of who asks (NULL: any), $2 id, $3 revision that the caller has seen (NULL: any), $4 company_id (NULL: not sent), $5 name, $6 slug,
-- $7 whether description changes, $8 description, $9 config, $10 config_wire, $11 whether knowledge_base_id changes, $12 knowledge_base_id,
-- $13 is_active, $14 is_published, $15 the version that the configuration was made from (NULL: any); a value that is NULL without a flag of its own stays as it is.
-- No row: there is no such skillbase. Nothing changes unless all verdicts are true, nor when everything is as it was already.
WITH before AS (
    SELECT * FROM skillbases
    WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
    FOR NO KEY UPDATE
), verdict AS (
    SELECT ($3::timestamptz IS NULL OR updated_at = $3::timestamptz) AS revision_matches,
           ($4::uuid IS NULL OR company_id = $4::uuid) AS company_matches,
           ($15::integer IS NULL OR version = $15::integer) AS version_matches,
           ($9::jsonb IS NOT NULL AND config <> $9::jsonb) AS config_differs
    FROM before
), changed AS (
    UPDATE skillbases s
    SET name = coalesce($5::text, s.name),
        slug = coalesce($6::text, s.slug),
        description = CASE WHEN $7::boolean THEN $8::text ELSE s.description END,
        config = CASE WHEN v.config_differs THEN $9::jsonb ELSE s.config END,
        config_wire = CASE WHEN v.config_differs THEN $10::bytea ELSE s.config_wire END,
        version = CASE WHEN v.config_differs THEN s.version + 1 ELSE s.version END,
        knowledge_base_id = CASE WHEN $11::boolean THEN $12::uuid ELSE s.knowledge_base_id END,
        is_active = coalesce($13::boolean, s.is_active),
        is_published = coalesce($14::boolean, s.is_published),
        updated_at = greatest(clock_timestamp(), s.updated_at + interval '1 microsecond')
    FROM before b, verdict v
    WHERE s.id = b.id AND v.revision_matches AND v.company_matches AND v.version_matches
      AND (v.config_differs
           OR (s.name, s.slug, s.description, s.knowledge_base_id, s.is_active, s.is_published)
              IS DISTINCT FROM
              (coalesce($5::text, s.name), coalesce($6::text, s.slug),
               CASE WHEN $7::boolean THEN $8::text ELSE s.description END,
               CASE WHEN $11::boolean THEN $12::uuid ELSE s.knowledge_base_id END,
               coalesce($13::boolean, s.is_active), coalesce($14::boolean, s.is_published)))
    RETURNING s.*
), saved AS (
    INSERT INTO skillbase_versions (skillbase_id, version, company_id, config, config_wire, created_at)
    SELECT c.id, c.version, c.company_id, c.config, c.config_wire, c.updated_at
    FROM changed c, verdict v
    WHERE v.config_differs
), after AS (
    SELECT * FROM changed
    UNION ALL
    SELECT * FROM before WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT id, company_id, name, slug, description, version, knowledge_base_id, is_active, is_published, created_at, updated_at,
       config_wire, CASE WHEN config_wire IS NULL THEN config END AS config,
       revision_matches, company_matches, version_matches
FROM after, verdict
