-- Privacy: a person's data are erased on request, and the record of it does not name the person.

-- What was erased, without whom: phone_hash is an HMAC-SHA-256 of the number, whose key is the service's (key_id: that of its data key) or, without data keys, the
-- company's secret below (key_id null). upload, upload_row: how far rejected rows have been looked through. finished_at null: broken off; the same request goes on.
create table erasures (
    id uuid primary key,
    company_id uuid not null references companies (id) on delete cascade,
    phone_hash bytea not null,
    key_id text,
    reference text,
    requested_by text not null,
    created_at timestamptz not null,
    finished_at timestamptz,
    removed jsonb not null default '{}',
    upload uuid not null default '00000000-0000-0000-0000-000000000000',
    upload_row bigint not null default 0
);
create index erasures_of_company on erasures (company_id, created_at desc, id desc);
create index erasures_under_way on erasures (company_id, phone_hash) where finished_at is null;

-- For installations without data keys, made when it is first asked for. Whoever can read this table can try numbers against the hashes.
create table erasure_secrets (
    company_id uuid primary key references companies (id) on delete cascade,
    secret bytea not null
);

-- Null: no such company for who asks.
create function erasure_secret(scope uuid, company uuid) returns bytea
language plpgsql as $$
begin
    insert into erasure_secrets (company_id, secret)
        select o.id, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
        from companies o where o.id = company and (scope is null or o.id = scope)
    on conflict do nothing;
    return (select s.secret from erasure_secrets s where s.company_id = company and (scope is null or s.company_id = scope));
end $$;

-- The uploads of a company that have rejected rows.
create index call_list_uploads_with_errors on call_list_uploads (company_id, id) where errors_kept > 0;

-- A message's wire form without its field number `field`; of a malformed one nothing is left.
create function wire_without(message bytea, field integer) returns bytea
language plpgsql immutable as $$
declare
    size integer := octet_length(message);
    i integer := 0;
    start integer;
    tag bigint;
    value bigint;
    shift integer;
    byte integer;
    kept bytea := '';
begin
    while i < size loop
        start := i;
        tag := 0;
        shift := 0;
        loop
            byte := get_byte(message, i);
            i := i + 1;
            tag := tag | ((byte & 127)::bigint << shift);
            shift := shift + 7;
            exit when byte < 128;
        end loop;
        case tag & 7
            when 1 then i := i + 8;
            when 5 then i := i + 4;
            else -- an integer, or the length of what follows
                value := 0;
                shift := 0;
                loop
                    byte := get_byte(message, i);
                    i := i + 1;
                    if shift < 63 then
                        value := value | ((byte & 127)::bigint << shift);
                    end if;
                    shift := shift + 7;
                    exit when byte < 128;
                end loop;
                if tag & 7 = 2 then
                    i := i + value::integer;
                end if;
        end case;
        if tag >> 3 <> field then
            kept := kept || substring(message from start + 1 for i - start);
        end if;
    end loop;
    return kept;
exception when others then
    return '';
end $$;

-- Adds what was removed to an erasure's counts.
create function note_erased(erasure uuid, counts jsonb) returns void
language sql as $$
    update erasures e set removed = e.removed || (select coalesce(jsonb_object_agg(n.key, coalesce((e.removed ->> n.key)::bigint, 0) + n.value::bigint), '{}')
                                                  from jsonb_each_text(counts) n)
    where e.id = erasure
$$;

-- Begins an erasure, or finds the one that was broken off. verdict: ok, or not_found: no such company for who asks.
create function open_erasure(scope uuid, company uuid, new_id uuid, hash bytea, hash_key text, why text, who text, out verdict text, out erasure uuid,
                             out upload uuid, out upload_row bigint)
language plpgsql as $$
begin
    perform from companies o where o.id = company and (scope is null or o.id = scope) for key share;
    if not found then
        verdict := 'not_found';
        return;
    end if;
    verdict := 'ok';
    select e.id, e.upload, e.upload_row into erasure, upload, upload_row from erasures e
    where e.company_id = company and e.phone_hash = hash and e.finished_at is null order by e.created_at, e.id limit 1;
    if erasure is null then
        erasure := new_id;
        upload := '00000000-0000-0000-0000-000000000000';
        upload_row := 0;
        insert into erasures (id, company_id, phone_hash, key_id, reference, requested_by, created_at)
            values (new_id, company, hash, hash_key, why, who, clock_timestamp());
    end if;
end $$;

-- Erases what is found by the number itself, at most `most` calls at a time. verdict: ok; more: come again; under_way: a call to it is, `other`. Tasks are locked
-- first, so that whoever claims one at this moment either shows in live_calls or passes it over.
-- A call that its agent has left open for an hour is over: what should still come of it is taken as repeated (last_seq is the greatest there is) and dropped.
create function erase_contact(company uuid, erasure uuid, phone text, keep_suppression boolean, most integer, out verdict text, out other uuid)
language plpgsql as $$
declare
    at timestamptz := clock_timestamp();
    ids uuid[];
    call_ids uuid[];
    starts timestamptz[];
    said uuid[];
    by_phone integer;
    n_tasks bigint;
    n_open bigint;
    n_attempts bigint;
    n_calls bigint;
    n_events bigint;
    n_reasons bigint;
    n_suppressions bigint := 0;
