-- Who changed what: one entry for each change of configuration, written by triggers in the transaction of the change, so that none is without the other.
--
-- Who is asking comes with each transaction as settings of its own (dialplane.actor, dialplane.address, dialplane.request_id); where there are none, the platform
-- itself did it (upkeep, an upload that is worked through later), or somebody with SQL. Rows of the hot path (tasks, attempts, events of calls) are not written down.
--
-- Nothing here is ever changed or deleted, so nothing may get in that would have to be: no phone number whole, no free text about a person, and of a tool's settings
-- the names but no value, whatever its key is called.

-- What runs with the rights of the owner must find these tables and no others of the same names.
do $$ begin execute format('set local search_path = %I, pg_temp', current_schema()); end $$;

-- ---------------------------------------------------------------------------------------------------------------------- the log

-- company_id has no foreign key: the entries of a company outlive it. actor: a token's sub; null: the platform itself. before_change and after_change: what differs,
-- see audit_record().
create table audit_entries (
    id uuid primary key,
    company_id uuid not null,
    at timestamptz not null,
    actor text,
    address text,
    request_id text,
    kind text not null,
    resource_id uuid,
    action text not null,
    before_change jsonb,
    after_change jsonb
);
create index audit_entries_newest on audit_entries (company_id, at desc, id desc);
create index audit_entries_of_resource on audit_entries (company_id, resource_id, at desc, id desc);
create index audit_entries_oldest on audit_entries (at);

-- Append-only, whoever asks, the tables' owner too. What is past its time may go, and never before 30 days: see forget_audit_entries().
create function keep_audit_entry() returns trigger
language plpgsql as $$
begin
    if tg_op = 'DELETE' and old.at < clock_timestamp() - interval '30 days' then
        return old;
    end if;
    raise insufficient_privilege using message = 'the audit log is append-only';
end $$;
create trigger audit_entries_kept before update or delete on audit_entries for each row execute function keep_audit_entry();
create trigger audit_entries_not_emptied before truncate on audit_entries for each statement execute function keep_audit_entry();

-- Entries older than keep_days days go, at most `most`; how many did.
create function forget_audit_entries(keep_days integer, most integer) returns bigint
language plpgsql security definer set search_path from current as $$
declare
    n bigint;
begin
    delete from audit_entries where ctid = any (array(
        select e.ctid from audit_entries e where e.at < clock_timestamp() - make_interval(days => greatest(keep_days, 31)) order by e.at limit most));
    get diagnostics n = row_count;
    return n;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- before and after

-- What `theirs` has that `mine` has not, or has otherwise: of objects their members, to any depth, of all else the whole value; null: nothing.
create function audit_difference(mine jsonb, theirs jsonb) returns jsonb
language plpgsql immutable as $$
begin
    if theirs is null or mine is null then
        return theirs;
    end if;
    return (select jsonb_object_agg(t.key, case when jsonb_typeof(t.value) = 'object' and jsonb_typeof(mine -> t.key) = 'object'
                                                then coalesce(audit_difference(mine -> t.key, t.value), '{}') else t.value end)
            from jsonb_each(theirs) t where mine -> t.key is distinct from t.value);
end $$;

-- Values of more than `most` bytes as their size, {"omitted_bytes": N}; of objects with at most 100 members only those members that are too long.
create function audit_shorten(value jsonb, most integer) returns jsonb
language plpgsql immutable as $$
declare
    bytes integer := octet_length(value::text);
begin
    if value is null or bytes <= most then
        return value;
    end if;
    if jsonb_typeof(value) = 'object' and (select count(*) from jsonb_object_keys(value)) <= 100 then
        return (select jsonb_object_agg(m.key, audit_shorten(m.value, most)) from jsonb_each(value) m);
    end if;
    return jsonb_build_object('omitted_bytes', bytes);
end $$;

-- At most some 16 KB, for a row has at most some 30 columns.
create function audit_bounded(change jsonb) returns jsonb
language plpgsql immutable as $$
declare
    short jsonb := audit_shorten(change, 2048);
