-- Uploads as things of their own: watched while they run, answered again by their key, listed with what was refused, undone. And the country of a campaign's
-- numbers, and tasks whose insertion costs what its indexes cost.

-- ---------------------------------------------------------------------------------------------------------------------- tables

alter table campaigns add column default_region text check (default_region ~ '^[A-Z]{2}$');

-- phone_text: as it was written, where that differs. upload_id: where the task came from; null: from before this migration.
alter table call_task_contacts
    add column phone_text text,
    add column upload_id uuid;

-- state: receiving (the file comes and is read meanwhile) or queued (it is safe in call_list_upload_chunks) → processing → completed or failed → undone.
-- lease_until: who works on it says so again and again; when it has stopped to, the upload is somebody else's, or has failed. attempts: how often one
-- that is safe has been begun. settings: how to read it, an UploadCallListRequest. columns: names of its columns that lie in contact_data. first_task, last_task: between these ids are
-- all tasks that it made (and perhaps others: see upload_id). fingerprint: of the file and how it was to be read; null: the file has not ended.
alter table call_list_uploads
    add column state text not null default 'completed' check (state in ('receiving', 'queued', 'processing', 'completed', 'failed', 'undone')),
    add column on_duplicate text not null default 'skip' check (on_duplicate in ('skip', 'update', 'error')),
    add column format text,
    add column charset text,
    add column sheet text,
    add column bytes bigint not null default 0,
    add column updated bigint not null default 0,
    add column errors_kept bigint not null default 0,
    add column columns text[],
    add column failure text,
    add column settings bytea,
    add column idempotency_key text,
    add column fingerprint text,
    add column attempts integer not null default 0,
    add column lease_until timestamptz,
    add column first_task uuid,
    add column last_task uuid,
    add column started_at timestamptz,
    add column updated_at timestamptz,
    add column finished_at timestamptz;
update call_list_uploads u set started_at = u.created_at, updated_at = u.created_at, finished_at = u.created_at, columns = k.names
    from (select t.campaign_id, array_agg(distinct n order by n) as names
          from call_tasks t join call_task_contacts d on d.task_id = t.id cross join lateral jsonb_object_keys(d.contact_data) n
          group by t.campaign_id) k
    where k.campaign_id = u.campaign_id;
update call_list_uploads u set started_at = u.created_at, updated_at = u.created_at, finished_at = u.created_at where u.started_at is null;
alter table call_list_uploads
    alter column started_at set not null,
    alter column updated_at set not null;
create unique index call_list_uploads_key on call_list_uploads (campaign_id, idempotency_key) where idempotency_key is not null;
create index call_list_uploads_under_way on call_list_uploads (created_at, id) where state in ('receiving', 'queued', 'processing');

-- What was refused, as far as it is kept. content: the cells of the row as they came, a JSON array.
create table call_list_upload_errors (
    upload_id uuid not null references call_list_uploads (id) on delete cascade,
    row_number bigint not null,
    column_name text,
    reason text not null,
    content text,
    primary key (upload_id, row_number)
);

-- Files that are to be worked through later. Not compressed: that would cost more than writing.
create table call_list_upload_chunks (
    upload_id uuid not null references call_list_uploads (id) on delete cascade,
    number integer not null,
    data bytea not null,
    primary key (upload_id, number)
);
alter table call_list_upload_chunks alter column data set storage external;

-- ---------------------------------------------------------------------------------------------------------------------- tasks
-- A foreign key asks for every row of an insert: 4 µs each, which is half of what a row's indexes cost, and here the answer is the same for a million rows. The
-- triggers below ask and delete once a statement; the locks are those that the keys took.

alter table call_tasks drop constraint call_tasks_campaign_id_fkey;
alter table call_task_contacts drop constraint call_task_contacts_task_id_fkey;

create or replace function count_new_tasks() returns trigger
language plpgsql as $$
declare
    missing uuid;
begin
    insert into campaign_count_changes (campaign_id, state, change)
        select campaign_id, state, count(*) from new_rows group by campaign_id, state;
    perform from campaigns c where c.id in (select n.campaign_id from new_rows n) order by c.id for key share;
    select n.campaign_id into missing from (select distinct campaign_id from new_rows) n
    where not exists (select from campaigns c where c.id = n.campaign_id) limit 1;
    if missing is not null then
        raise foreign_key_violation using message = format('campaign %s does not exist', missing), constraint = 'call_tasks_campaign_id_fkey', table = 'call_tasks';
    end if;
    return null;
