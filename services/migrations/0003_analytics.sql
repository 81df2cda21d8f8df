-- Calls, what happened in them, and their figures.
-- The agent alone numbers its call's events; a call's row says how far they are on disk (last_seq), so that a repeated report is
-- recognised and a gap is refused. Skillbases and campaigns may be deleted: finished calls stay as history without them.

-- What calls refer to, so that a call cannot name a campaign of another company.
ALTER TABLE campaigns ADD CONSTRAINT campaigns_id_company_id_key UNIQUE (id, company_id);

CREATE TABLE calls (
    id                uuid        NOT NULL,
    company_id        uuid        NOT NULL,
    skillbase_id      uuid,
    skillbase_version integer,
    campaign_id       uuid,
    -- No foreign key: a task goes with its campaign, and the call's own record outlives both.
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
    CONSTRAINT calls_pkey PRIMARY KEY (id),
    CONSTRAINT calls_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT calls_skillbase_id_fkey FOREIGN KEY (skillbase_id, company_id)
        REFERENCES skillbases (id, company_id) ON DELETE SET NULL (skillbase_id),
    CONSTRAINT calls_campaign_id_fkey FOREIGN KEY (campaign_id, company_id)
        REFERENCES campaigns (id, company_id) ON DELETE SET NULL (campaign_id),
    CONSTRAINT calls_status_check CHECK (status BETWEEN 1 AND 4)
) WITH (fillfactor = 80);

-- The orders of the history: all, of one company, skillbase or campaign. The last two also serve the foreign keys.
CREATE INDEX calls_started_at_idx ON calls (started_at DESC, id DESC);
CREATE INDEX calls_company_id_started_at_idx ON calls (company_id, started_at DESC, id DESC);
CREATE INDEX calls_skillbase_id_started_at_idx ON calls (skillbase_id, started_at DESC, id DESC);
CREATE INDEX calls_campaign_id_started_at_idx ON calls (campaign_id, started_at DESC, id DESC);

-- Every event as the agent reported it: a serialized dialplane.v1.CallEvent, which watchers are sent as it is.
CREATE TABLE call_events (
    call_id uuid     NOT NULL,
    seq     bigint   NOT NULL,
    kind    smallint NOT NULL, -- number of the member of CallEvent.event
    event   bytea    NOT NULL,
    CONSTRAINT call_events_pkey PRIMARY KEY (call_id, seq),
    CONSTRAINT call_events_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls (id) ON DELETE CASCADE
);

-- The figures of finished calls, computed once. What sums and means over many calls are made of has columns; the rest is the
-- serialized dialplane.v1.CallMetrics. Money in micro-dollars.
CREATE TABLE call_metrics (
    call_id           uuid             NOT NULL,
    avg_eou_latency   double precision,
    interruption_rate double precision NOT NULL,
    cost_stt          bigint           NOT NULL,
    cost_llm          bigint           NOT NULL,
    cost_tts          bigint           NOT NULL,
    cost_livekit      bigint           NOT NULL,
    cost_total        bigint           NOT NULL,
    figures           bytea            NOT NULL,
    CONSTRAINT call_metrics_pkey PRIMARY KEY (call_id),
    CONSTRAINT call_metrics_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls (id) ON DELETE CASCADE,
    CONSTRAINT call_metrics_cost_check CHECK (cost_total = cost_stt + cost_llm + cost_tts + cost_livekit)
);

-- Stores one batch of a call's events, all or nothing, and says what became of it. The batch is in order of seq, without gaps inside
-- (the service checks). `result` is one of
--   stored           accepted and duplicates say how many of each
--   not_started      the call is unknown and the batch does not begin with its start
--   gap              the first new event is not last_seq + 1; last_seq says where to go on
--   reused           a repeated seq came with another body; last_seq is that seq
--   finished         new events after the end
--   changed          the call is not as the figures in p_metrics were computed for (p_expected_seq): compute again
-- The row lock makes one batch of a call wait for the other, so that two reports at once cannot both extend it.
CREATE FUNCTION report_call_events(
    p_company uuid, -- whose calls the caller may see; NULL: all
    p_call uuid, p_first_seq bigint, p_kinds smallint[], p_events bytea[],
    -- the start, when the batch has it
    p_start_company uuid, p_skillbase uuid, p_skillbase_version integer, p_campaign uuid, p_task uuid, p_phone text,
    p_started_at timestamptz,
    -- what the batch does to the call, for each event: turns up to it, status and outcome after it (NULL: as before)
    p_times timestamptz[], p_statuses smallint[], p_outcomes text[],
    -- the figures, when the batch has the end: computed from the events up to p_expected_seq and this batch
    p_expected_seq bigint, p_avg_eou double precision, p_interruption_rate double precision,
    p_cost_stt bigint, p_cost_llm bigint, p_cost_tts bigint, p_cost_livekit bigint, p_figures bytea,
    OUT result text, OUT accepted integer, OUT duplicates integer, OUT last_seq bigint)
