"""Windows: the rules in SQL under a pinned clock, in zones whose clocks change in 2026."""
import pytest
from client import Tenant, refused, running, sql

ALL = "{1,2,3,4,5,6,7}"


@pytest.fixture(scope="module", autouse=True)
def schema():
    # A sweep, on the real clock, would find the leases of the pinned one long gone.
    with running("--sweep-period", "60s") as client:
        yield client


def is_open(at, zone, opens, closes, days=ALL):
    return sql(f"select window_is_open('{at}', '{zone}', '{days}', '{opens}', '{closes}')") == "t"


def next_open(at, zone, opens, closes, days=ALL):
    return sql(f"set timezone = 'UTC'; select to_char(window_opens('{at}', '{zone}', '{days}', '{opens}', '{closes}'), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")


def test_half_open():
    assert not is_open("2026-06-01T08:59:59.999999Z", "UTC", "09:00", "18:00")
    assert is_open("2026-06-01T09:00:00Z", "UTC", "09:00", "18:00")
    assert is_open("2026-06-01T17:59:59.999999Z", "UTC", "09:00", "18:00")
    assert not is_open("2026-06-01T18:00:00Z", "UTC", "09:00", "18:00")


def test_across_midnight_belongs_to_the_day_on_which_it_opened():
    monday = "{1}"  # 2026-06-01 is a Monday
    assert is_open("2026-06-01T22:00:00Z", "UTC", "22:00", "02:00", monday)
    assert is_open("2026-06-02T01:59:59Z", "UTC", "22:00", "02:00", monday)
    assert not is_open("2026-06-02T02:00:00Z", "UTC", "22:00", "02:00", monday)
    assert not is_open("2026-06-01T01:00:00Z", "UTC", "22:00", "02:00", monday)
    assert not is_open("2026-06-02T22:00:00Z", "UTC", "22:00", "02:00", monday)
    assert next_open("2026-06-02T02:00:00Z", "UTC", "22:00", "02:00", monday) == "2026-06-08T22:00:00Z"


def test_equal_ends_are_the_whole_day():
    assert is_open("2026-06-01T00:00:00Z", "UTC", "09:00", "09:00", "{1}")
    assert not is_open("2026-06-02T00:00:00Z", "UTC", "09:00", "09:00", "{1}")
    assert next_open("2026-06-02T00:00:00Z", "UTC", "09:00", "09:00", "{1}") == "2026-06-08T00:00:00Z"


@pytest.mark.parametrize("at, zone, opens, closes, expected", [
    # Days of weeks and zones.
    ("2026-06-01T18:00:00Z", "UTC", "09:00", "18:00", "2026-06-02T09:00:00Z"),
    ("2026-06-01T05:00:00Z", "Europe/Berlin", "09:00", "18:00", "2026-06-01T07:00:00Z"),
    # Spring: Berlin 29 March 02:00 → 03:00, New York 8 March 02:00 → 03:00, Lord Howe 4 October 02:00 → 02:30.
    ("2026-03-28T17:00:00Z", "Europe/Berlin", "09:00", "18:00", "2026-03-29T07:00:00Z"),
    ("2026-03-29T00:30:00Z", "Europe/Berlin", "02:30", "09:00", "2026-03-29T01:00:00Z"),
    ("2026-03-29T00:30:00Z", "Europe/Berlin", "02:15", "02:45", "2026-03-30T00:15:00Z"),
    ("2026-03-07T23:30:00Z", "America/New_York", "09:00", "18:00", "2026-03-08T13:00:00Z"),
    ("2026-03-08T06:30:00Z", "America/New_York", "02:30", "09:00", "2026-03-08T07:00:00Z"),
    ("2026-10-03T15:00:00Z", "Australia/Lord_Howe", "02:15", "09:00", "2026-10-03T15:30:00Z"),
    ("2026-10-03T08:00:00Z", "Australia/Lord_Howe", "09:00", "18:00", "2026-10-03T22:00:00Z"),
    # Autumn: what is shown twice counts from its first time. Berlin 25 October 03:00 → 02:00, New York 1 November, Lord Howe 5 April 02:00 → 01:30.
    ("2026-10-24T20:00:00Z", "Europe/Berlin", "02:30", "09:00", "2026-10-25T00:30:00Z"),
    ("2026-10-25T17:00:00Z", "Europe/Berlin", "09:00", "18:00", "2026-10-26T08:00:00Z"),
    ("2026-11-01T04:00:00Z", "America/New_York", "01:30", "09:00", "2026-11-01T05:30:00Z"),
    ("2026-04-04T13:00:00Z", "Australia/Lord_Howe", "01:45", "09:00", "2026-04-04T14:45:00Z"),
    ("2026-04-04T08:00:00Z", "Australia/Lord_Howe", "09:00", "18:00", "2026-04-04T22:30:00Z"),
])
def test_next_opening(at, zone, opens, closes, expected):
    found = next_open(at, zone, opens, closes)
    assert found == expected
    assert is_open(found, zone, opens, closes)
    assert sql(f"select window_is_open('{found}'::timestamptz - interval '1 second', '{zone}', '{ALL}', '{opens}', '{closes}')") == "f"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