end $$;

create function forget_tasks() returns trigger
language plpgsql as $$
begin
    delete from call_task_contacts d using old_rows o where d.task_id = o.id;
    insert into campaign_count_changes (campaign_id, state, change)
        select campaign_id, state, -count(*) from old_rows group by campaign_id, state;
    return null;
end $$;
create trigger call_tasks_deleted after delete on call_tasks
    referencing old table as old_rows for each statement execute function forget_tasks();

create or replace function forget_counts() returns trigger
language plpgsql as $$
begin
    delete from call_tasks where campaign_id = old.id;
    delete from campaign_counts where campaign_id = old.id;
    delete from campaign_count_changes where campaign_id = old.id;
    return null;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- views

create or replace view campaign_details as
    select c.id, c.company_id, c.skillbase_id, c.name, c.description, c.status, c.start_time, c.end_time,
           to_char(c.daily_start_time, 'HH24:MI') as daily_start_time, to_char(c.daily_end_time, 'HH24:MI') as daily_end_time,
           c.timezone, array_to_string(c.days_of_week, ',') as days_of_week,
           c.max_concurrent_calls, c.calls_per_minute, c.max_retries, c.retry_delay_minutes,
           n.total, n.completed, n.failed, n.pending, n.in_progress,
           c.created_at, c.updated_at, c.started_at, c.completed_at,
           n.suppressed, n.unknown, n.cancelled, c.on_unknown, c.retry_policy, c.default_region
    from campaigns c cross join lateral campaign_counters(c.id) n;

create or replace view call_task_details as
    select t.id, t.campaign_id, t.phone_number, d.contact_name, d.contact_data, t.state, t.attempt_count,
           coalesce(l.dialed_at, a.dialed_at, t.last_attempt_at) as last_attempt_at,
           case when t.waiting or t.ready and t.state = 'retry' then t.ready_at end as next_attempt_at,
           t.call_id, t.outcome, a.error_message, t.priority, t.timezone, t.created_at, t.updated_at, d.phone_text
    from call_tasks t
        join call_task_contacts d on d.task_id = t.id
        left join live_calls l on l.call_id = t.call_id
        left join call_attempts a on a.call_id = t.call_id;

-- What an Upload message is made of, in the order of enum upload_column (services/campaign/uploads/rows.h).
create view upload_details as
    select u.id, u.campaign_id, u.state, u.file_name, u.format, u.charset, u.sheet, u.on_duplicate, u.bytes, u.total, u.created, u.updated, u.duplicates,
           u.error_count, u.errors_kept,
           u.total / greatest(extract(epoch from coalesce(u.finished_at, clock_timestamp()) - u.started_at), 0.001)::double precision as rows_per_second,
           u.bytes / greatest(extract(epoch from coalesce(u.finished_at, clock_timestamp()) - u.started_at), 0.001)::double precision as bytes_per_second,
           u.failure, u.created_at, u.updated_at, u.finished_at
    from call_list_uploads u;

-- ---------------------------------------------------------------------------------------------------------------------- an upload's life

-- The record of an upload that begins. verdict: ok; not_found; ended; in_progress: another one with this key is under way; known: one with this key is there
-- already, and its fingerprint says whether it is the same. `other` is that one. A key is free again when it is older than key_lives, or its upload has failed.
create function begin_upload(upload uuid, campaign uuid, company uuid, file text, rule text, how bytea, key text, key_lives interval, lease interval,
                             out verdict text, out other uuid, out other_fingerprint text, out region text)
language plpgsql as $$
declare
    c campaigns;
