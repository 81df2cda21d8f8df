-- Analytics at any size: calls, their events and their figures in partitions by month; figures of many calls kept as sums and histograms in
-- the transaction of the calls they count; price lists; reports of many calls in one transaction.

-- ---- Storage: one partition a month, by when the call began -------------------------------------------------------------------------------
-- The agent chooses a call's id, so the id says nothing about the month: call_index does, and makes ids unique over all partitions.
-- Events and metrics carry their call's started_at, so that a month is dropped as three tables and nothing is searched for.
-- Skillbases and campaigns are named without a foreign key (report_call_batches checks them): deleting one must not rewrite its calls. A
-- reader shows them as NULL when they are gone; what was counted under them stays.

ALTER TABLE calls RENAME TO calls_0003;
ALTER TABLE call_events RENAME TO call_events_0003;
ALTER TABLE call_metrics RENAME TO call_metrics_0003;
ALTER INDEX calls_pkey RENAME TO calls_0003_pkey;
ALTER INDEX calls_started_at_idx RENAME TO calls_0003_started_at_idx;
ALTER INDEX calls_company_id_started_at_idx RENAME TO calls_0003_company_id_started_at_idx;
ALTER INDEX calls_skillbase_id_started_at_idx RENAME TO calls_0003_skillbase_id_started_at_idx;
ALTER INDEX calls_campaign_id_started_at_idx RENAME TO calls_0003_campaign_id_started_at_idx;
ALTER INDEX call_events_pkey RENAME TO call_events_0003_pkey;
ALTER INDEX call_metrics_pkey RENAME TO call_metrics_0003_pkey;
DROP FUNCTION report_call_events;

CREATE TABLE call_index (
    call_id    uuid        NOT NULL,
    started_at timestamptz NOT NULL,
    company_id uuid        NOT NULL,
    CONSTRAINT call_index_pkey PRIMARY KEY (call_id)
);
-- Rows come in order of time, nearly: enough for finding those of a month that was dropped.
CREATE INDEX call_index_started_at_brin ON call_index USING brin (started_at);

CREATE TABLE calls (
    id                uuid        NOT NULL,
    company_id        uuid        NOT NULL,
    skillbase_id      uuid,
    skillbase_version integer,
    campaign_id       uuid,
    task_id           uuid,
    phone_number      text,
    status            smallint    NOT NULL, -- dialplane.v1.CallStatus
    outcome           text,
    started_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    last_event_at     timestamptz NOT NULL,
    last_seq          bigint      NOT NULL,
    turn_count        integer     NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT calls_pkey PRIMARY KEY (id, started_at),
    CONSTRAINT calls_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT calls_status_check CHECK (status BETWEEN 1 AND 4)
) PARTITION BY RANGE (started_at);
-- The orders of the history. None has status or outcome in it, which change: an update touches no index. What those select is found by the
-- figures below, which say in which quarters of an hour there are such calls at all.
CREATE INDEX calls_started_at_idx ON calls (started_at DESC, id DESC);
CREATE INDEX calls_company_id_started_at_idx ON calls (company_id, started_at DESC, id DESC);
CREATE INDEX calls_skillbase_id_started_at_idx ON calls (skillbase_id, started_at DESC, id DESC) WHERE skillbase_id IS NOT NULL;
CREATE INDEX calls_campaign_id_started_at_idx ON calls (campaign_id, started_at DESC, id DESC) WHERE campaign_id IS NOT NULL;
CREATE INDEX calls_phone_number_started_at_idx ON calls (phone_number, started_at DESC, id DESC) WHERE phone_number IS NOT NULL;

CREATE TABLE call_events (
    call_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    started_at timestamptz NOT NULL, -- of the call
    kind       smallint    NOT NULL, -- number of the member of CallEvent.event
    event      bytea       NOT NULL, -- a serialized dialplane.v1.CallEvent
    CONSTRAINT call_events_pkey PRIMARY KEY (call_id, seq, started_at)
) PARTITION BY RANGE (started_at);

-- The figures of finished calls, computed once. Money in micro-dollars; usage is what re-rating needs. `figures` is the rest: a serialized
-- dialplane.v1.CallMetrics whose costs are those of the columns.
CREATE TABLE call_metrics (
    call_id           uuid             NOT NULL,
    started_at        timestamptz      NOT NULL, -- of the call
    avg_eou_latency   double precision,
    interruption_rate double precision NOT NULL,
    stt_ms            bigint           NOT NULL,
    llm_input_tokens  bigint           NOT NULL,
    llm_output_tokens bigint           NOT NULL,
    tts_characters    bigint           NOT NULL,
    livekit_ms        bigint           NOT NULL,
    cost_stt          bigint           NOT NULL,
    cost_llm          bigint           NOT NULL,
    cost_tts          bigint           NOT NULL,
    cost_livekit      bigint           NOT NULL,
    cost_total        bigint           NOT NULL,
    figures           bytea            NOT NULL,
    CONSTRAINT call_metrics_pkey PRIMARY KEY (call_id, started_at),
    CONSTRAINT call_metrics_cost_check CHECK (cost_total = cost_stt + cost_llm + cost_tts + cost_livekit)
) PARTITION BY RANGE (started_at);

-- Since when calls and their turns are kept: what began before has been dropped.
CREATE TABLE call_storage (
    is_only          boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    first_month      timestamptz NOT NULL, -- the first with partitions of its own; what is older lies in the partitions named _early
    next_month       timestamptz NOT NULL, -- the first that has none yet
    calls_kept_since timestamptz NOT NULL DEFAULT '-infinity',
    turns_kept_since timestamptz NOT NULL DEFAULT '-infinity'
);

-- Partitions for one month (NULL: of all that is before p_until). Made apart and then attached, which lets reports go on meanwhile.
CREATE FUNCTION attach_call_partitions(p_suffix text, p_from timestamptz, p_until timestamptz, p_tables text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY p_tables LOOP
        IF to_regclass(t || p_suffix) IS NULL THEN
            -- room for the updates of a call on its own page
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s)', t || p_suffix, t, CASE t WHEN 'calls' THEN 80 ELSE 100 END);
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%L)', t, t || p_suffix, coalesce(quote_literal(p_from), 'MINVALUE'), p_until);
    END LOOP;
END $$;

-- Makes the partitions of all months up to the one of p_until. How many months it made; 0 too when another process is at it.
CREATE FUNCTION make_call_partitions(p_until timestamptz) RETURNS integer
LANGUAGE plpgsql SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
DECLARE
    v_next timestamptz;
    n integer := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM call_storage WHERE next_month <= p_until) OR NOT pg_try_advisory_xact_lock(7203, 1) THEN
        RETURN 0;
    END IF;
    SELECT next_month INTO v_next FROM call_storage;
    WHILE v_next <= p_until LOOP
        PERFORM attach_call_partitions(to_char(v_next, '"_"YYYY"_"MM'), v_next, v_next + interval '1 month', ARRAY['calls', 'call_events', 'call_metrics']);
        v_next := v_next + interval '1 month';
        n := n + 1;
    END LOOP;
    UPDATE call_storage SET next_month = v_next;
    RETURN n;
END $$;

