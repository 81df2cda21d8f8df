-- $1 company of who asks (NULL: any), $2 id, $3 revision that the caller has seen (NULL: any)
-- No row: there is no such company. All that it owns goes through the foreign keys.
WITH found AS (
    SELECT id, ($3::timestamptz IS NULL OR updated_at = $3::timestamptz) AS revision_matches
    FROM companies
    WHERE id = $2::uuid AND ($1::uuid IS NULL OR id = $1::uuid)
    FOR UPDATE
), gone AS (
    DELETE FROM companies c USING found f WHERE c.id = f.id AND f.revision_matches
)
SELECT revision_matches FROM found
