"""Calls by the million for bench_analytics.py: made in SQL from a seed, with events, metrics and figures, as reports would have left them.

Rows go straight into the partitions, a UTC day a transaction. The figures of a day, which no other day shares, are summed up in one pass over counted_calls, the
definition that --verify-rollups recounts by; the benchmark runs --verify-rollups over all of it afterwards, which must find no difference. Foreign keys and triggers
are off meanwhile (session_replication_role): what is made here needs none of them."""
import sys
import time

COMPANIES, CAMPAIGNS, DAYS = 20, 5, 30
SUMS = "calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit"


def company(n):
    return f"00000000-0000-7000-8000-{n:012}"


def set_up(database):
    """COMPANIES and one more, each with CAMPAIGNS skillbases and as many campaigns."""
    database.sql(f"""
        insert into companies (id, name, slug) select ('00000000-0000-7000-8000-' || to_char(n, 'FM000000000000'))::uuid, 'c' || n, 'c' || n from generate_series(0, {COMPANIES}) n;
        insert into skillbases (id, company_id, name, slug, config)
            select ('00000000-0000-7000-8001-' || to_char(n * 100 + k, 'FM000000000000'))::uuid, ('00000000-0000-7000-8000-' || to_char(n, 'FM000000000000'))::uuid, 's' || k, 's' || k, '{{}}'
            from generate_series(0, {COMPANIES}) n, generate_series(1, {CAMPAIGNS}) k;
        insert into campaigns (id, company_id, skillbase_id, name, status, daily_start_time, daily_end_time, timezone, days_of_week, max_concurrent_calls,
                               calls_per_minute, max_retries, retry_delay_minutes, created_at, updated_at)
            select replace(id::text, '-8001-', '-8002-')::uuid, company_id, id, name, 'draft', '00:00', '00:00', 'UTC', '{{1,2,3,4,5,6,7}}', 10, 10, 3, 30, now(), now() from skillbases""")