begin
    select * into c from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    if c.id is null then
        verdict := 'not_found';
        return;
    end if;
    region := c.default_region;
    if c.status = 'cancelled' then
        verdict := 'ended';
        return;
    end if;
    update call_list_uploads u set idempotency_key = null
    where u.campaign_id = campaign and u.idempotency_key = key and (u.state in ('failed', 'undone') or u.finished_at < clock_timestamp() - key_lives);
    insert into call_list_uploads (id, campaign_id, company_id, file_name, total, created, duplicates, error_count, created_at, state, on_duplicate, settings,
                                   idempotency_key, lease_until, started_at, updated_at)
        values (upload, c.id, c.company_id, file, 0, 0, 0, 0, clock_timestamp(), 'receiving', rule, how, key, clock_timestamp() + lease, clock_timestamp(),
                clock_timestamp())
    on conflict (campaign_id, idempotency_key) where idempotency_key is not null do nothing;
    if found then
        verdict := 'ok';
        return;
    end if;
    select u.id, u.fingerprint into other, other_fingerprint from call_list_uploads u where u.campaign_id = campaign and u.idempotency_key = key;
    verdict := case when other_fingerprint is null then 'in_progress' else 'known' end;
end $$;

-- How far it is, and that somebody is still at it. False: it is no longer ours.
create function report_upload(upload uuid, attempt integer, now_state text, file_bytes bigint, rows_total bigint, rows_created bigint, rows_wrong bigint,
                              found_format text, found_charset text, found_sheet text, lease interval) returns boolean
language plpgsql as $$
begin
    update call_list_uploads u set state = now_state, bytes = file_bytes, total = rows_total, created = rows_created, error_count = rows_wrong,
        format = found_format, charset = found_charset, sheet = found_sheet, lease_until = clock_timestamp() + lease, updated_at = clock_timestamp()
    where u.id = upload and u.attempts = attempt and u.state in ('receiving', 'processing');
    return found;
end $$;

-- Nothing of it is in the campaign; its key is free again.
create function fail_upload(upload uuid, attempt integer, why text) returns boolean
language plpgsql as $$
begin
    update call_list_uploads u set state = 'failed', failure = why, created = 0, updated = 0, duplicates = 0, idempotency_key = null, lease_until = null,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
    where u.id = upload and u.attempts = attempt and u.state in ('receiving', 'queued', 'processing');
    if found then
        delete from call_list_upload_chunks k where k.upload_id = upload;
        return true;
    end if;
    return false;
end $$;

-- Uploads whose service has stopped to say that it is at them: one whose file is safe is begun again, a few times; the others have failed.
create function sweep_uploads(attempts_most integer, out failed bigint, out again bigint)
language plpgsql as $$
declare
    u record;
begin
    failed := 0;
    again := 0;
    for u in select l.id, l.attempts from call_list_uploads l
             where l.state in ('receiving', 'processing') and l.lease_until < clock_timestamp() for update skip locked
    loop
        if u.attempts between 1 and attempts_most - 1 then
            update call_list_uploads l set state = 'queued', lease_until = null, updated_at = clock_timestamp() where l.id = u.id;
            again := again + 1;
        elsif u.attempts = 0 then
            perform fail_upload(u.id, u.attempts, 'the service stopped while the file came in: send it again');
            failed := failed + 1;
        else
            perform fail_upload(u.id, u.attempts, format('the service stopped %s times while it worked on the file', u.attempts));
            failed := failed + 1;
        end if;
    end loop;
end $$;

-- The file is safe: it may be worked through by whoever comes. Called in the transaction that has written the chunks.
create function queue_upload(upload uuid, file_bytes bigint, mark text) returns boolean
language plpgsql as $$
begin
    update call_list_uploads u set state = 'queued', bytes = file_bytes, fingerprint = mark, lease_until = null, updated_at = clock_timestamp()
    where u.id = upload and u.attempts = 0 and u.state = 'receiving';
    return found;
end $$;

-- The next upload to work on, oldest first; no row: none.
create function take_upload(lease interval)
returns table (upload uuid, campaign uuid, attempt integer, rule text, how bytea, mark text, file text, region text)
language plpgsql as $$
begin
    return query
        update call_list_uploads u set state = 'processing', attempts = u.attempts + 1, lease_until = clock_timestamp() + lease,
            started_at = clock_timestamp(), updated_at = clock_timestamp()
        from (select q.id from call_list_uploads q where q.state = 'queued' order by q.created_at, q.id limit 1 for update skip locked) next, campaigns c
        where u.id = next.id and c.id = u.campaign_id
        returning u.id, u.campaign_id, u.attempts, u.on_duplicate, u.settings, u.fingerprint, u.file_name, c.default_region;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- from rows to tasks
