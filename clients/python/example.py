#!/usr/bin/env python3
"""The whole way in Python: a company, a skillbase, a campaign and its call list; an agent that calls; one call watched live; the figures.

    PYTHONPATH=build/clients/python python3 clients/python/example.py [--port 8000]      (the gateway's port; README.md says how the package is built;
    DIALPLANE_TOKEN is the token of a platform's administrator: `./dev token` prints one)
"""
import argparse
import json
import os
import threading
import time
import uuid

import dialplane

CONTACTS = b"phone_number,name,favourite\n+12015550123,Anna Example,haircut\n+12015550124,Ben Example,colour\nnobody,Cleo Example,\n"
CONFIG = {"context": {"role": "Receptionist of a salon", "style": "Short and friendly"},
          "flow": {"type": "linear", "states": ["greeting", {"id": "confirm", "prompt": "Does the appointment still suit?"}]},
          "voice": {"tts_provider": "cartesia", "tts_voice_id": "nova", "stt_provider": "deepgram", "stt_language": "en"},
          "llm": {"provider": "groq", "model": "llama-3.3-70b"}}


def handle(call: dialplane.Call) -> dialplane.Result:
    """Stands for the telephony: the phone rings, somebody answers, two sentences are said."""
    assert call.skillbase().config.flow.states
    call.ringing()
    call.answered()
    call.turn("assistant", f"Hello {call.task.contact_name}, does tomorrow at three still suit you?", eou_latency=512, llm_input_tokens=900,
              llm_output_tokens=18, tts_characters=60)
    call.turn("user", "Yes, see you then.", ttfb_stt=85, stt_duration_sec=1750)
    return dialplane.Result("answered", "success")


def prepare(client):
    """A company, what its agent says, and a campaign with two contacts that may be called around the clock."""
    unique = uuid.uuid4().hex[:8]
    company = client.company.create_company({"name": f"Glamour {unique}", "slug": f"glamour-{unique}", "settings": {"locale": "en"}})
    skillbase = client.skillbase.create_skillbase({"company_id": company.id, "name": "Booking", "slug": "booking", "is_published": True, "config": CONFIG})
    try:
        client.campaign.create_campaign({"company_id": company.id, "skillbase_id": skillbase.id, "name": "Reminders", "daily_start_time": "25:00"})
    except dialplane.InvalidArgument as error:
        print("refused:", *(f"{violation.field} {violation.message}" for violation in error.violations))
    campaign = client.campaign.create_campaign({"company_id": company.id, "skillbase_id": skillbase.id, "name": "Reminders", "calls_per_minute": 60000,
                                                "daily_start_time": "00:00", "daily_end_time": "00:00"})
    uploaded = client.campaign.upload_call_list(campaign.id, CONTACTS, file_name="contacts.csv")
    print(f"uploaded: {uploaded.created} of {uploaded.total}; {uploaded.errors[0]}")
    return campaign


def watch(client, campaign_id, lines):
    """The first call of the campaign, live, until it ends."""
    until = time.monotonic() + 30
    while not (calls := list(client.analytics.iterate_calls(campaign_id=campaign_id, page_size=10))) and time.monotonic() < until:
        time.sleep(0.05)
    with client.analytics.watch_call(calls[0].id, timeout=60) as messages:
        for message in messages:
            lines.append((message.seq, message.WhichOneof("event"), message.turn.content))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    with dialplane.Client.at(port=parser.parse_args().port, token=os.environ.get("DIALPLANE_TOKEN")) as client:
        campaign = prepare(client)
        client.campaign.start_campaign(campaign.id)
        lines = []
        watcher = threading.Thread(target=watch, args=(client, campaign.id, lines))
        watcher.start()
        agent = dialplane.Agent(client, handle, lines=2, campaign_id=campaign.id)
        runner = threading.Thread(target=agent.run)
        runner.start()
        until = time.monotonic() + 60
        while client.campaign.get_campaign(campaign.id).completed_tasks < 2 and time.monotonic() < until:
            time.sleep(0.05)
        agent.stop()
        runner.join()
        watcher.join()
        for seq, kind, content in lines:
            print(f"  {seq:3} {kind:8} {content}")
        for task in client.campaign.iterate_tasks(campaign.id, limit=1):
            print("task:", task.contact_name, dialplane.word(type(task).DESCRIPTOR.fields_by_name["status"].enum_type, task.status), task.outcome)
        figures = client.analytics.get_metrics(campaign_id=campaign.id)
        print(json.dumps({"total_calls": figures.total_calls, "completed_calls": figures.completed_calls, "outcomes": dict(figures.outcome_distribution),
                          "avg_eou_latency": figures.avg_eou_latency, "watched": [kind for _, kind, _ in lines]}))


if __name__ == "__main__":
    main()