def delimited(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def event(seq, kind, body):
    """A CallEvent of 2026-01-01, serialized."""
    return bytes([8, seq]) + delimited(2, bytes([8, 0x80, 0xbf, 0xd6, 0xca, 6])) + delimited(kind, body)


EVENTS = [
    (1, 3, event(1, 3, delimited(1, company(1).encode()))),
    (2, 4, event(2, 4, bytes([16, 2]) + delimited(3, b"Good morning, I am calling about your appointment."))),
    (3, 4, event(3, 4, bytes([8, 1, 16, 1]) + delimited(3, b"Yes, Thursday at ten would suit me very well."))),
    (4, 6, event(4, 6, bytes([8, 2]))),
]


def generate(database, count, seed):
    """So many finished calls of the last DAYS days, evenly, in order of time, each of two turns; hashes of number and seed are the dice."""
    database.sql("set session_replication_role = replica; truncate calls, call_events, call_metrics, call_index, call_figures, call_figure_sums, call_latencies, call_figure_changes")
    dice = lambda n, what: f"(hashtextextended(g::text, {seed * 1000 + what}) & 1073741823) % {n}"
    owner = "('00000000-0000-7000-8000-' || to_char(c, 'FM000000000000'))::uuid"
    events = ", ".join(f"({seq}, {kind}::smallint, '\\x{data.hex()}'::bytea)" for seq, kind, data in EVENTS)
    began = time.monotonic()
    summed = ", ".join(f"sum({name})" for name in SUMS.split(", "))
    for day in range(DAYS):
        first, last = count * day // DAYS, count * (day + 1) // DAYS
        begins = f"(date_trunc('day', now(), 'UTC') - interval '{DAYS - 1 - day} days')"
        database.sql(f"""
            set session_replication_role = replica; set synchronous_commit = off; set work_mem = '256MB';
            begin;
            create temp table made on commit drop as
                select (lpad(to_hex(1700000000000 + g), 12, '0') || '7000' || '8000' || lpad(to_hex({dice(1073741823, 1)}), 12, '0'))::uuid as id,
                       {begins} + (g - {first}) * (interval '1 day' / {last - first}) as started_at,
                       1 + {dice(COMPANIES, 2)} as c, 1 + {dice(CAMPAIGNS, 3)} as k, {dice(100, 4)} as ended, 20 + {dice(300, 5)} as seconds,
                       {dice(10000000, 7)} as phone, 200 * exp({dice(10000, 8)} / 4000.0) as eou, {dice(8000, 9)} as tokens
                from generate_series({first}, {last - 1}) g order by g;
            insert into calls (id, company_id, skillbase_id, skillbase_version, campaign_id, phone_number, status, outcome, started_at, ended_at, last_event_at, last_seq, turn_count)
                select id, {owner}, ('00000000-0000-7000-8001-' || to_char(c * 100 + k, 'FM000000000000'))::uuid, 1,
                       ('00000000-0000-7000-8002-' || to_char(c * 100 + k, 'FM000000000000'))::uuid, '+1202' || to_char(phone, 'FM0000000'),
                       case when ended < 80 then 2 when ended < 95 then 3 else 4 end, case when ended < 40 then 'success' when ended < 60 then 'fail' when ended < 80 then 'voicemail'
                       when ended < 90 then 'no_answer' when ended < 95 then 'busy' end, started_at, started_at + seconds * interval '1 second', started_at + seconds * interval '1 second',
                       {len(EVENTS)}, 2 from made;
            insert into call_index select id, started_at, {owner} from made;
            insert into call_metrics select id, started_at, eou, 0.25, seconds * 400, tokens, tokens / 10, tokens / 4, seconds * 1000, seconds * 28, tokens / 20, tokens * 4, seconds * 66,
                       seconds * 28 + tokens / 20 + tokens * 4 + seconds * 66, decode(repeat('ab', 120), 'hex') from made;
            insert into call_events (call_id, seq, started_at, kind, event)
                select m.id, e.seq, m.started_at, e.kind, e.event from made m cross join (values {events}) e(seq, kind, event);
            analyze made;
            insert into call_figures
                select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, {summed},
                       array_agg(slot order by slot), array_agg(n order by slot)
                from (select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, latency_slot(avg_eou_latency) as slot, count(*) as n, count(*) as calls,
                             sum(measured) as measured, sum(duration_ms) as duration_ms, sum(turns) as turns, count(avg_eou_latency) as eou_calls, sum(avg_eou_latency) as eou_sum,
                             sum(interruption_rate) as interruption_sum, sum(cost_stt) as cost_stt, sum(cost_llm) as cost_llm, sum(cost_tts) as cost_tts, sum(cost_livekit) as cost_livekit
                      from counted_calls_between({begins}, {begins} + interval '1 day') group by 1, 2, 3, 4, 5, 6, 7, 8) f
                group by 1, 2, 3, 4, 5, 6, 7;
            insert into call_figure_sums (kind, subject, minutes, bucket, status, outcome, company_id, {SUMS})
                select s.kind, s.subject, s.minutes, s.bucket, f.status, f.outcome, s.owner, {summed}
                from call_figures f cross join lateral buckets_of(f.company_id, f.campaign_id, f.skillbase_id, f.quarter) s
                where f.quarter >= (select min(quarter_of(started_at)) from made) group by 1, 2, 3, 4, 5, 6, 7;
            insert into call_latencies (kind, subject, day, status, outcome, company_id, slots, counts)
                select kind, subject, day, status, outcome, owner, array_agg(slot), array_agg(n)
                from (select s.kind, s.subject, date_trunc('day', f.quarter, 'UTC') as day, a.status, a.outcome, s.owner, u.slot, sum(u.n)::bigint as n
                      from call_figures f cross join lateral unnest(f.slots, f.counts) as u(slot, n) cross join lateral subjects_of(f.company_id, f.campaign_id, f.skillbase_id) s
                      cross join lateral (values (f.status, f.outcome), (0::smallint, '')) a(status, outcome)
                      where f.quarter >= (select min(quarter_of(started_at)) from made) group by 1, 2, 3, 4, 5, 6, 7) d
                group by 1, 2, 3, 4, 5, 6;
            commit""", timeout=3600)
        if sys.stdout.isatty() or day % 5 == 4:
            print(f"  ({last:,} of {count:,} calls made, {last / (time.monotonic() - began):,.0f} a second)", flush=True)
    for table in ("calls", "call_metrics", "call_index", "call_events", "call_figures", "call_figure_sums", "call_latencies", "call_figure_changes"):
        database.sql(f"vacuum analyze {table}", timeout=3600)
    database.sql("checkpoint", timeout=3600)