-- All rows lie in the temporary table call_list_rows; now, in one transaction: open_upload, sort_upload, insert_upload_rows for each stretch of the table (a
-- million rows in one statement would outlast its timeout), with on_duplicate=update update_upload_rows likewise, close_upload. Uploads into one campaign
-- take turns from the first step on, and nobody else makes tasks: so what sort_upload has found to be new still is when it is inserted.

drop function open_upload(uuid, uuid);
drop function insert_upload_rows(uuid, bigint, bigint);
drop function close_upload(uuid, uuid, text, bigint, bigint, bigint, bigint);

-- verdict: ok, not_found, or bad_zone with the name in `detail`.
create function open_upload(campaign uuid, company uuid, out verdict text, out detail text)
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(campaign::text, 1));
    perform from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    if not found then
        verdict := 'not_found';
        return;
    end if;
    select z.timezone into detail from (select distinct r.timezone from call_list_rows r where r.timezone is not null) z
    where not is_time_zone(z.timezone) limit 1;
    verdict := case when detail is null then 'ok' else 'bad_zone' end;
end $$;

-- Takes the rows whose number occurred before out of call_list_rows into call_list_duplicates. in_file: before in the file; in_campaign: first in the file, but
-- there already. pages: how long the two tables are.
create function sort_upload(campaign uuid, rule text, out in_file bigint, out in_campaign bigint, out pages bigint, out duplicate_pages bigint)
language plpgsql as $$
begin
    perform set_config('work_mem', '64MB', true);
    create temporary table call_list_duplicates on commit drop as
        select r.place, r.row_number, r.phone_number, case when r.first_row <> r.row_number then r.first_row end as first_row, t.id as task_id,
               case when rule = 'update' then r.contact_name end as contact_name, case when rule = 'update' then r.contact_data end as contact_data,
               r.phone_raw
        from (select w.ctid as place, w.row_number, w.phone_number, w.phone_raw, w.contact_name, w.contact_data,
                     min(w.row_number) over (partition by w.phone_number collate "C") as first_row
              from call_list_rows w where w.id is not null) r
            left join call_tasks t on t.campaign_id = campaign and t.phone_number = r.phone_number
        where t.id is not null or r.first_row <> r.row_number;
    select count(*) filter (where d.first_row is not null), count(*) filter (where d.first_row is null) into in_file, in_campaign from call_list_duplicates d;
    if in_file + in_campaign > 0 then
        delete from call_list_rows r using call_list_duplicates d where r.ctid = d.place;
    end if;
    pages := pg_relation_size('call_list_rows') / current_setting('block_size')::bigint;
    duplicate_pages := pg_relation_size('call_list_duplicates') / current_setting('block_size')::bigint;
end $$;

-- The rows on pages first_page to before_page become tasks, in the order of the file.
create function insert_upload_rows(campaign uuid, upload uuid, first_page bigint, before_page bigint, out made bigint)
language plpgsql as $$
declare
    here tid := format('(%s,0)', first_page)::tid;
    there tid := format('(%s,0)', before_page)::tid;
    company uuid := (select c.company_id from campaigns c where c.id = campaign);
begin
    insert into call_tasks (id, campaign_id, company_id, phone_number, priority, timezone, ready_at, created_at, updated_at)
        select r.id, campaign, company, r.phone_number, r.priority, r.timezone, now(), now(), now()
        from call_list_rows r where r.ctid >= here and r.ctid < there and r.id is not null;
    get diagnostics made = row_count;
    insert into call_task_contacts (task_id, company_id, contact_name, contact_data, phone_text, upload_id)
        select r.id, company, r.contact_name, r.contact_data, r.phone_raw, upload
        from call_list_rows r where r.ctid >= here and r.ctid < there and r.id is not null;
end $$;

-- on_duplicate=update: tasks that are there take over the contact of the rows on these pages of call_list_duplicates; how many did. Who is being claimed right now
-- has been claimed.
create function update_upload_rows(first_page bigint, before_page bigint) returns bigint
language plpgsql as $$
declare
    here tid := format('(%s,0)', first_page)::tid;
    there tid := format('(%s,0)', before_page)::tid;
    n bigint;