@pytest.mark.parametrize("opens, closes", [("09:00", "18:00"), ("22:00", "02:15"), ("01:30", "02:30")])
def test_openings_of_the_whole_year_by_walking_it(zone, opens, closes):
    """Every quarter of an hour of 2026: open by wall clock as python's zoneinfo reads it."""
    import datetime
    import zoneinfo

    rows = sql("select extract(epoch from t)::bigint, window_is_open(t, '%s', '{1,2,3,5,7}', '%s', '%s') from generate_series("
               "timestamptz '2026-01-01T00:00:00Z', timestamptz '2026-12-31T23:45:00Z', interval '15 minutes') t" % (zone, opens, closes)).splitlines()
    assert len(rows) == 365 * 96
    tz = zoneinfo.ZoneInfo(zone)
    for row in rows:
        epoch, got = row.split("|")
        wall = datetime.datetime.fromtimestamp(int(epoch), tz)
        clock, day = wall.strftime("%H:%M"), wall.isoweekday()
        before = (wall.replace(tzinfo=None) - datetime.timedelta(days=1)).isoweekday()
        want = (opens <= clock < closes and day in (1, 2, 3, 5, 7)) if opens < closes else (
            clock >= opens and day in (1, 2, 3, 5, 7) or clock < closes and before in (1, 2, 3, 5, 7))
        assert (got == "t") == want, row


def changes_of_2026(zone):
    """The moments at which clocks in the zone are changed, found by walking the year."""
    import datetime
    import zoneinfo

    tz, found = zoneinfo.ZoneInfo(zone), []
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    while at.year == 2026:
        after = at + datetime.timedelta(minutes=30)
        if at.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset():
            found.append(after)
        at = after
    return found


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_next_openings_around_every_change_of_2026(zone):
    """From every quarter of an hour of the two days around a change: the first open minute is the one that python's zoneinfo finds by walking."""
    import datetime
    import zoneinfo

    changes, tz = changes_of_2026(zone), zoneinfo.ZoneInfo(zone)
    assert len(changes) == 2
    for change in changes:
        first = change - datetime.timedelta(days=1)
        walls = [(first + datetime.timedelta(minutes=m)).astimezone(tz).strftime("%H:%M") for m in range(4 * 1440)]
        for opens, closes in (("09:00", "18:00"), ("02:15", "02:45"), ("01:45", "03:15"), ("22:00", "02:30"), ("02:00", "01:00"), ("01:30", "01:40")):
            inside = [opens <= w < closes if opens < closes else w >= opens or w < closes for w in walls]
            wanted, following = [None] * len(walls), None
            for m in reversed(range(len(walls))):
                following = m if inside[m] else following
                wanted[m] = following
            got = sql(f"select extract(epoch from window_opens(t, '{zone}', '{ALL}', '{opens}', '{closes}') - timestamptz '{first.isoformat()}')::integer / 60 "
                      f"from generate_series(timestamptz '{first.isoformat()}', timestamptz '{first.isoformat()}' + interval '2 days', interval '15 minutes') t").splitlines()
            for index, minute in enumerate(got):
                assert int(minute) == wanted[index * 15], (zone, change, opens, closes, first + datetime.timedelta(minutes=15 * index))


def pinned(at, text):
    return sql(f"set timezone = 'UTC'; set dialplane.now = '{at}'; {text}")


CLAIM = "select count(call_id) from claim_tasks('w', {n}, '{company}', null, (select array_agg(gen_random_uuid()) from generate_series(1, {n})), '45 s')"


