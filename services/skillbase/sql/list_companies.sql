-- $1 company of who asks (NULL: any), $2 name where the last page ended (NULL: from the beginning), $3 rows to skip, $4 rows of a page,
-- $5 bytes of a page
-- Names are unique, so the name alone is the key. A page ends early when its free-form parts are more than $5 bytes; `fetched` tells that
-- more follows.
WITH page AS (
    SELECT c.*, row_number() OVER w AS place,
           sum(octet_length(settings::text) + octet_length(limits::text)) OVER w AS bytes
    FROM (
        SELECT * FROM companies
        WHERE ($1::uuid IS NULL OR id = $1::uuid) AND name > greatest($2::text, '')
        ORDER BY name
        OFFSET $3::bigint LIMIT $4::bigint + 1
    ) c
    WINDOW w AS (ORDER BY name)
), total AS (
    SELECT count(*) AS total FROM companies WHERE $1::uuid IS NULL OR id = $1::uuid
)
SELECT id, name, slug, description, settings, limits, is_active, created_at, updated_at,
       total, (SELECT count(*) FROM page) AS fetched
FROM total LEFT JOIN page ON place <= $4::bigint AND (place = 1 OR bytes <= $5::bigint)
ORDER BY place