begin
    if octet_length(short::text) <= 16384 then
        return short;
    end if;
    return (select jsonb_object_agg(m.key, case when octet_length(m.value::text) > 400 then jsonb_build_object('omitted_bytes', octet_length(m.value::text)) else m.value end)
            from jsonb_each(short) m);
end $$;

-- One entry. before, after: what differs, as objects; null where there was or is nothing. The caller sees to it that they hold no secret and nobody's data.
create function audit_record(company uuid, kind text, resource uuid, action text, before_change jsonb, after_change jsonb) returns void
language plpgsql as $$
begin
    insert into audit_entries (id, company_id, at, actor, address, request_id, kind, resource_id, action, before_change, after_change)
        values (uuid_v7(), company, clock_timestamp(), nullif(current_setting('dialplane.actor', true), ''),
                nullif(current_setting('dialplane.address', true), ''), nullif(current_setting('dialplane.request_id', true), ''),
                kind, resource, action, audit_bounded(before_change), audit_bounded(after_change));
end $$;

-- One entry for a change of a document, unless nothing in it differs.
create function audit_change(company uuid, kind text, resource uuid, action text, old_document jsonb, new_document jsonb) returns void
language plpgsql as $$
declare
    was jsonb := audit_difference(new_document, old_document);
    is_now jsonb := audit_difference(old_document, new_document);
begin
    if action <> 'update' or was is not null or is_now is not null then
        perform audit_record(company, kind, resource, action, was, is_now);
    end if;
end $$;

-- The trigger of a table with the columns id and company_id: audit_row(KIND[, COLUMNS]), the columns of a comma list that stay out beside those that say who and when.
create function audit_row() returns trigger
language plpgsql as $$
declare
    left_out text[] := '{id,company_id,created_at,updated_at}' || string_to_array(coalesce(tg_argv[1], ''), ',');
    was jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - left_out end;
    is_now jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - left_out end;
    action text := case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end;
begin
    if tg_op = 'DELETE' then
        perform audit_change(old.company_id, tg_argv[0], old.id, action, was, is_now);
    else
        perform audit_change(new.company_id, tg_argv[0], new.id, action, was, is_now);
    end if;
    return null;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- companies and skillbases

create function audit_company() returns trigger
language plpgsql as $$
declare
    left_out constant text[] := '{id,created_at,updated_at}';
begin
    if tg_op = 'INSERT' then
        perform audit_change(new.id, 'company', new.id, 'create', null, to_jsonb(new) - left_out);
    elsif tg_op = 'UPDATE' then
        perform audit_change(new.id, 'company', new.id, 'update', to_jsonb(old) - left_out, to_jsonb(new) - left_out);
    else
        perform audit_change(old.id, 'company', old.id, 'delete', to_jsonb(old) - left_out, null);
    end if;
    return null;
end $$;
create trigger companies_audited after insert or update or delete on companies for each row execute function audit_company();

-- The same with "***" for every value in it, null excepted.
create function audit_hide(value jsonb) returns jsonb
language plpgsql immutable as $$
begin
    return case jsonb_typeof(value) when 'object' then coalesce((select jsonb_object_agg(m.key, audit_hide(m.value)) from jsonb_each(value) m), '{}')
                                    when 'null' then value else '"***"' end;
end $$;