def test_claims_follow_the_window(schema):
    tenant = Tenant()
    campaign = tenant.campaign(schema, daily_start_time="09:00", daily_end_time="18:00", timezone="Europe/Berlin", start_time="2026-03-29T06:00:00Z",
                               end_time="2026-03-31T00:00:00Z")
    schema.upload(campaign.id, b"phone_number,timezone\n+12015550100,\n+12015550101,America/New_York\n+12015550102,Pacific/Auckland\n+12015550103,\n")
    schema.StartCampaign(id=campaign.id)
    sql(f"update campaign_pacing set refilled_at = '2026-03-01' where campaign_id = '{campaign.id}'")

    def claims(at, n=10):
        return int(pinned(at, CLAIM.format(n=n, company=tenant.id)))

    assert claims("2026-03-29T06:59:59Z") == 0
    idle = sql(f"set timezone = 'UTC'; select idle_until from campaign_pacing where campaign_id = '{campaign.id}'")
    assert idle == "2026-03-29 07:00:00+00"
    assert claims("2026-03-29T07:00:00Z") == 2  # summer time began that night
    # New York opens at 13:00 UTC, within Berlin's day; Auckland (09:00 to 18:00 is 20:00 to 05:00 UTC) never meets it.
    waiting = sql(f"set timezone = 'UTC'; select timezone, waiting_for, ready_at from call_tasks where campaign_id = '{campaign.id}' and waiting order by 1")
    assert waiting.splitlines()[0] == "America/New_York|window|2026-03-29 13:00:00+00"
    assert waiting.splitlines()[1].startswith("Pacific/Auckland|window|2026-03-30 07:00:00")
    assert claims("2026-03-29T12:59:59Z") == 0
    assert claims("2026-03-29T13:00:01Z") == 1
    # BeginDial looks again, in both zones.
    begin = "select (begin_dial(call_id, fence, null, '45 s')).verdict from live_calls where phone_number = '{}' and company_id = '{}'"
    assert pinned("2026-03-29T16:00:00Z", begin.format("+12015550100", tenant.id)) == "window_closed"
    assert pinned("2026-03-29T13:00:02Z", begin.format("+12015550101", tenant.id)) == "ok"
    # After end_time there is nothing, ever.
    assert claims("2026-04-02T10:00:00Z") == 0


def test_any_minute_is_within_the_pace(schema):
    """An hour in virtual time: whenever somebody asks, no 60 seconds see more than calls_per_minute, and hardly less."""
    tenant = Tenant()
    campaign = tenant.started(schema, 800, calls_per_minute=12)
    sql(f"update campaign_pacing set refilled_at = '2026-06-01', tokens = null where campaign_id = '{campaign.id}'")
    text = "\n".join(f"set dialplane.now = '2026-06-01T00:{s // 60:02d}:{s % 60:02d}.{s * 37 % 100:02d}Z'; " + CLAIM.format(n=20, company=tenant.id) + ";"
                     for s in range(0, 1200))
    given = [int(n) for n in sql(text).splitlines()]
    assert all(sum(given[i : i + 60]) <= 12 for i in range(len(given)))
    assert sum(given) >= 20 * 12 - 15


def test_explain_agrees_with_what_then_happens(schema):
    """The earliest moment: at it the contact is handed out, a second before it is not. On the virtual clock."""
    tenant = Tenant()
    campaign = tenant.campaign(schema, daily_start_time="09:00", daily_end_time="18:00", timezone="Europe/Berlin", start_time="2026-03-29T06:00:00Z")
    schema.upload(campaign.id, b"phone_number,timezone\n+12015550100,\n+12015550101,America/New_York\n+12015550102,Australia/Lord_Howe\n+12015550103,Asia/Tokyo\n")
    schema.StartCampaign(id=campaign.id)
    sql(f"update campaign_pacing set refilled_at = '2026-03-01' where campaign_id = '{campaign.id}'")
    rows = sql(f"select id, phone_number from call_tasks where campaign_id = '{campaign.id}' order by id").splitlines()
    claim_sql = ("select phone_number from claim_tasks('w', 10, '{}', null, (select array_agg(gen_random_uuid()) from generate_series(1, 10)), '45 s') "
                 "where call_id is not null").format(tenant.id)
    earliest = {}
    for row in rows:
        task, number = row.split("|")
        earliest[number] = pinned("2026-03-28T00:00:00Z", f"select distinct earliest from explain_task('{campaign.id}', '{task}', null)")
    assert earliest["+12015550100"] == "2026-03-29 07:00:00+00" and earliest["+12015550101"] == "2026-03-29 13:00:00+00"
    # Tokyo is open from 0:00 to 9:00 UTC, so it meets Berlin at its opening; Lord Howe (22:00 to 7:00 UTC) would never meet summer time's 7:00.
    assert earliest["+12015550103"] == "2026-03-29 07:00:00+00" and earliest["+12015550102"] == "2026-04-05 07:00:00+00", earliest
    claimed = {}
    for moment in sorted(set(earliest.values())):
        before = pinned(moment, f"select (timestamptz '{moment}' - interval '1 second')::text")
        assert pinned(before, claim_sql) == ""
        for number in pinned(moment, claim_sql).splitlines():
            claimed[number] = moment
    assert claimed == earliest


def simulate(schema, campaign, at, **assumed):
    return schema.SimulateCampaign(id=campaign.id, start_at=at, **assumed)


