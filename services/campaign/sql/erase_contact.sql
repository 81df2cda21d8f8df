-- $1 company, $2 erasure, $3 number, $4 whether its do-not-call entry stays, $5 most calls at once
SELECT verdict, other FROM erase_contact($1::uuid, $2::uuid, $3::text, $4::boolean, $5::integer)