begin
    with open as materialized (
        select t.id, d.contact_name, d.contact_data, d.phone_raw from call_list_duplicates d join call_tasks t on t.id = d.task_id
        where d.ctid >= here and d.ctid < there and d.first_row is null and t.fence = 0 and t.state in ('pending', 'retry')
        for update of t skip locked
    ), changed as (
        update call_task_contacts c
        set contact_name = coalesce(o.contact_name, c.contact_name), contact_data = c.contact_data || o.contact_data, phone_text = o.phone_raw
        from open o where c.task_id = o.id
    )
    update call_tasks t set updated_at = now() from open o where t.id = o.id;
    get diagnostics n = row_count;
    return n;
end $$;

-- Keeps what was refused, at most `most` rows of it; how many.
create function keep_upload_errors(upload uuid, most bigint) returns bigint
language plpgsql as $$
declare
    n bigint;
begin
    insert into call_list_upload_errors (upload_id, row_number, column_name, reason, content)
        select upload, r.row_number, r.error_column, r.error, r.original from call_list_rows r
        where r.error is not null order by r.row_number limit most
    on conflict do nothing;
    get diagnostics n = row_count;
    return n;
end $$;

-- verdict: ok, not_found, ended, or lost: somebody else works on it now, or has declared it failed.
create function close_upload(campaign uuid, upload uuid, attempt integer, errors_most bigint, file_bytes bigint, rows_total bigint, rows_created bigint,
                             rows_updated bigint, rows_double bigint, rows_wrong bigint, found_format text, found_charset text, found_sheet text,
                             names text[], mark text, out verdict text)
language plpgsql as $$
declare
    c campaigns;
begin
    update campaign_pacing p set idle_until = '-infinity' where p.campaign_id = campaign;
    -- Under the pacing row's lock now: a cancel came either before this, and is seen here, or comes after the commit and sees the new tasks.
    select * into c from campaigns k where k.id = campaign;
    verdict := case when c.id is null then 'not_found' when c.status = 'cancelled' then 'ended' else 'ok' end;
    if verdict <> 'ok' then
        return;
    end if;
    update call_list_uploads u set state = 'completed', bytes = file_bytes, total = rows_total, created = rows_created, updated = rows_updated,
        duplicates = rows_double, error_count = rows_wrong, format = found_format, charset = found_charset, sheet = found_sheet, columns = names,
        fingerprint = mark, lease_until = null, updated_at = clock_timestamp(), finished_at = clock_timestamp(),
        (first_task, last_task) = (select min(r.id::text)::uuid, max(r.id::text)::uuid from (
            (select r.id from call_list_rows r where r.id is not null order by r.id limit 1) union all
            (select r.id from call_list_rows r where r.id is not null order by r.id desc limit 1)) r)
    where u.id = upload and u.attempts = attempt and u.state in ('receiving', 'processing');
    if not found then
        verdict := 'lost';
        return;
    end if;
    update call_list_uploads u set errors_kept = keep_upload_errors(upload, errors_most) where u.id = upload;
    delete from call_list_upload_chunks k where k.upload_id = upload;
end $$;

-- on_duplicate=error with duplicates: none of the rows becomes a task, and all that is wrong is kept as errors. verdict: ok, lost.
create function refuse_upload(upload uuid, attempt integer, errors_most bigint, file_bytes bigint, rows_total bigint, rows_wrong bigint, found_format text,
                              found_charset text, found_sheet text, why text, out verdict text)
language plpgsql as $$
begin
    if not fail_upload(upload, attempt, why) then
        verdict := 'lost';
        return;
    end if;
    insert into call_list_upload_errors (upload_id, row_number, column_name, reason, content)
        select upload, d.row_number, 'phone_number', duplicate_reason(d.phone_number, d.first_row), to_jsonb(array[coalesce(d.phone_raw, d.phone_number)])::text
        from call_list_duplicates d order by d.row_number limit errors_most;
    perform keep_upload_errors(upload, errors_most);
    update call_list_uploads u set bytes = file_bytes, total = rows_total,
        error_count = rows_wrong + (select count(*) from call_list_duplicates), errors_kept = (select count(*) from call_list_upload_errors e where e.upload_id = upload),
        format = found_format, charset = found_charset, sheet = found_sheet
    where u.id = upload;
    verdict := 'ok';