REALLY = """
create function pg_temp.really(company uuid, campaign uuid, since timestamptz, until timestamptz, talk integer, ring integer) returns text language plpgsql as $$
declare
    at timestamptz := since;
    calls integer := 0;
    last timestamptz;
    f record;
begin
    create temporary table under_way (ends timestamptz, call uuid, fence bigint, said text);
    while at < until loop
        perform set_config('dialplane.now', at::text, false);
        for f in delete from under_way u where u.ends <= at returning u.* loop
            perform finish_task(f.call, f.fence, null, f.said, null, null);
            last := greatest(last, f.ends);
        end loop;
        for f in select * from claim_tasks('w', 100, company, campaign, (select array_agg(gen_random_uuid()) from generate_series(1, 100)), '1 hour') loop
            continue when f.call_id is null;
            perform begin_dial(f.call_id, f.fence, null, '1 hour');
            insert into under_way values (at + make_interval(secs => case when calls % 2 = 0 then talk else ring end), f.call_id, f.fence,
                                          case when calls % 2 = 0 then 'answered' else 'no_answer' end);
            calls := calls + 1;
        end loop;
        exit when count_open_tasks(campaign, 1) = 0;
        at := at + interval '20 seconds';
    end loop;
    return format('%s|%s|%s', calls, extract(epoch from last), count_open_tasks(campaign, 1));
end $$;
"""


def test_simulate_agrees_with_what_then_happens(schema):
    tenant = Tenant()
    campaign = tenant.campaign(schema, daily_start_time="09:00", daily_end_time="10:00", timezone="Europe/Berlin", max_concurrent_calls=4, calls_per_minute=60,
                               max_retries=1, retry_delay_minutes=15)
    schema.upload(campaign.id, b"phone_number,timezone\n" + b"".join(b"+1201555%04d,%s\n" % (i, b"Pacific/Auckland" if i < 5 else b"") for i in range(200)))
    schema.CreateSuppression(company_id=tenant.id, suppression={"phone_number": "+12015550199"})
    start = "2026-03-28T07:30:00Z"
    # Never reachable: five in Auckland. (The suppressed one was open no more when the simulation began.)
    found = simulate(schema, campaign, start, mean_call_seconds=100, mean_ring_seconds=20, share_answered=0.5)
    assert (found.contacts, found.suppressed, found.outside_window, found.never_reachable, found.is_extrapolated) == (199, 0, 5, 5, False)
    assert found.peak_concurrency == 4 and found.answered + found.exhausted == 194 and found.left_over == 0
    assert abs(found.calls - 194 * 1.5) <= 12
    before = sql("select count(*) from call_attempts")
    schema.StartCampaign(id=campaign.id)
    sql(f"update campaign_pacing set refilled_at = '2026-03-01' where campaign_id = '{campaign.id}'; "
        f"update call_tasks set ready_at = '2026-03-01' where campaign_id = '{campaign.id}';"
        f"delete from call_tasks where campaign_id = '{campaign.id}' and timezone is not null")
    assert sql("select count(*) from call_attempts") == before
    calls, last, still_open = sql(REALLY + f"select pg_temp.really('{tenant.id}', '{campaign.id}', '{start}', '2026-03-30T12:00:00Z', 100, 20)").split("|")
    # An hour and a quarter of calls in windows of one hour: the day after, when summer time has begun, and about the same minute.
    assert still_open == "0" and abs(int(calls) - found.calls) <= 15
    assert abs(found.finishes_at.seconds - float(last)) < 10 * 60, (found.finishes_at.seconds, last)


def test_simulate_knows_its_bounds(schema):
    tenant = Tenant()
    campaign = tenant.campaign(schema, calls_per_minute=1, max_concurrent_calls=1, end_time="2026-06-01T01:00:00Z")
    empty = simulate(schema, campaign, "2026-06-01T00:00:00Z")
    assert (empty.contacts, empty.calls, empty.HasField("finishes_at")) == (0, 0, False)
    schema.upload(campaign.id, b"phone_number\n" + b"".join(b"+1201555%04d\n" % i for i in range(100)))
    cut = simulate(schema, campaign, "2026-06-01T00:00:00Z", mean_call_seconds=60, share_answered=1)
    assert 55 <= cut.calls <= 65 and cut.left_over == 100 - cut.calls and 50 <= cut.calls_per_hour <= 65
    assert simulate(schema, campaign, "2026-07-01T00:00:00Z").outside_window == 100
    for wrong in ({"share_answered": 1.5}, {"mean_call_seconds": 0}, {"mean_ring_seconds": -1}):
        assert set(refused("INVALID_ARGUMENT", None, schema.SimulateCampaign, id=campaign.id, **wrong).fields) == set(wrong)
    refused("NOT_FOUND", None, schema.SimulateCampaign, id=tenant.id)
