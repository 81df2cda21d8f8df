-- $1 company of who asks (NULL: any), $2 id, $3 revision that the caller has seen (NULL: any), $4 version
-- No row: there is no such skillbase. Nothing changes unless both verdicts are true, nor when the configuration is that one already.
WITH before AS (
    SELECT * FROM skillbases
    WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
    FOR NO KEY UPDATE
), old AS (
    SELECT v.config, v.config_wire
    FROM skillbase_versions v, before b
    WHERE v.skillbase_id = b.id AND v.version = $4::integer
), verdict AS (
    SELECT ($3::timestamptz IS NULL OR updated_at = $3::timestamptz) AS revision_matches,
           EXISTS (SELECT FROM old) AS version_exists
    FROM before
), changed AS (
    UPDATE skillbases s
    SET config = old.config,
        config_wire = old.config_wire,
        version = s.version + 1,
        updated_at = greatest(clock_timestamp(), s.updated_at + interval '1 microsecond')
    FROM before b, verdict v, old
    WHERE s.id = b.id AND v.revision_matches AND old.config <> b.config
    RETURNING s.*
), saved AS (
    INSERT INTO skillbase_versions (skillbase_id, version, company_id, config, config_wire, created_at)
    SELECT id, version, company_id, config, config_wire, updated_at FROM changed
), after AS (
    SELECT * FROM changed
    UNION ALL
    SELECT * FROM before WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT id, company_id, name, slug, description, version, knowledge_base_id, is_active, is_published, created_at, updated_at,
       config_wire, CASE WHEN config_wire IS NULL THEN config END AS config,
       revision_matches, version_exists
FROM after, verdict