end $$;

create function duplicate_reason(phone text, first_row bigint) returns text
language sql immutable as $$
    select case when first_row is null then format('phone_number %s is in the campaign already', phone) else format('phone_number %s is in row %s already', phone, first_row) end
$$;

-- ---------------------------------------------------------------------------------------------------------------------- undo

-- Begins to take an upload back: under the locks of an upload and of a claim. verdict: ok, with the ids between which its tasks are; done: there is nothing (more) to
-- take back; not_found; in_progress; failed; too_old; claimed, with how many of its tasks have been.
create function open_undo(campaign uuid, upload uuid, company uuid, out verdict text, out claimed bigint, out first_task uuid, out last_task uuid)
language plpgsql as $$
declare
    u call_list_uploads;
begin
    perform pg_advisory_xact_lock(hashtextextended(campaign::text, 1));
    perform from campaign_pacing p where p.campaign_id = campaign for update;
    select * into u from call_list_uploads l
    where l.id = upload and l.campaign_id = campaign and l.company_id = coalesce(company, l.company_id) for update;
    claimed := 0;
    first_task := u.first_task;
    last_task := u.last_task;
    verdict := case when u.id is null then 'not_found'
                    when u.state in ('receiving', 'processing') then 'in_progress'
                    when u.state = 'failed' then 'failed'
                    when u.state = 'undone' then 'done'
                    when u.created > 0 and u.first_task is null then 'too_old'
                    else 'ok' end;
    if verdict = 'ok' and u.created > 0 then
        select count(*) into claimed from call_task_contacts d join call_tasks t on t.id = d.task_id
        where d.task_id between u.first_task and u.last_task and d.upload_id = upload and t.fence > 0;
        if claimed > 0 then
            verdict := 'claimed';
        end if;
    end if;
end $$;

-- Deletes at most `most` of its tasks, those from `from_task` on. last: the last one; null: there are no more.
create function undo_upload_rows(upload uuid, from_task uuid, last_task uuid, most integer, out gone bigint, out last uuid)
language plpgsql as $$
declare
    ids uuid[];
begin
    ids := array(select d.task_id from call_task_contacts d where d.task_id between from_task and last_task and d.upload_id = upload order by d.task_id limit most);
    delete from call_tasks t where t.id = any (ids);
    get diagnostics gone = row_count;
    last := ids[cardinality(ids)];
end $$;

create function close_undo(upload uuid) returns void
language plpgsql as $$
begin
    update call_list_uploads u set state = 'undone', idempotency_key = null, updated_at = clock_timestamp(), finished_at = clock_timestamp() where u.id = upload;
    delete from call_list_upload_chunks k where k.upload_id = upload;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- exports

-- RFC 3339, as everywhere else.
create function utc_text(at timestamptz) returns text
language sql stable as $$
    select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- ---------------------------------------------------------------------------------------------------------------------- do-not-call

-- As in 0005, but call_list_rows has rejected rows as well: those are counted in `staged`, which says whether the table has ended, and go no further.
create or replace function insert_suppressions(company uuid, first_page bigint, before_page bigint, out staged bigint, out created bigint, out tasks bigint)
language plpgsql as $$
declare
    here tid := format('(%s,0)', first_page)::tid;
    there tid := format('(%s,0)', before_page)::tid;
begin
    select count(*) into staged from call_list_rows r where r.ctid >= here and r.ctid < there;
    with made as (
        insert into suppressions (id, company_id, pattern, is_prefix, reason, source, created_at)
            select r.id, company, rtrim(r.phone_number, '*'), r.phone_number like '%*', nullif(left(r.contact_data ->> 'reason', 500), ''), 'upload', dispatch_now()
            from call_list_rows r where r.ctid >= here and r.ctid < there and r.id is not null
            order by 3, 4 -- two uploads that share numbers must not wait for each other crosswise
        on conflict do nothing
        returning pattern, is_prefix
    )
    select count(*), coalesce(sum(suppress_open_tasks(company, m.pattern, m.is_prefix, 100000)), 0) into created, tasks from made m;
end $$;
