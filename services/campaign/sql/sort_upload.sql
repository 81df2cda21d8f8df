-- $1 campaign, $2 on_duplicate
SELECT in_file, in_campaign, pages, duplicate_pages FROM sort_upload($1::uuid, $2::text)
