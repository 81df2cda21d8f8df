-- $1 lease
SELECT upload, campaign, attempt, rule, how, mark, file, region FROM take_upload($1::interval)