begin
    with mine as (
        select t.id from campaigns c join call_tasks t on t.campaign_id = c.id and t.phone_number = phone where c.company_id = company order by t.id for update of t
    )
    select coalesce(array_agg(m.id), '{}') into ids from mine m;
    select l.call_id into other from live_calls l where l.company_id = company and l.phone_number = phone;
    if found then
        verdict := 'under_way';
        return;
    end if;
    -- A caller may have written the number without its plus, or with the zeros of a call abroad.
    with found as (
        select c.id, c.started_at from calls c
        where c.company_id = company and c.phone_number in (phone, ltrim(phone, '+'), '00' || ltrim(phone, '+')) limit most
    )
    select coalesce(array_agg(f.id), '{}'), coalesce(array_agg(f.started_at), '{}') into call_ids, starts from found f;
    by_phone := cardinality(call_ids);
    with found as (
        select x.call_id, x.started_at from call_attempts a join call_index x on x.call_id = a.call_id
        where a.task_id = any (ids) and x.company_id = company and x.call_id <> all (call_ids)
    )
    select call_ids || coalesce(array_agg(f.call_id), '{}'), starts || coalesce(array_agg(f.started_at), '{}') into call_ids, starts from found f;
    perform from unnest(call_ids, starts) u(id, started) join calls c on c.id = u.id and c.started_at = u.started order by c.id for update of c;
    select c.id into other from unnest(call_ids, starts) u(id, started) join calls c on c.id = u.id and c.started_at = u.started
    where c.ended_at is null and c.last_event_at > at - interval '1 hour' limit 1;
    if found then
        verdict := 'under_way';
        return;
    end if;

    with gone as (
        delete from call_events e using unnest(call_ids, starts) u(id, started) where e.call_id = u.id and e.started_at = u.started returning e.call_id
    )
    select count(*), coalesce(array_agg(distinct g.call_id), '{}') into n_events, said from gone g;
    select count(*) into n_calls from unnest(call_ids, starts) u(id, started) join calls c on c.id = u.id and c.started_at = u.started
    where c.phone_number is not null or c.id = any (said);
    update call_metrics m set figures = wire_without(m.figures, 42) from unnest(call_ids, starts) u(id, started)
    where m.call_id = u.id and m.started_at = u.started and wire_without(m.figures, 42) <> m.figures;
    get diagnostics n_reasons = row_count;
    update calls c set phone_number = null, last_seq = case when c.ended_at is null then 10000000 else c.last_seq end
    from unnest(call_ids, starts) u(id, started) where c.id = u.id and c.started_at = u.started and (c.phone_number is not null or c.ended_at is null);

    update call_attempts a set error_message = null where a.task_id = any (ids) and a.error_message is not null;
    get diagnostics n_attempts = row_count;
    update call_task_contacts d set contact_name = null, contact_data = '{}', phone_text = null where d.task_id = any (ids);
    -- One whose end is unknown will never be settled: a late word of its agent is not about the person any more.
    update call_tasks t set state = 'cancelled', ready = false, waiting = false, waiting_for = null, unsettled_since = null
    where t.id = any (ids) and (t.ready or t.waiting or t.state in ('pending', 'retry', 'in_progress', 'unknown'));
    get diagnostics n_open = row_count;
    update call_tasks t set phone_number = 'erased:' || t.id, timezone = null, updated_at = at where t.id = any (ids);
    get diagnostics n_tasks = row_count;

    if keep_suppression then
        update suppressions s set reason = null, call_id = null
        where s.company_id = company and s.pattern = phone and not s.is_prefix and (s.reason is not null or s.call_id is not null);
    else
        delete from suppressions s where s.company_id = company and s.pattern = phone and not s.is_prefix;
        get diagnostics n_suppressions = row_count;
    end if;
    perform note_erased(erasure, jsonb_build_object('tasks', n_tasks, 'cancelled_tasks', n_open, 'attempts', n_attempts, 'calls', n_calls, 'events', n_events,
                                                    'outcome_reasons', n_reasons, 'suppressions', n_suppressions));
    verdict := case when by_phone = most then 'more' else 'ok' end;
end $$;

-- Rejected rows that hold the person: rows of `upload` as given, which lose their content; and how far all of the company's have been looked through.
create function erase_upload_errors(erasure uuid, uploads uuid[], row_numbers bigint[], last_upload uuid, last_row bigint) returns void
language plpgsql as $$
declare
    n bigint;
begin
    update call_list_upload_errors e set reason = 'erased on request', content = null from unnest(uploads, row_numbers) u(id, row_number)
    where e.upload_id = u.id and e.row_number = u.row_number;
    get diagnostics n = row_count;
    perform note_erased(erasure, jsonb_build_object('upload_errors', n));
    update erasures e set upload = last_upload, upload_row = last_row where e.id = erasure;
end $$;

-- The end: what the answer says.
create function close_erasure(company uuid, erasure uuid, phone text, out removed jsonb, out kept bigint, out under_way bigint, out at timestamptz)
language plpgsql as $$
begin
    update erasures e set finished_at = clock_timestamp() where e.id = erasure returning e.removed, e.finished_at into removed, at;
    -- The log of changes, where there is one, holds no number and nothing about a person: there is nothing to take out of it, and it shall know of this.
    if to_regprocedure('audit_record(uuid, text, uuid, text, jsonb, jsonb)') is not null then
        execute 'select audit_record($1, ''contact'', $2, ''erase'', null, $3)' using company, erasure, removed;
    end if;
    select count(*) into kept from suppressions s where s.company_id = company and s.pattern = phone and not s.is_prefix;
    select count(*) into under_way from call_list_uploads u where u.company_id = company and u.state in ('receiving', 'queued', 'processing');
end $$;
