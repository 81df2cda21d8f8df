-- $1 company of who asks (NULL: any), $2 company, $3 list. Whether it has begun, and so stays; no row: there is none.
WITH found AS (
    SELECT id, valid_from <= now() AS has_begun FROM price_lists
    WHERE id = $3::uuid AND company_id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
), gone AS (
    DELETE FROM price_lists l USING found f WHERE l.id = f.id AND NOT f.has_begun
)
SELECT has_begun FROM found
