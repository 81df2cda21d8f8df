-- $1 company of who asks (NULL: any), $2 id, $3 revision that the caller has seen (NULL: any)
-- No row: there is no such skillbase. What belongs to it goes, or lets go of it, through the foreign keys.
WITH found AS (
    SELECT id, ($3::timestamptz IS NULL OR updated_at = $3::timestamptz) AS revision_matches
    FROM skillbases
    WHERE id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
    FOR UPDATE
), gone AS (
    DELETE FROM skillbases s USING found f WHERE s.id = f.id AND f.revision_matches
)
SELECT revision_matches FROM found
