"""A company has so many words of its own for outcomes; further ones count as "other", and what the agent said stays with the call."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from agents import finished, new_id, started, status, turn
from private_postgres import PrivatePostgres
from test_storage import Analytics

COMPANIES = [{"id": f"00000000-0000-7000-8000-00000000000{n}"} for n in (1, 2)]
NOW = datetime.now(timezone.utc) - timedelta(hours=1)
NAMED = ("success", "fail", "voicemail", "no_answer", "busy", "unknown")


@pytest.fixture(scope="module")
def postgres():
    server = PrivatePostgres(shared_buffers="32MB", fsync="off")
    yield server
    server.stop()


def end(rpc, company, word, **more):
    call = new_id()
    rpc.ReportCallEventBatch({"call_id": call, "events": [started(company, 0, NOW), turn(2, 0, 1, NOW), finished(3, 2, NOW, **({"outcome": word} if word else {}), **more)]})
    return call


def test_words_are_bounded(stubs, postgres):
    with Analytics(stubs, postgres, "--outcome-words", "3") as service:
        one, other = COMPANIES
        for company in COMPANIES:
            postgres.sql(f"insert into companies (id, name, slug) values ('{company['id']}', '{company['id'][-1]}', 's{company['id'][-1]}')")
        rpc = service.rpc
        metrics = lambda company: rpc.GetMetrics({"company_id": company["id"]})
        for word in (*NAMED, None, "callback", "moved", "callback", "wrong_number"):
            end(rpc, one, word)
        expected = {**{word: 1 for word in NAMED}, "unknown": 2, "callback": 2, "moved": 1, "wrong_number": 1}
        assert dict(metrics(one).outcome_distribution) == expected
        # The fourth word of its own, and what is known goes on.
        odd = end(rpc, one, "abducted", outcome_reason="by aliens")
        end(rpc, one, "moved")
        end(rpc, one, "success")
        expected |= {"other": 1, "moved": 2, "success": 2}
        assert dict(metrics(one).outcome_distribution) == expected
        shown = rpc.GetCall({"id": odd})
        assert (shown.outcome, shown.metrics.outcome, shown.metrics.outcome_reason) == ("other", "abducted", "by aliens")
        assert rpc.GetCallMetrics({"id": odd}).outcome == "abducted"
        assert [c.id for c in rpc.ListCalls({"company_id": one["id"], "outcome": "other"}).items] == [odd] and rpc.ListCalls({"outcome": "abducted"}).total == 0
        # A word in the middle of a call, and as its agent's last, is the same.
        call = new_id()
        rpc.ReportCallEventBatch({"call_id": call, "events": [started(one, 0, NOW), status(2, 1, NOW, outcome="levitating")]})
        rpc.ReportCallEventBatch({"call_id": call, "events": [finished(3, 2, NOW)]})
        expected["other"] = 2
        assert dict(metrics(one).outcome_distribution) == expected
        # Repeating is as harmless as ever: what is compared is what was said.
        again = rpc.ReportCallEventBatch({"call_id": call, "events": [status(2, 1, NOW, outcome="levitating")]})
        assert (again.accepted, again.duplicates) == (0, 1)
        # Another company has its own three.
        for word in ("abducted", "levitating"):
            end(rpc, other, word)
        assert dict(metrics(other).outcome_distribution) == {"abducted": 1, "levitating": 1}
        service.verify()
    with Analytics(stubs, postgres, "--outcome-words", "3") as service:
        # Kept over a restart; and at once from many sides there are never more than three.
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: end(service.rpc, COMPANIES[1], f"word_{n}"), range(24)))
        assert postgres.sql(f"select count(*) from company_outcomes where company_id = '{COMPANIES[1]['id']}'") == "3"
        got = dict(service.rpc.GetMetrics({"company_id": COMPANIES[1]["id"]}).outcome_distribution)
        assert len(got) == 4 and got["other"] == 23 and got["abducted"] == 1
        assert dict(service.rpc.GetMetrics({"company_id": COMPANIES[0]["id"]}).outcome_distribution) == expected
        service.verify()
