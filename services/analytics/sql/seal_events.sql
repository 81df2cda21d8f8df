-- One element an event: $1 call, $2 seq, $3 its call's start, $4 and $5 where its new bytes are (from 1) and how many, of $6. An event that has been erased meanwhile stays so.
UPDATE call_events e SET event = substring($6::bytea FROM u.at FOR u.bytes)
FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::integer[]) AS u(call, seq, started, at, bytes)
WHERE e.call_id = u.call AND e.seq = u.seq AND e.started_at = u.started