-- Drops the oldest month of turns or of whole calls that ended before the cutoffs (NULL: keep all); what is older than the first month goes
-- with it. How many months it dropped, 0 or 1: the caller comes again. Figures of many calls (below) stay.
CREATE FUNCTION drop_call_partitions(p_calls_before timestamptz, p_turns_before timestamptz) RETURNS integer
LANGUAGE plpgsql SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
DECLARE
    s call_storage%ROWTYPE;
    v_whole boolean; -- the calls as well
    v_month timestamptz;
    v_last timestamptz;
    v_tables text[];
    t text;
BEGIN
    SELECT * INTO s FROM call_storage;
    v_last := s.next_month - interval '1 month'; -- is never dropped
    v_month := s.first_month;
    v_whole := p_calls_before IS NOT NULL AND v_month + interval '1 month' <= least(p_calls_before, v_last);
    IF NOT v_whole THEN
        v_month := greatest(s.first_month, s.turns_kept_since);
        IF p_turns_before IS NULL OR v_month + interval '1 month' > least(p_turns_before, v_last) THEN
            RETURN 0;
        END IF;
    END IF;
    IF NOT pg_try_advisory_xact_lock(7203, 1) THEN
        RETURN 0;
    END IF;
    v_tables := CASE WHEN v_whole THEN ARRAY['calls', 'call_metrics', 'call_events'] ELSE ARRAY['call_events'] END;
    FOREACH t IN ARRAY v_tables LOOP
        -- Turns may have been dropped before; then the early partition reaches further already.
        IF to_regclass(t || to_char(v_month, '"_"YYYY"_"MM')) IS NOT NULL THEN
            EXECUTE format('DROP TABLE %I', t || to_char(v_month, '"_"YYYY"_"MM'));
            EXECUTE format('DROP TABLE %I', t || '_early');
            PERFORM attach_call_partitions('_early', NULL, v_month + interval '1 month', ARRAY[t]);
        END IF;
    END LOOP;
    UPDATE call_storage
    SET turns_kept_since = greatest(turns_kept_since, v_month + interval '1 month'),
        first_month = CASE WHEN v_whole THEN v_month + interval '1 month' ELSE first_month END,
        calls_kept_since = CASE WHEN v_whole THEN v_month + interval '1 month' ELSE calls_kept_since END;
    RETURN 1;
END $$;

-- Forgets where calls were that have been dropped, some at a time; how many.
CREATE FUNCTION prune_call_index(p_most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    DELETE FROM call_index WHERE call_id IN (
        SELECT i.call_id FROM call_index i
        WHERE i.started_at < (SELECT calls_kept_since FROM call_storage) AND i.started_at > '-infinity' LIMIT p_most);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- ---- Figures of many calls ----------------------------------------------------------------------------------------------------------------
-- One row counts the calls that began in one quarter of an hour (zones are whole quarters away from UTC) and are alike in all that can be
-- filtered by. A report appends rows of changes in its own transaction, so nobody waits for anybody; once a second they are folded into
-- call_figures and its coarser sums, and readers add both in one snapshot: the figures are exact at every moment.
-- "None" is the nil UUID, version 0 and outcome '', so that keys have no NULL.
-- Histograms follow DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019): slot i holds values in (1.04^(i-1), 1.04^i], so that 2 * 1.04^i / 2.04
-- is within 1.97 % of each; 0 has the slot -32768. They merge by adding. slots and counts go together.

CREATE TABLE call_figures (
    quarter           timestamptz      NOT NULL,
    company_id        uuid             NOT NULL,
    campaign_id       uuid             NOT NULL,
    skillbase_id      uuid             NOT NULL,
    skillbase_version integer          NOT NULL,
    status            smallint         NOT NULL,
    outcome           text             NOT NULL,
    calls             bigint           NOT NULL,
    measured          bigint           NOT NULL, -- that have metrics
    duration_ms       bigint           NOT NULL, -- of ended calls, as turns
    turns             bigint           NOT NULL,
    eou_calls         bigint           NOT NULL, -- that have a mean latency
    eou_sum           double precision NOT NULL, -- of those means, milliseconds
    interruption_sum  double precision NOT NULL,
    cost_stt          bigint           NOT NULL,
    cost_llm          bigint           NOT NULL,
    cost_tts          bigint           NOT NULL,
    cost_livekit      bigint           NOT NULL,
    slots             smallint[]       NOT NULL, -- of those means
    counts            bigint[]         NOT NULL,
    CONSTRAINT call_figures_pkey PRIMARY KEY (company_id, quarter, campaign_id, skillbase_id, skillbase_version, status, outcome)
) WITH (fillfactor = 80);
CREATE INDEX call_figures_campaign_id_idx ON call_figures (campaign_id, quarter);
CREATE INDEX call_figures_skillbase_id_idx ON call_figures (skillbase_id, quarter);
CREATE INDEX call_figures_quarter_brin ON call_figures USING brin (quarter);

CREATE TABLE call_figure_changes (LIKE call_figures)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);

-- The same per hour and per UTC day of what is asked for most, so that an answer reads as few rows whether a campaign or all companies are meant; of
-- all and of companies per quarter, too, where an hour may hold many thousand calls.
-- kind 0: all (subject is nil); 1: a company; 2: a campaign; 3: a skillbase; 4: a campaign with a skillbase (see subject_of_pair).
CREATE TABLE call_figure_sums (
    kind             smallint         NOT NULL,
    subject          uuid             NOT NULL,
    minutes          smallint         NOT NULL, -- 15, 60 or 1440
    bucket           timestamptz      NOT NULL,
    status           smallint         NOT NULL,
    outcome          text             NOT NULL,
    company_id       uuid             NOT NULL, -- nil for kind 0
    calls            bigint           NOT NULL,
    measured         bigint           NOT NULL,
    duration_ms      bigint           NOT NULL,
    turns            bigint           NOT NULL,
    eou_calls        bigint           NOT NULL,
    eou_sum          double precision NOT NULL,
    interruption_sum double precision NOT NULL,
    cost_stt         bigint           NOT NULL,
    cost_llm         bigint           NOT NULL,
    cost_tts         bigint           NOT NULL,
    cost_livekit     bigint           NOT NULL,
    CONSTRAINT call_figure_sums_pkey PRIMARY KEY (kind, subject, minutes, bucket, status, outcome)
) WITH (fillfactor = 80);
-- Histograms of UTC days; status 0 is any, with outcome ''.
CREATE TABLE call_latencies (
    kind       smallint    NOT NULL,
    subject    uuid        NOT NULL,
    day        timestamptz NOT NULL,
    status     smallint    NOT NULL,
    outcome    text        NOT NULL,
    company_id uuid        NOT NULL,
    slots      smallint[]  NOT NULL,
    counts     bigint[]    NOT NULL,
    CONSTRAINT call_latencies_pkey PRIMARY KEY (kind, subject, day, status, outcome)
) WITH (fillfactor = 80);

