"""The worked example of an agent, clients/python/agent.py, against the service."""
import collections
import os
import sys
import threading

from client import PROTOSET, Tenant, running, sql, word

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "clients", "python"))
from agent import Agent, Service  # noqa: E402


def test_it_calls_everybody_once():
    dialed, lines = collections.Counter(), threading.Semaphore(4)

    def dial(task, progress, is_lost):
        assert lines.acquire(blocking=False), "more calls at once than the campaign allows"
        dialed[task.phone_number] += 1
        progress(1)
        progress(2)
        lines.release()
        return (1, "success") if int(task.phone_number[-1]) % 2 else (5, None)  # answered or declined

    with running() as client:
        tenant = Tenant()
        campaign = tenant.started(client, 60, max_concurrent_calls=4)
        agent = Agent(Service(client.target, PROTOSET), dial, lines=8)
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        for _ in range(600):
            if word(client.GetCampaign(id=campaign.id), "status") == "completed":
                break
            threading.Event().wait(0.05)
        agent.stopping.set()
        after = client.GetCampaign(id=campaign.id)
        assert (word(after, "status"), after.completed_tasks, after.failed_tasks) == ("completed", 30, 30)
        assert len(dialed) == 60 and set(dialed.values()) == {1}
        assert sql(f"select count(*) from call_attempts where campaign_id = '{campaign.id}' and answered_at is not null and ended_how = 'finished'") == "60"


def test_it_is_short():
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "..", "clients", "python", "agent.py"), encoding="utf-8") as file:
        assert len([line for line in file if line.strip()]) < 100