LANGUAGE plpgsql AS $$
DECLARE
    kind_turn CONSTANT smallint := 4;
    kind_finished CONSTANT smallint := 6;
    v_call calls%ROWTYPE;
    v_count integer := cardinality(p_events);
    v_last bigint := p_first_seq + cardinality(p_events) - 1;
    v_new integer; -- index of the first new event
    v_reused bigint;
    v_ended boolean;
BEGIN
    accepted := 0;
    duplicates := 0;
    last_seq := 0;
    IF p_start_company IS NOT NULL AND (p_company IS NULL OR p_start_company = p_company) THEN
        INSERT INTO calls AS c (id, company_id, skillbase_id, skillbase_version, campaign_id, task_id, phone_number, status, started_at,
                                last_event_at, last_seq)
        VALUES (p_call, p_start_company, p_skillbase, p_skillbase_version, p_campaign, p_task, p_phone, 1, p_started_at, p_started_at, 0)
        ON CONFLICT (id) DO NOTHING;
    END IF;
    SELECT * INTO v_call FROM calls c WHERE c.id = p_call AND (p_company IS NULL OR c.company_id = p_company) FOR UPDATE;
    IF NOT FOUND THEN
        result := 'not_started';
        RETURN;
    END IF;
    last_seq := v_call.last_seq;
    IF p_first_seq > v_call.last_seq + 1 THEN
        result := 'gap';
        RETURN;
    END IF;
    duplicates := least(v_count, v_call.last_seq - p_first_seq + 1);
    IF duplicates > 0 THEN
        SELECT min(e.seq) INTO v_reused
        FROM call_events e
        WHERE e.call_id = p_call AND e.seq BETWEEN p_first_seq AND v_last AND e.event <> p_events[e.seq - p_first_seq + 1];
        IF v_reused IS NOT NULL THEN
            result := 'reused';
            last_seq := v_reused;
            RETURN;
        END IF;
    END IF;
    accepted := v_count - duplicates;
    result := 'stored';
    IF accepted = 0 THEN
        RETURN;
    END IF;
    IF v_call.ended_at IS NOT NULL THEN
        result := 'finished';
        RETURN;
    END IF;
    v_ended := p_kinds[v_count] = kind_finished;
    IF v_ended AND p_expected_seq IS DISTINCT FROM v_call.last_seq THEN
        result := 'changed';
        RETURN;
    END IF;
    v_new := duplicates + 1;
    INSERT INTO call_events (call_id, seq, kind, event)
    SELECT p_call, p_first_seq + i - 1, p_kinds[i], p_events[i] FROM generate_series(v_new, v_count) AS i;
    UPDATE calls c
    SET last_seq = v_last,
        last_event_at = greatest(c.last_event_at, (SELECT max(t) FROM unnest(p_times[v_new:]) AS t)),
        turn_count = c.turn_count + (SELECT count(*) FROM generate_series(v_new, v_count) AS i WHERE p_kinds[i] = kind_turn),
        status = coalesce((SELECT p_statuses[i] FROM generate_series(v_new, v_count) AS i
                           WHERE p_statuses[i] IS NOT NULL ORDER BY i DESC LIMIT 1), c.status),
        outcome = coalesce((SELECT p_outcomes[i] FROM generate_series(v_new, v_count) AS i
                            WHERE p_outcomes[i] IS NOT NULL ORDER BY i DESC LIMIT 1), c.outcome),
        ended_at = CASE WHEN v_ended THEN greatest(c.started_at, p_times[v_count]) END
    WHERE c.id = p_call;
    IF v_ended THEN
        INSERT INTO call_metrics (call_id, avg_eou_latency, interruption_rate, cost_stt, cost_llm, cost_tts, cost_livekit, cost_total, figures)
        VALUES (p_call, p_avg_eou, p_interruption_rate, p_cost_stt, p_cost_llm, p_cost_tts, p_cost_livekit,
                p_cost_stt + p_cost_llm + p_cost_tts + p_cost_livekit, p_figures);
    END IF;
    last_seq := v_last;
END $$;