CREATE FUNCTION latency_slot(ms double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN ms > 0 THEN ceil(ln(ms) / ln(1.04::double precision))::smallint WHEN ms = 0 THEN (-32768)::smallint END $$;

CREATE FUNCTION slot_latency(slot smallint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN slot > -32768 THEN 2 * power(1.04::double precision, slot) / 2.04 WHEN slot = -32768 THEN 0 END $$;

CREATE FUNCTION subject_of_pair(campaign uuid, skillbase uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT md5(uuid_send(campaign) || uuid_send(skillbase))::uuid $$;

CREATE FUNCTION quarter_of(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT date_bin('15 minutes', at, '2000-01-01 00:00:00+00') $$;

-- What a call counts as under which sums.
CREATE FUNCTION subjects_of(company uuid, campaign uuid, skillbase uuid, OUT kind smallint, OUT subject uuid, OUT owner uuid) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 5 AS $$
    SELECT k::smallint, s, o FROM (VALUES
        (0, '00000000-0000-0000-0000-000000000000'::uuid, '00000000-0000-0000-0000-000000000000'::uuid), (1, company, company),
        (2, nullif(campaign, '00000000-0000-0000-0000-000000000000'), company), (3, nullif(skillbase, '00000000-0000-0000-0000-000000000000'), company),
        (4, CASE WHEN campaign <> '00000000-0000-0000-0000-000000000000' AND skillbase <> '00000000-0000-0000-0000-000000000000'
                 THEN subject_of_pair(campaign, skillbase) END, company)) v(k, s, o)
    WHERE s IS NOT NULL
$$;

-- In which rows of call_figure_sums.
CREATE FUNCTION buckets_of(company uuid, campaign uuid, skillbase uuid, quarter timestamptz, OUT kind smallint, OUT subject uuid, OUT owner uuid, OUT minutes smallint,
                           OUT bucket timestamptz) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 12 AS $$
    SELECT s.kind, s.subject, s.owner, g.minutes::smallint, date_bin(g.minutes * interval '1 minute', quarter, '2000-01-01 00:00:00+00')
    FROM subjects_of(company, campaign, skillbase) s CROSS JOIN (VALUES (15), (60), (1440)) g(minutes)
    WHERE g.minutes > 15 OR s.kind <= 1
$$;

-- One row a call, as it counts: the definition of the figures. Recounting is summing this up.
CREATE VIEW counted_calls AS
SELECT c.id, c.started_at, quarter_of(c.started_at) AS quarter, c.company_id, coalesce(c.campaign_id, '00000000-0000-0000-0000-000000000000') AS campaign_id,
       coalesce(c.skillbase_id, '00000000-0000-0000-0000-000000000000') AS skillbase_id, coalesce(c.skillbase_version, 0) AS skillbase_version,
       c.status, coalesce(c.outcome, '') AS outcome, (m.call_id IS NOT NULL)::integer AS measured,
       CASE WHEN c.ended_at IS NULL THEN 0 ELSE trunc(extract(epoch FROM c.ended_at - c.started_at) * 1000)::bigint END AS duration_ms,
       CASE WHEN c.ended_at IS NULL THEN 0 ELSE c.turn_count END AS turns, m.avg_eou_latency, coalesce(m.interruption_rate, 0) AS interruption_rate,
       coalesce(m.cost_stt, 0) AS cost_stt, coalesce(m.cost_llm, 0) AS cost_llm, coalesce(m.cost_tts, 0) AS cost_tts, coalesce(m.cost_livekit, 0) AS cost_livekit
FROM calls c LEFT JOIN call_metrics m ON m.call_id = c.id AND m.started_at = c.started_at;

CREATE FUNCTION add_slots(slots1 smallint[], counts1 bigint[], slots2 smallint[], counts2 bigint[], OUT slot smallint, OUT n bigint) RETURNS SETOF record
LANGUAGE sql IMMUTABLE ROWS 60 AS $$
    SELECT u.slot, sum(u.n)::bigint FROM (SELECT * FROM unnest(slots1, counts1) AS a(slot, n) UNION ALL SELECT * FROM unnest(slots2, counts2) AS b(slot, n)) u
    GROUP BY u.slot HAVING sum(u.n) <> 0
$$;

-- NULL is 0: a row that is not there counts nothing.
CREATE FUNCTION figures_differ(calls numeric, measured numeric, duration_ms numeric, turns numeric, eou_calls numeric, eou_sum double precision,
                               interruption_sum double precision, cost_stt numeric, cost_llm numeric, cost_tts numeric, cost_livekit numeric,
                               calls2 numeric, measured2 numeric, duration_ms2 numeric, turns2 numeric, eou_calls2 numeric, eou_sum2 double precision,
                               interruption_sum2 double precision, cost_stt2 numeric, cost_llm2 numeric, cost_tts2 numeric, cost_livekit2 numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(calls, 0) <> coalesce(calls2, 0) OR coalesce(measured, 0) <> coalesce(measured2, 0) OR coalesce(duration_ms, 0) <> coalesce(duration_ms2, 0)
        OR coalesce(turns, 0) <> coalesce(turns2, 0) OR coalesce(eou_calls, 0) <> coalesce(eou_calls2, 0) OR coalesce(cost_stt, 0) <> coalesce(cost_stt2, 0)
        OR coalesce(cost_llm, 0) <> coalesce(cost_llm2, 0) OR coalesce(cost_tts, 0) <> coalesce(cost_tts2, 0)
        OR coalesce(cost_livekit, 0) <> coalesce(cost_livekit2, 0)
        OR abs(coalesce(eou_sum, 0) - coalesce(eou_sum2, 0)) > 1e-3 + 1e-9 * abs(coalesce(eou_sum, 0))
        OR abs(coalesce(interruption_sum, 0) - coalesce(interruption_sum2, 0)) > 1e-6 + 1e-9 * abs(coalesce(interruption_sum, 0))
$$;

-- Folds changes into the sums, at most so many; how many. One process at a time: 0 when another is at it.
CREATE FUNCTION fold_call_figures(p_most integer) RETURNS integer
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    v_folded integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203, 2) THEN
        RETURN 0;
    END IF;
    WITH taken AS MATERIALIZED (
        DELETE FROM call_figure_changes WHERE ctid = ANY (ARRAY(SELECT ctid FROM call_figure_changes LIMIT p_most)) RETURNING *
    ), whole AS MATERIALIZED (
        SELECT t.quarter, t.company_id, t.campaign_id, t.skillbase_id, t.skillbase_version, t.status, t.outcome, sum(calls)::bigint AS calls,
               sum(measured)::bigint AS measured, sum(duration_ms)::bigint AS duration_ms, sum(turns)::bigint AS turns, sum(eou_calls)::bigint AS eou_calls,
               sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt)::bigint AS cost_stt, sum(cost_llm)::bigint AS cost_llm,
               sum(cost_tts)::bigint AS cost_tts, sum(cost_livekit)::bigint AS cost_livekit
        FROM taken t GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), slots AS MATERIALIZED (
        SELECT t.quarter, t.company_id, t.campaign_id, t.skillbase_id, t.skillbase_version, t.status, t.outcome, u.slot, sum(u.n)::bigint AS n
        FROM taken t CROSS JOIN LATERAL unnest(t.slots, t.counts) AS u(slot, n) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(u.n) <> 0
    ), figures AS (
        INSERT INTO call_figures AS f (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, calls, measured, duration_ms, turns,
                                       eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit, slots, counts)
        SELECT w.*, coalesce(h.slots, '{}'), coalesce(h.counts, '{}')
        FROM whole w
        LEFT JOIN (SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, array_agg(slot) AS slots, array_agg(n) AS counts
                   FROM slots GROUP BY 1, 2, 3, 4, 5, 6, 7) h USING (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome)
        ON CONFLICT (company_id, quarter, campaign_id, skillbase_id, skillbase_version, status, outcome) DO UPDATE
        SET calls = f.calls + excluded.calls, measured = f.measured + excluded.measured, duration_ms = f.duration_ms + excluded.duration_ms,
            turns = f.turns + excluded.turns, eou_calls = f.eou_calls + excluded.eou_calls, eou_sum = f.eou_sum + excluded.eou_sum,
            interruption_sum = f.interruption_sum + excluded.interruption_sum, cost_stt = f.cost_stt + excluded.cost_stt, cost_llm = f.cost_llm + excluded.cost_llm,
            cost_tts = f.cost_tts + excluded.cost_tts, cost_livekit = f.cost_livekit + excluded.cost_livekit,
            (slots, counts) = (SELECT coalesce(array_agg(slot), '{}'), coalesce(array_agg(n), '{}') FROM add_slots(f.slots, f.counts, excluded.slots, excluded.counts))
    ), sums AS (
        INSERT INTO call_figure_sums AS f (kind, subject, minutes, bucket, status, outcome, company_id, calls, measured, duration_ms, turns, eou_calls, eou_sum,
                                           interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit)
        SELECT s.kind, s.subject, s.minutes, s.bucket, w.status, w.outcome, s.owner, sum(calls), sum(measured), sum(duration_ms), sum(turns),
               sum(eou_calls), sum(eou_sum), sum(interruption_sum), sum(cost_stt), sum(cost_llm), sum(cost_tts), sum(cost_livekit)
        FROM whole w CROSS JOIN LATERAL buckets_of(w.company_id, w.campaign_id, w.skillbase_id, w.quarter) s
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (kind, subject, minutes, bucket, status, outcome) DO UPDATE
        SET calls = f.calls + excluded.calls, measured = f.measured + excluded.measured, duration_ms = f.duration_ms + excluded.duration_ms,
            turns = f.turns + excluded.turns, eou_calls = f.eou_calls + excluded.eou_calls, eou_sum = f.eou_sum + excluded.eou_sum,
            interruption_sum = f.interruption_sum + excluded.interruption_sum, cost_stt = f.cost_stt + excluded.cost_stt, cost_llm = f.cost_llm + excluded.cost_llm,
            cost_tts = f.cost_tts + excluded.cost_tts, cost_livekit = f.cost_livekit + excluded.cost_livekit
    ), latencies AS (
        INSERT INTO call_latencies AS f (kind, subject, day, status, outcome, company_id, slots, counts)
        SELECT kind, subject, day, status, outcome, owner, array_agg(slot), array_agg(n)
        FROM (SELECT s.kind, s.subject, date_trunc('day', w.quarter, 'UTC') AS day, a.status, a.outcome, s.owner, w.slot, sum(w.n)::bigint AS n
              FROM slots w CROSS JOIN LATERAL subjects_of(w.company_id, w.campaign_id, w.skillbase_id) s
              CROSS JOIN LATERAL (VALUES (w.status, w.outcome), (0::smallint, '')) a(status, outcome)
              GROUP BY 1, 2, 3, 4, 5, 6, 7) d
        GROUP BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (kind, subject, day, status, outcome) DO UPDATE
        SET (slots, counts) = (SELECT coalesce(array_agg(slot), '{}'), coalesce(array_agg(n), '{}') FROM add_slots(f.slots, f.counts, excluded.slots, excluded.counts))
    )
    SELECT count(*) INTO v_folded FROM taken;
    RETURN v_folded;
END $$;

-- Rows that count nothing any more: hours in which calls were active, companies that are gone. Not of the last two days, which still move.
CREATE FUNCTION prune_call_figures() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_before timestamptz := now() - interval '2 days';
    n bigint;
    m bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203, 2) THEN
        RETURN 0;
    END IF;
    DELETE FROM call_figures WHERE calls = 0 AND measured = 0 AND counts = '{}' AND quarter < v_before;
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM call_figure_sums WHERE calls = 0 AND measured = 0 AND bucket < v_before;
    GET DIAGNOSTICS m = ROW_COUNT;
    DELETE FROM call_latencies WHERE counts = '{}' AND day < v_before;
    RETURN n + m;
END $$;

-- Recounts all and reports what differs from what is kept, at most so many rows; none: all is well. Sums of doubles may differ in their last digits,
-- for they depend on the order. One statement, so one snapshot: right while reports come in.
CREATE FUNCTION verify_call_figures(p_most integer) RETURNS TABLE (what text, which text, kept text, counted text)
LANGUAGE sql SET timezone = 'UTC' SET work_mem = '64MB' AS $$
    WITH kept AS (
        SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, sum(calls) AS calls, sum(measured) AS measured,
               sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls, sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum,
               sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
        FROM (SELECT * FROM call_figures UNION ALL SELECT * FROM call_figure_changes) f
        WHERE quarter >= (SELECT calls_kept_since FROM call_storage)
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), counted AS (
        SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*) AS calls, sum(measured) AS measured,
               sum(duration_ms) AS duration_ms, sum(turns) AS turns, count(avg_eou_latency) AS eou_calls, coalesce(sum(avg_eou_latency), 0) AS eou_sum,
               sum(interruption_rate) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
        FROM counted_calls GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), kept_slots AS (
        SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, u.slot, sum(u.n) AS n
        FROM (SELECT * FROM call_figures UNION ALL SELECT * FROM call_figure_changes) f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n)
        WHERE quarter >= (SELECT calls_kept_since FROM call_storage)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(u.n) <> 0
    ), counted_slots AS (
        SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, latency_slot(avg_eou_latency) AS slot, count(*) AS n
        FROM counted_calls WHERE avg_eou_latency IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), summed AS (
        SELECT s.kind, s.subject, s.minutes, s.bucket, f.status, f.outcome, s.owner AS company_id, sum(calls) AS calls,
               sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls, sum(eou_sum) AS eou_sum,
               sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
        FROM call_figures f CROSS JOIN LATERAL buckets_of(f.company_id, f.campaign_id, f.skillbase_id, f.quarter) s
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), day_slots AS (
        SELECT s.kind, s.subject, date_trunc('day', f.quarter, 'UTC') AS day, a.status, a.outcome, u.slot, sum(u.n) AS n
        FROM call_figures f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n) CROSS JOIN LATERAL subjects_of(f.company_id, f.campaign_id, f.skillbase_id) s
        CROSS JOIN LATERAL (VALUES (f.status, f.outcome), (0::smallint, '')) a(status, outcome)
        GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(u.n) <> 0
    ), latency_slots AS (
        SELECT l.kind, l.subject, l.day, l.status, l.outcome, u.slot, u.n FROM call_latencies l CROSS JOIN LATERAL unnest(l.slots, l.counts) AS u(slot, n) WHERE u.n <> 0
    )
    SELECT * FROM (
        SELECT 'figures', concat_ws(' ', quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome),
               concat_ws(' ', k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit),
               concat_ws(' ', c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
        FROM kept k FULL JOIN counted c USING (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome)
        WHERE figures_differ(k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit,
                             c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
        UNION ALL
        SELECT 'histograms', concat_ws(' ', quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, slot), k.n::text, c.n::text
        FROM kept_slots k FULL JOIN counted_slots c USING (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, slot)
        WHERE k.n IS DISTINCT FROM c.n
        UNION ALL
        SELECT 'sums', concat_ws(' ', kind, subject, minutes, bucket, status, outcome, company_id),
               concat_ws(' ', k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit),
               concat_ws(' ', c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
        FROM call_figure_sums k FULL JOIN summed c USING (kind, subject, minutes, bucket, status, outcome, company_id)
        WHERE figures_differ(k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit,
                             c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
        UNION ALL
        SELECT 'latencies', concat_ws(' ', kind, subject, day, status, outcome, slot), k.n::text, c.n::text
        FROM latency_slots k FULL JOIN day_slots c USING (kind, subject, day, status, outcome, slot)
        WHERE k.n IS DISTINCT FROM c.n
    ) d LIMIT p_most
$$;

-- ---- Price lists --------------------------------------------------------------------------------------------------------------------------
-- What a company's calls cost from a moment on, by when a call begins; before its first list the service's configuration holds. Prices are in
-- 10^-12 dollars, so that every decimal is exact.
CREATE TABLE price_lists (
    id                        uuid        NOT NULL DEFAULT gen_random_uuid(),
    company_id                uuid        NOT NULL,
    valid_from                timestamptz NOT NULL,
    stt_minute                bigint      NOT NULL,
    llm_million_input_tokens  bigint      NOT NULL,
    llm_million_output_tokens bigint      NOT NULL,
    tts_thousand_characters   bigint      NOT NULL,
    livekit_minute            bigint      NOT NULL,
    created_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT price_lists_pkey PRIMARY KEY (id),
    CONSTRAINT price_lists_company_id_valid_from_key UNIQUE (company_id, valid_from),
    CONSTRAINT price_lists_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT price_lists_check CHECK (least(stt_minute, llm_million_input_tokens, llm_million_output_tokens, tts_thousand_characters, livekit_minute) >= 0)
);

-- round-half-up((amount * price + amount2 * price2) / units) from 10^-12 dollars to micro-dollars, exactly; as costs_compute() in services/analytics.
CREATE FUNCTION cost_of(amount bigint, price bigint, amount2 bigint, price2 bigint, units bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT div(2 * (amount::numeric * price + amount2::numeric * price2) + units * 1000000, 2 * units::numeric * 1000000)::bigint
$$;

-- The costs of usage by the list in force, or by p_defaults: the five prices in the order of the columns above.
CREATE FUNCTION call_costs(p_company uuid, p_started_at timestamptz, p_defaults bigint[], p_stt_ms bigint, p_llm_input_tokens bigint, p_llm_output_tokens bigint,
                           p_tts_characters bigint, p_livekit_ms bigint, OUT stt bigint, OUT llm bigint, OUT tts bigint, OUT livekit bigint) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1 AS $$ -- one row; SETOF lets the planner inline it
    SELECT cost_of(p_stt_ms, coalesce(l.stt_minute, p_defaults[1]), 0, 0, 60000),
           cost_of(p_llm_input_tokens, coalesce(l.llm_million_input_tokens, p_defaults[2]), p_llm_output_tokens, coalesce(l.llm_million_output_tokens, p_defaults[3]), 1000000),
           cost_of(p_tts_characters, coalesce(l.tts_thousand_characters, p_defaults[4]), 0, 0, 1000),
           cost_of(p_livekit_ms, coalesce(l.livekit_minute, p_defaults[5]), 0, 0, 60000)
    FROM (SELECT) one LEFT JOIN LATERAL (
        SELECT * FROM price_lists p WHERE p.company_id = p_company AND p.valid_from <= p_started_at ORDER BY p.valid_from DESC LIMIT 1) l ON true
$$;

-- Computes the costs of a company's finished calls again, at most so many, of those that began in [p_from, p_until) after a position (started_at, id).
-- The figures follow in the same transaction. Gives the position to go on from and how many calls were looked at and how many changed.
CREATE FUNCTION re_rate_calls(p_company uuid, p_from timestamptz, p_until timestamptz, p_after_at timestamptz, p_after_id uuid, p_most integer, p_defaults bigint[],
                              OUT looked integer, OUT changed integer, OUT last_at timestamptz, OUT last_id uuid)
LANGUAGE plpgsql AS $$
BEGIN
    WITH page AS MATERIALIZED (
        SELECT c.* FROM calls c
        WHERE c.company_id = p_company AND c.started_at >= p_from AND c.started_at < p_until
          AND (c.started_at, c.id) > (coalesce(p_after_at, '-infinity'), coalesce(p_after_id, '00000000-0000-0000-0000-000000000000'))
        ORDER BY c.started_at, c.id LIMIT p_most
    ), held AS MATERIALIZED (
        SELECT m.* FROM page p JOIN call_metrics m ON m.call_id = p.id AND m.started_at = p.started_at ORDER BY m.call_id FOR UPDATE OF m
    ), rated AS MATERIALIZED (
        SELECT p.*, h.cost_stt, h.cost_llm, h.cost_tts, h.cost_livekit, n.*
        FROM held h JOIN page p ON p.id = h.call_id
        CROSS JOIN LATERAL call_costs(p.company_id, p.started_at, p_defaults, h.stt_ms, h.llm_input_tokens, h.llm_output_tokens, h.tts_characters, h.livekit_ms) n
        WHERE (n.stt, n.llm, n.tts, n.livekit) IS DISTINCT FROM (h.cost_stt, h.cost_llm, h.cost_tts, h.cost_livekit)
    ), updated AS (
        UPDATE call_metrics m SET cost_stt = r.stt, cost_llm = r.llm, cost_tts = r.tts, cost_livekit = r.livekit, cost_total = r.stt + r.llm + r.tts + r.livekit
        FROM rated r WHERE m.call_id = r.id AND m.started_at = r.started_at
    ), counted AS (
        INSERT INTO call_figure_changes
        SELECT quarter_of(r.started_at), r.company_id, coalesce(r.campaign_id, '00000000-0000-0000-0000-000000000000'),
               coalesce(r.skillbase_id, '00000000-0000-0000-0000-000000000000'), coalesce(r.skillbase_version, 0), r.status, coalesce(r.outcome, ''),
               0, 0, 0, 0, 0, 0, 0, sum(r.stt - r.cost_stt), sum(r.llm - r.cost_llm), sum(r.tts - r.cost_tts), sum(r.livekit - r.cost_livekit), '{}', '{}'
        FROM rated r GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM rated), l.started_at, l.id INTO looked, changed, last_at, last_id
    FROM (SELECT) one LEFT JOIN (SELECT p.started_at, p.id FROM page p ORDER BY p.started_at DESC, p.id DESC LIMIT 1) l ON true;
END $$;

-- ---- Reports ------------------------------------------------------------------------------------------------------------------------------
-- Stores batches of many calls in one transaction: arrays have one element a batch, no call is in it twice. Each batch is in order of seq, without
-- gaps inside (the service checks), and all or nothing; that one is refused does not touch the others. `result` is one of
--   stored           accepted and duplicates say how many of each
--   partial          its first `duplicates` events are there already: come again without them
--   not_started      the call is unknown and the batch does not begin with its start
--   no_company, no_skillbase, no_campaign    the start names what the company does not have
--   too_old          calls of that time have been dropped
--   gap              the first event is not last_seq + 1; last_seq says where to go on
--   reused           a repeated seq came with another body; last_seq is that seq
--   finished         new events after the end
--   changed          the call is not as its figures were computed for (p_expected): compute again
-- The row lock makes one batch of a call wait for the other, so that two reports at once cannot both extend it. Rows are taken in order of id, first
-- those of call_index, then those of calls: two transactions never wait for each other.
-- Plans are kept, and may have been made when a month was empty: the planner is told to go by index, one call after the other (OFFSET 0). Where calls
-- are looked up, which have several indexes that look alike while they are small, it plans each time, for the months concerned; and what was found
-- is changed by its address.
CREATE FUNCTION report_call_batches(
    p_scopes uuid[], -- whose calls the reporter may see; NULL: all
    p_calls uuid[], p_first_seqs bigint[], p_counts integer[],
    -- the start, when the batch has it
    p_companies uuid[], p_skillbases uuid[], p_versions integer[], p_campaigns uuid[], p_tasks uuid[], p_phones text[], p_started timestamptz[],
    -- what the batch does to the call
    p_times timestamptz[], p_turns integer[], p_statuses smallint[], p_outcomes text[], p_ended timestamptz[],
    -- the figures, when the batch has the end: computed from the events up to p_expected and this batch; NULL without an end
    p_expected bigint[], p_avg_eou double precision[], p_interruptions double precision[], p_stt_ms bigint[], p_llm_input_tokens bigint[],
    p_llm_output_tokens bigint[], p_tts_characters bigint[], p_livekit_ms bigint[], p_figures_at integer[], p_figures_bytes integer[], p_prices bigint[],
    -- one element an event: of which batch (from 1), and where its bytes are in p_bytes (from 1)
    p_event_batches integer[], p_event_seqs bigint[], p_event_kinds smallint[], p_event_at integer[], p_event_bytes integer[], p_bytes bytea)
RETURNS TABLE (result text, accepted bigint, duplicates bigint, last_seq bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    n CONSTANT integer := cardinality(p_calls);
    v_kept_since timestamptz;
    v_new uuid[];
    v_row record;
    v_from timestamptz; -- when the calls that exist began
    v_until timestamptz;
    v_reused bigint;
    v_duplicates bigint;
    -- of each batch's call as it was: last_seq -1 when there is none
    s_last bigint[] := array_fill(-1::bigint, ARRAY[n]);
    s_tid tid[] := array_fill(NULL::tid, ARRAY[n]);
    s_started timestamptz[] := p_started;
    s_company uuid[] := p_companies;
    s_campaign uuid[] := p_campaigns;
    s_skillbase uuid[] := p_skillbases;
    s_version integer[] := p_versions;
    s_status smallint[] := array_fill(NULL::smallint, ARRAY[n]);
    s_outcome text[] := array_fill(NULL::text, ARRAY[n]);
    s_ended boolean[] := array_fill(false, ARRAY[n]);
    s_turns integer[] := array_fill(0, ARRAY[n]);
    -- what becomes of it
    t_take boolean[] := array_fill(false, ARRAY[n]);
    t_new boolean[] := array_fill(false, ARRAY[n]);
    t_result text[] := array_fill(NULL::text, ARRAY[n]);
    t_accepted bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_duplicates bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_last bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_stt bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_llm bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_tts bigint[] := array_fill(0::bigint, ARRAY[n]);
    t_livekit bigint[] := array_fill(0::bigint, ARRAY[n]);
    v_any_new boolean := false;
    v_any_end boolean := false;
BEGIN
    SELECT s.calls_kept_since INTO v_kept_since FROM call_storage s;
    v_new := '{}';
    IF num_nulls(VARIADIC p_companies) < n THEN
        -- Before any call is locked: a company that is being deleted waits for its calls, and so must not be waited for with them in hand.
        PERFORM FROM companies o WHERE o.id = ANY (p_companies) ORDER BY o.id FOR KEY SHARE;
        WITH claimed AS (
            INSERT INTO call_index (call_id, started_at, company_id)
            SELECT b.call, b.started, b.company
            FROM unnest(p_scopes, p_calls, p_companies, p_skillbases, p_campaigns, p_started, p_expected) AS b(scope, call, company, skillbase, campaign, started, expected)
            WHERE b.company IS NOT NULL AND (b.scope IS NULL OR b.scope = b.company) AND coalesce(b.expected, 0) = 0 AND b.started >= v_kept_since
              AND EXISTS (SELECT FROM companies o WHERE o.id = b.company)
              AND (b.skillbase IS NULL OR EXISTS (SELECT FROM skillbases k WHERE k.id = b.skillbase AND k.company_id = b.company))
              AND (b.campaign IS NULL OR EXISTS (SELECT FROM campaigns k WHERE k.id = b.campaign AND k.company_id = b.company))
            ORDER BY b.call
            ON CONFLICT (call_id) DO NOTHING
            RETURNING call_id
        )
        SELECT coalesce(array_agg(c.call_id), '{}') INTO v_new FROM claimed c;
    END IF;
    IF cardinality(v_new) < n THEN
        SELECT min(x.started_at), max(x.started_at) INTO v_from, v_until FROM call_index x WHERE x.call_id = ANY (p_calls) AND x.call_id <> ALL (v_new);
        PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
        FOR v_row IN
            SELECT b.i, k.*
            FROM (SELECT u.i, u.scope, x.call_id, x.started_at
                  FROM unnest(p_calls, p_scopes) WITH ORDINALITY AS u(call, scope, i) JOIN call_index x ON x.call_id = u.call
                  WHERE u.call <> ALL (v_new) ORDER BY x.call_id OFFSET 0) b
            CROSS JOIN LATERAL (
                SELECT c.ctid AS tid, c.last_seq, c.started_at, c.company_id, c.campaign_id, c.skillbase_id, c.skillbase_version, c.status, c.outcome, c.ended_at, c.turn_count
                FROM calls c
                WHERE c.id = b.call_id AND c.started_at = b.started_at AND c.started_at BETWEEN v_from AND v_until AND (b.scope IS NULL OR c.company_id = b.scope)
                OFFSET 0 FOR UPDATE) k
        LOOP
            s_tid[v_row.i] := v_row.tid;
            s_last[v_row.i] := v_row.last_seq;
            s_started[v_row.i] := v_row.started_at;
            s_company[v_row.i] := v_row.company_id;
            s_campaign[v_row.i] := v_row.campaign_id;
            s_skillbase[v_row.i] := v_row.skillbase_id;
            s_version[v_row.i] := v_row.skillbase_version;
            s_status[v_row.i] := v_row.status;
            s_outcome[v_row.i] := v_row.outcome;
            s_ended[v_row.i] := v_row.ended_at IS NOT NULL;
            s_turns[v_row.i] := v_row.turn_count;
        END LOOP;
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    END IF;

    FOR i IN 1..n LOOP
        IF s_last[i] < 0 THEN
            IF p_calls[i] = ANY (v_new) THEN
                t_new[i] := true;
                v_any_new := true;
                s_last[i] := 0;
                s_status[i] := 1;
            ELSE
                t_result[i] := CASE
                    WHEN p_companies[i] IS NULL OR p_companies[i] <> p_scopes[i] THEN 'not_started'
                    WHEN p_expected[i] > 0 THEN 'changed'
                    WHEN p_started[i] < v_kept_since THEN 'too_old'
                    WHEN NOT EXISTS (SELECT FROM companies o WHERE o.id = p_companies[i]) THEN 'no_company'
                    WHEN p_skillbases[i] IS NOT NULL AND NOT EXISTS (SELECT FROM skillbases k WHERE k.id = p_skillbases[i] AND k.company_id = p_companies[i]) THEN 'no_skillbase'
                    WHEN p_campaigns[i] IS NOT NULL AND NOT EXISTS (SELECT FROM campaigns k WHERE k.id = p_campaigns[i] AND k.company_id = p_companies[i]) THEN 'no_campaign'
                    ELSE 'not_started' END; -- another company's call
                CONTINUE;
            END IF;
        END IF;
        t_last[i] := s_last[i];
        IF p_first_seqs[i] > s_last[i] + 1 THEN
            t_result[i] := 'gap';
            CONTINUE;
        END IF;
        v_duplicates := least(p_counts[i], s_last[i] - p_first_seqs[i] + 1);
        IF v_duplicates > 0 THEN
            SELECT min(e.seq) INTO v_reused
            FROM unnest(p_event_batches, p_event_seqs, p_event_at, p_event_bytes) AS u(batch, seq, at, bytes)
            JOIN call_events e ON e.call_id = p_calls[i] AND e.started_at = s_started[i] AND e.seq = u.seq
            WHERE u.batch = i AND u.seq <= s_last[i] AND e.event <> substring(p_bytes FROM u.at FOR u.bytes);
            IF v_reused IS NOT NULL THEN
                t_result[i] := 'reused';
                t_last[i] := v_reused;
                CONTINUE;
            END IF;
        END IF;
        t_duplicates[i] := v_duplicates;
        IF v_duplicates = p_counts[i] THEN
            t_result[i] := 'stored';
        ELSIF s_ended[i] THEN
            t_result[i] := 'finished';
        ELSIF p_expected[i] <> s_last[i] THEN
            t_result[i] := 'changed';
        ELSIF v_duplicates > 0 THEN
            t_result[i] := 'partial';
        ELSE
            t_result[i] := 'stored';
            t_take[i] := true;
            t_accepted[i] := p_counts[i];
            t_last[i] := p_first_seqs[i] + p_counts[i] - 1;
            v_any_end := v_any_end OR p_expected[i] IS NOT NULL;
            IF NOT t_new[i] THEN
                UPDATE calls c
                SET last_seq = t_last[i], last_event_at = greatest(c.last_event_at, p_times[i]), turn_count = c.turn_count + p_turns[i],
                    status = coalesce(p_statuses[i], c.status), outcome = coalesce(p_outcomes[i], c.outcome),
                    ended_at = CASE WHEN p_expected[i] IS NOT NULL THEN greatest(c.started_at, p_ended[i]) END
                WHERE c.ctid = s_tid[i] AND c.id = p_calls[i] AND c.started_at = s_started[i];
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'call % is not where it was locked', p_calls[i];
                END IF;
            END IF;
        END IF;
    END LOOP;
    IF v_any_end THEN
        SELECT array_agg(coalesce(c.stt, 0) ORDER BY i), array_agg(coalesce(c.llm, 0) ORDER BY i), array_agg(coalesce(c.tts, 0) ORDER BY i),
               array_agg(coalesce(c.livekit, 0) ORDER BY i) INTO t_stt, t_llm, t_tts, t_livekit
        FROM generate_series(1, n) AS i LEFT JOIN LATERAL call_costs(s_company[i], s_started[i], p_prices, p_stt_ms[i], p_llm_input_tokens[i], p_llm_output_tokens[i],
                                                                     p_tts_characters[i], p_livekit_ms[i]) c ON t_take[i] AND p_expected[i] IS NOT NULL;
    END IF;

    INSERT INTO call_events (call_id, seq, started_at, kind, event)
    SELECT p_calls[u.batch], u.seq, s_started[u.batch], u.kind, substring(p_bytes FROM u.at FOR u.bytes)
    FROM unnest(p_event_batches, p_event_seqs, p_event_kinds, p_event_at, p_event_bytes) AS u(batch, seq, kind, at, bytes)
    WHERE t_take[u.batch];
    IF v_any_new THEN
        INSERT INTO calls (id, company_id, skillbase_id, skillbase_version, campaign_id, task_id, phone_number, status, outcome, started_at, ended_at,
                           last_event_at, last_seq, turn_count)
        SELECT p_calls[i], p_companies[i], p_skillbases[i], p_versions[i], p_campaigns[i], p_tasks[i], p_phones[i], coalesce(p_statuses[i], 1), p_outcomes[i], p_started[i],
               CASE WHEN p_expected[i] IS NOT NULL THEN greatest(p_started[i], p_ended[i]) END, greatest(p_started[i], p_times[i]), t_last[i], p_turns[i]
        FROM generate_series(1, n) AS i WHERE t_new[i] AND t_take[i];
    END IF;
    IF v_any_end THEN
        INSERT INTO call_metrics (call_id, started_at, avg_eou_latency, interruption_rate, stt_ms, llm_input_tokens, llm_output_tokens, tts_characters, livekit_ms,
                                  cost_stt, cost_llm, cost_tts, cost_livekit, cost_total, figures)
        SELECT p_calls[i], s_started[i], p_avg_eou[i], p_interruptions[i], p_stt_ms[i], p_llm_input_tokens[i], p_llm_output_tokens[i], p_tts_characters[i], p_livekit_ms[i],
               t_stt[i], t_llm[i], t_tts[i], t_livekit[i], t_stt[i] + t_llm[i] + t_tts[i] + t_livekit[i], substring(p_bytes FROM p_figures_at[i] FOR p_figures_bytes[i])
        FROM generate_series(1, n) AS i WHERE t_take[i] AND p_expected[i] IS NOT NULL;
    END IF;
    -- As the call counts now, and no longer counts.
    INSERT INTO call_figure_changes
    SELECT quarter_of(s_started[d.i]), s_company[d.i], coalesce(s_campaign[d.i], nil), coalesce(s_skillbase[d.i], nil), coalesce(s_version[d.i], 0), d.status, coalesce(d.outcome, ''),
           sum(d.sign), sum(d.ends), sum(d.ends * d.duration_ms), sum(d.ends * (s_turns[d.i] + p_turns[d.i])), count(p_avg_eou[d.i]) FILTER (WHERE d.ends = 1),
           coalesce(sum(p_avg_eou[d.i]) FILTER (WHERE d.ends = 1), 0), coalesce(sum(p_interruptions[d.i]) FILTER (WHERE d.ends = 1), 0),
           sum(d.ends * t_stt[d.i]), sum(d.ends * t_llm[d.i]), sum(d.ends * t_tts[d.i]), sum(d.ends * t_livekit[d.i]),
           coalesce(array_agg(latency_slot(p_avg_eou[d.i])) FILTER (WHERE d.ends = 1 AND p_avg_eou[d.i] IS NOT NULL), '{}'),
           coalesce(array_agg(1::bigint) FILTER (WHERE d.ends = 1 AND p_avg_eou[d.i] IS NOT NULL), '{}')
    FROM (
        SELECT i, 1 AS sign, (p_expected[i] IS NOT NULL)::integer AS ends, coalesce(p_statuses[i], s_status[i]) AS status, coalesce(p_outcomes[i], s_outcome[i]) AS outcome,
               trunc(extract(epoch FROM greatest(s_started[i], p_ended[i]) - s_started[i]) * 1000)::bigint AS duration_ms
        FROM generate_series(1, n) AS i
        WHERE t_take[i] AND (t_new[i] OR (coalesce(p_statuses[i], s_status[i]), coalesce(p_outcomes[i], s_outcome[i])) IS DISTINCT FROM (s_status[i], s_outcome[i]))
        UNION ALL
        SELECT i, -1, 0, s_status[i], s_outcome[i], 0
        FROM generate_series(1, n) AS i
        WHERE t_take[i] AND NOT t_new[i] AND (coalesce(p_statuses[i], s_status[i]), coalesce(p_outcomes[i], s_outcome[i])) IS DISTINCT FROM (s_status[i], s_outcome[i])
    ) d
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN QUERY SELECT t_result[i], t_accepted[i], t_duplicates[i], t_last[i] FROM generate_series(1, n) AS i ORDER BY i;
END $$;

-- ---- What goes with a company -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION forget_deleted_calls() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM call_events e USING gone g WHERE e.call_id = g.id AND e.started_at = g.started_at;
    DELETE FROM call_metrics m USING gone g WHERE m.call_id = g.id AND m.started_at = g.started_at;
    DELETE FROM call_index i USING gone g WHERE i.call_id = g.id;
    RETURN NULL;
END $$;
CREATE TRIGGER calls_forget_deleted AFTER DELETE ON calls REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_deleted_calls();

-- The figures of a company that is gone count for nobody: they are taken back as what they are, also those of months that were dropped.
CREATE FUNCTION forget_deleted_company() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO call_figure_changes
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, -calls, -measured, -duration_ms, -turns, -eou_calls, -eou_sum,
           -interruption_sum, -cost_stt, -cost_llm, -cost_tts, -cost_livekit, slots, ARRAY(SELECT -c FROM unnest(counts) WITH ORDINALITY AS u(c, i) ORDER BY i)
    FROM (SELECT * FROM call_figures WHERE company_id = OLD.id UNION ALL SELECT * FROM call_figure_changes WHERE company_id = OLD.id) f;
    RETURN NULL;
END $$;
-- Named to run after the cascade (triggers of one event run in order of their names): then no report of the company is under way any more.
CREATE TRIGGER zz_forget_deleted_company AFTER DELETE ON companies FOR EACH ROW EXECUTE FUNCTION forget_deleted_company();

-- ---- What there is already ----------------------------------------------------------------------------------------------------------------
-- Months from the last one (or that of the oldest call, five years back at most) to three months ahead; the service goes on from there.

SET LOCAL timezone = 'UTC';
INSERT INTO call_storage (first_month, next_month)
SELECT m, m FROM (SELECT date_trunc('month', least(now() - interval '1 month', greatest(coalesce(min(started_at), now()), now() - interval '5 years'))) AS m FROM calls_0003) f;
SELECT attach_call_partitions('_early', NULL, first_month, ARRAY['calls', 'call_events', 'call_metrics']) FROM call_storage;
SELECT make_call_partitions(now() + interval '3 months');

-- Number n of a message's fields that are integers, from its wire form (0 when it has none).
CREATE FUNCTION pg_temp.wire_integer(message bytea, field integer) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    i integer := 0;
    v_tag bigint;
    v_value bigint;
    v_shift integer;
    v_byte integer;
    v_found bigint := 0;
BEGIN
    WHILE i < octet_length(message) LOOP
        v_tag := 0;
        v_shift := 0;
        LOOP
            v_byte := get_byte(message, i);
            i := i + 1;
            v_tag := v_tag | ((v_byte & 127)::bigint << v_shift);
            v_shift := v_shift + 7;
            EXIT WHEN v_byte < 128;
        END LOOP;
        CASE v_tag & 7
            WHEN 1 THEN i := i + 8;
            WHEN 5 THEN i := i + 4;
            ELSE -- an integer, or the length of what follows
                v_value := 0;
                v_shift := 0;
                LOOP
                    v_byte := get_byte(message, i);
                    i := i + 1;
                    IF v_shift < 63 THEN
                        v_value := v_value | ((v_byte & 127)::bigint << v_shift);
                    END IF;
                    v_shift := v_shift + 7;
                    EXIT WHEN v_byte < 128;
                END LOOP;
                IF v_tag & 7 = 2 THEN
                    i := i + v_value::integer;
                ELSIF v_tag >> 3 = field THEN
                    v_found := v_value;
                END IF;
        END CASE;
    END LOOP;
    RETURN v_found;
END $$;

INSERT INTO call_index (call_id, started_at, company_id) SELECT id, started_at, company_id FROM calls_0003 ORDER BY started_at;
INSERT INTO calls (id, company_id, skillbase_id, skillbase_version, campaign_id, task_id, phone_number, status, outcome, started_at, ended_at, last_event_at,
                   last_seq, turn_count, created_at)
SELECT id, company_id, skillbase_id, skillbase_version, campaign_id, task_id, phone_number, status, outcome, started_at, ended_at, last_event_at,
       last_seq, turn_count, created_at
FROM calls_0003;
INSERT INTO call_events (call_id, seq, started_at, kind, event)
SELECT e.call_id, e.seq, c.started_at, e.kind, e.event FROM call_events_0003 e JOIN calls_0003 c ON c.id = e.call_id;
INSERT INTO call_metrics (call_id, started_at, avg_eou_latency, interruption_rate, stt_ms, llm_input_tokens, llm_output_tokens, tts_characters, livekit_ms,
                          cost_stt, cost_llm, cost_tts, cost_livekit, cost_total, figures)
SELECT m.call_id, c.started_at, m.avg_eou_latency, m.interruption_rate, pg_temp.wire_integer(m.figures, 26), pg_temp.wire_integer(m.figures, 27),
       pg_temp.wire_integer(m.figures, 28), pg_temp.wire_integer(m.figures, 29), pg_temp.wire_integer(m.figures, 30),
       m.cost_stt, m.cost_llm, m.cost_tts, m.cost_livekit, m.cost_total, m.figures
FROM call_metrics_0003 m JOIN calls_0003 c ON c.id = m.call_id;
DROP TABLE call_metrics_0003, call_events_0003, calls_0003;

INSERT INTO call_figure_changes
SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*), sum(measured), sum(duration_ms), sum(turns), count(avg_eou_latency),
       coalesce(sum(avg_eou_latency), 0), sum(interruption_rate), sum(cost_stt), sum(cost_llm), sum(cost_tts), sum(cost_livekit),
       coalesce(array_agg(latency_slot(avg_eou_latency)) FILTER (WHERE avg_eou_latency IS NOT NULL), '{}'),
       coalesce(array_agg(1::bigint) FILTER (WHERE avg_eou_latency IS NOT NULL), '{}')
FROM counted_calls GROUP BY 1, 2, 3, 4, 5, 6, 7;
SELECT fold_call_figures(2147483647);
TRUNCATE call_figure_changes; -- is empty; this gives its pages back, through which every reader would go
