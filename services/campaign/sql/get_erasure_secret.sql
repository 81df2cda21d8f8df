-- $1 company of who asks (NULL: any), $2 company; NULL: there is no such company
SELECT erasure_secret($1::uuid, $2::uuid)
