"""Windows: the rules in SQL under a pinned clock, in zones whose clocks change in 2026."""
import pytest
from client import Client, Tenant, running, sql

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


def pinned(at, text):
    return sql(f"set dialplane.now = '{at}'; {text}")


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