-- The tools of a difference of configurations (an object by name, see below) without the values of their settings.
create function audit_hide_tools(change jsonb) returns jsonb
language plpgsql immutable as $$
begin
    if jsonb_typeof(change #> '{config,tools}') is distinct from 'object' then
        return change;
    end if;
    return jsonb_set(change, '{config,tools}', (
        select jsonb_object_agg(t.key, case when t.value ? 'config' then jsonb_set(t.value, '{config}', audit_hide(t.value -> 'config')) else t.value end)
        from jsonb_each(change #> '{config,tools}') t));
end $$;

-- A skillbase as a document. The tools are an object by name, so that one in another place has not changed; the configuration is left out when it is the same in both.
create function audit_skillbase_document(s skillbases, with_config boolean) returns jsonb
language plpgsql immutable as $$
declare
    document jsonb := jsonb_build_object('name', s.name, 'slug', s.slug, 'description', s.description, 'version', s.version, 'knowledge_base_id', s.knowledge_base_id,
                                         'is_active', s.is_active, 'is_published', s.is_published);
begin
    if not with_config then
        return document;
    end if;
    return document || jsonb_build_object('config', s.config || case when jsonb_typeof(s.config -> 'tools') = 'array' then jsonb_build_object('tools', (
        select coalesce(jsonb_object_agg(coalesce(t ->> 'name', ''), t - 'name'), '{}') from jsonb_array_elements(s.config -> 'tools') t)) else '{}' end);
end $$;

create function audit_skillbase() returns trigger
language plpgsql as $$
declare
    with_config boolean := tg_op <> 'UPDATE';
    was jsonb;
    is_now jsonb;
begin
    if tg_op = 'UPDATE' then
        with_config := old.config <> new.config;
    end if;
    if tg_op <> 'INSERT' then
        was := audit_skillbase_document(old, with_config);
    end if;
    if tg_op <> 'DELETE' then
        is_now := audit_skillbase_document(new, with_config);
    end if;
    if tg_op = 'INSERT' then
        perform audit_record(new.company_id, 'skillbase', new.id, 'create', null, audit_hide_tools(is_now));
    elsif tg_op = 'DELETE' then
        perform audit_record(old.company_id, 'skillbase', old.id, 'delete', audit_hide_tools(was), null);
    elsif was <> is_now then
        perform audit_record(new.company_id, 'skillbase', new.id, 'update', audit_hide_tools(audit_difference(is_now, was)), audit_hide_tools(audit_difference(was, is_now)));
    end if;
    return null;
end $$;
create trigger skillbases_audited after insert or update or delete on skillbases for each row execute function audit_skillbase();

-- ---------------------------------------------------------------------------------------------------------------------- campaigns

-- A move from state to state has its own word.
create function audit_campaign() returns trigger
language plpgsql as $$
declare
    left_out constant text[] := '{id,company_id,created_at,updated_at}';
    was jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - left_out end;
    is_now jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - left_out end;
    action text := case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end;
begin
    if tg_op = 'DELETE' then
        perform audit_change(old.company_id, 'campaign', old.id, action, was, is_now);
        return null;
    end if;
    if tg_op = 'UPDATE' then
        if old.status <> new.status then
            action := case new.status when 'running' then 'start' when 'paused' then 'pause' when 'cancelled' then 'cancel' when 'completed' then 'complete' else 'update' end;
        end if;
    end if;
    perform audit_change(new.company_id, 'campaign', new.id, action, was, is_now);
    return null;
end $$;
create trigger campaigns_audited after insert or update or delete on campaigns for each row execute function audit_campaign();

-- Uploads of call lists: their begin, their end, and when they are undone; not each time that one says how far it is, and not when they go with their campaign.
create function audit_upload() returns trigger
language plpgsql as $$
begin
    perform audit_record(new.company_id, 'upload', new.id,
        case when tg_op = 'INSERT' then 'create' when new.state = 'completed' then 'complete' when new.state = 'failed' then 'fail' else 'undo' end,
        case when tg_op = 'UPDATE' then jsonb_build_object('state', old.state) end,
        case when tg_op = 'INSERT' then jsonb_build_object('state', new.state, 'campaign_id', new.campaign_id, 'on_duplicate', new.on_duplicate)
             else jsonb_build_object('state', new.state, 'campaign_id', new.campaign_id, 'total', new.total, 'created', new.created, 'updated', new.updated,
                                     'duplicates', new.duplicates, 'error_count', new.error_count) end);
    return null;
end $$;
create trigger call_list_uploads_begun_audited after insert on call_list_uploads for each row execute function audit_upload();
create trigger call_list_uploads_ended_audited after update of state on call_list_uploads for each row
    when (old.state <> new.state and new.state in ('completed', 'failed', 'undone')) execute function audit_upload();

-- What a person has said about a call whose end was unknown. The column is in no statement of the hot path; the note is not written down.
create function audit_settlement() returns trigger
language plpgsql as $$
begin
    perform audit_record(new.company_id, 'task', new.task_id, 'settle', null,
        jsonb_build_object('campaign_id', new.campaign_id, 'call_id', new.call_id, 'disposition', new.disposition, 'outcome', new.outcome, 'status', new.result_state));
    return null;
end $$;
create trigger call_attempts_settled_audited after update of settled_by on call_attempts for each row
    when (new.settled_by = 'person' and old.settled_by is distinct from 'person') execute function audit_settlement();

-- ---------------------------------------------------------------------------------------------------------------------- do-not-call, prices

-- A number that is whole says too much in a log that forgets nothing: "+1•••0100".
create function audit_phone(phone text) returns text
language sql immutable as $$
    select case when length(phone) > 10 then left(phone, 2) || '•••' || right(phone, 4) when length(phone) > 6 then left(phone, 2) || '•••' else phone end
$$;

-- One by one. Those of an upload have one entry together (audit_suppressions_upload()), those that go with their company none. The reason may be about a person.
create function audit_suppression() returns trigger
language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        perform audit_record(old.company_id, 'suppression', old.id, 'delete',
                             jsonb_build_object('pattern', audit_phone(old.pattern), 'is_prefix', old.is_prefix, 'source', old.source), null);
    else
        perform audit_record(new.company_id, 'suppression', new.id, 'create', null,
                             jsonb_build_object('pattern', audit_phone(new.pattern), 'is_prefix', new.is_prefix, 'source', new.source));
    end if;
    return null;
end $$;
create trigger suppressions_made_audited after insert on suppressions for each row when (new.source <> 'upload') execute function audit_suppression();
create trigger suppressions_gone_audited after delete on suppressions for each row when (pg_trigger_depth() = 0) execute function audit_suppression();

create function audit_suppressions_upload(company uuid, total bigint, created bigint, errors bigint, tasks bigint) returns void
language sql as $$
    select audit_record(company, 'suppression', null, 'upload', null,
                        jsonb_build_object('total', total, 'created', created, 'error_count', errors, 'suppressed_tasks', tasks))
$$;

-- Prices as they are set, in dollars.
create function audit_prices_document(p price_lists) returns jsonb
language sql immutable as $$
    select jsonb_object_agg(k, trim_scale(v / 1000000000000.0)) || jsonb_build_object('valid_from', utc_text(p.valid_from))
    from (values ('stt_minute', p.stt_minute), ('llm_million_input_tokens', p.llm_million_input_tokens), ('llm_million_output_tokens', p.llm_million_output_tokens),
                 ('tts_thousand_characters', p.tts_thousand_characters), ('livekit_minute', p.livekit_minute)) prices (k, v)
$$;

create function audit_prices() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        perform audit_change(new.company_id, 'price_list', new.id, 'create', null, audit_prices_document(new));
    elsif tg_op = 'UPDATE' then
        perform audit_change(new.company_id, 'price_list', new.id, 'update', audit_prices_document(old), audit_prices_document(new));
    else
        perform audit_change(old.company_id, 'price_list', old.id, 'delete', audit_prices_document(old), null);
    end if;
    return null;
end $$;
create trigger price_lists_changed_audited after insert or update on price_lists for each row execute function audit_prices();
create trigger price_lists_gone_audited after delete on price_lists for each row when (pg_trigger_depth() = 0) execute function audit_prices();

-- ---------------------------------------------------------------------------------------------------------------------- keys of machines

-- Of the key itself only the beginning is stored readable, and so is written down; not its hash. When it was used is in a table of its own.
do $$ begin
    if to_regclass('api_keys') is not null then -- a database that has been given 0013 without 0011 has none
        create trigger api_keys_changed_audited after insert or update on api_keys for each row execute function audit_row('api_key', 'secret_hash');
        create trigger api_keys_gone_audited after delete on api_keys for each row when (pg_trigger_depth() = 0) execute function audit_row('api_key', 'secret_hash');
    end if;
end $$;
