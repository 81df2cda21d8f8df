"""What a voice agent needs around its telephony: claim → begin → (heartbeats) → finish, with the rules that keep a phone from ringing twice."""
from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import NamedTuple

from dialplane import call as calling
from dialplane.client import Client
from dialplane.errors import DialplaneError
from dialplane.v1 import dispatch_pb2

log = logging.getLogger("dialplane.agent")


def patiently(action, seconds, stopping=None):
    """A step of a call that is ours: an expired token must not lose it, so a new one is waited for (Client(token=function))."""
    return calling.patiently(action, seconds, stopping, for_token=True)


class Result(NamedTuple):
    """How a call ended. disposition: answered, no_answer, busy, voicemail …; outcome: success, fail, or a word of one's own."""
    disposition: str
    outcome: str | None = None
    error_message: str | None = None


class Call:
    """A call that may be dialed now, in the hands of one thread."""

    def __init__(self, client: Client, task, patience: float):
        self.client, self.task = client, task
        self.lost = threading.Event()  # set: hang up; the call is not ours any more, or its campaign was cancelled
        self._step = {"call_id": task.call_id, "fence": task.fence}
        self._patience = patience
        self._seq = self._turns = 0

    def skillbase(self):
        """The configuration that the task was claimed with."""
        return patiently(lambda: self.client.skillbase.get_skillbase_for_call(self.task.skillbase_id, version=self.task.skillbase_version), 10)

    def ringing(self):
        patiently(lambda: self.client.dispatch.report_progress(**self._step, stage="ringing"), self._patience)

    def answered(self):
        patiently(lambda: self.client.dispatch.report_progress(**self._step, stage="answered"), self._patience)

    def turn(self, role: str, content: str, **figures):
        """Reports one utterance (role: user or assistant) with its figures: eou_latency, llm_input_tokens … It is on disk when this returns."""
        if self._seq == 0:
            self._report(started={"company_id": self.task.company_id, "skillbase_id": self.task.skillbase_id, "campaign_id": self.task.campaign_id,
                                  "skillbase_version": self.task.skillbase_version, "task_id": self.task.task_id, "phone_number": self.task.phone_number})
        self._report(turn={"turn_index": self._turns, "role": role, "content": content, **figures})
        self._turns += 1

    def _report(self, **event):
        """One event; the numbering is the agent's alone, so that repeating is harmless."""
        self._seq += 1
        event = {"seq": self._seq, "occurred_at": datetime.now(timezone.utc), **event}
        patiently(lambda: self.client.analytics.report_call_event_batch(self.task.call_id, [event]), self._patience)

    def _finish(self, result: Result):
        if self._seq:
            self._report(finished={"status": "completed" if result.disposition == "answered" else "failed", "outcome": result.outcome,
                                   "outcome_reason": result.error_message})
        patiently(lambda: self.client.dispatch.finish_task(**self._step, **result._asdict()), 600)


class Agent:
    """Claims tasks and gives each to handle(call) on a thread of its own; what handle returns is reported as the call's end.

        def handle(call):
            call.ringing()
            ...                      # your telephony; look at call.lost now and then
            return Result("answered", "success")

        with Client() as client:
            Agent(client, handle, lines=10).run()

    An exception in handle ends the call as platform_error. run() returns after stop(), when the calls under way have ended."""

    def __init__(self, client: Client, handle: Callable[[Call], Result | str], *, lines: int = 5, worker_id: str | None = None,
                 company_id: str | None = None, campaign_id: str | None = None, heartbeat_seconds: float = 15.0):
        self.client, self.handle, self.lines = client, handle, lines
        self.worker_id = worker_id or f"python-{uuid.uuid4()}"  # a name of its own at every start
        self._filter = {"company_id": company_id, "campaign_id": campaign_id}
        self._heartbeat_seconds = heartbeat_seconds
        self._held: dict[str, Call] = {}
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def stop(self):
        """Claims nothing more; from any thread."""
        self._stopping.set()

    def run(self):
        keeper = threading.Thread(target=self._keep_leases, name="dialplane-heartbeat", daemon=True)
        keeper.start()
        try:
            with ThreadPoolExecutor(self.lines, thread_name_prefix="dialplane-call") as threads:
                while not self._stopping.is_set():
                    for task in self._claim():
                        call = Call(self.client, task, patience=30)
                        self._held[task.call_id] = call
                        threads.submit(self._run_call, call)
        finally:
            self._ended.set()
            keeper.join()

    def _claim(self):
        free = self.lines - len(self._held)
        if free <= 0:
            self._stopping.wait(0.05)
            return []
        try:
            # Short waits, so that stop() is heard. A claim whose answer is lost goes back by itself when its lease ends.
            return patiently(lambda: self.client.dispatch.claim_tasks(self.worker_id, max=min(free, 100), wait_ms=2000, **self._filter, timeout=15).tasks,
                             3600, self._stopping)
        except DialplaneError as error:
            if self._stopping.is_set():
                return []
            raise error

    def _keep_leases(self):
        while not self._ended.wait(self._heartbeat_seconds):
            held = [{"call_id": call_id, "fence": call.task.fence} for call_id, call in list(self._held.items())]
            if not held:
                continue
            try:
                results = self.client.dispatch.heartbeat(self.worker_id, calls=held).results
            except DialplaneError as error:
                log.warning("heartbeat: %s", error.code.name)
                continue
            for result in results:
                call = self._held.get(result.call_id)
                if call and result.state != dispatch_pb2.LEASE_STATE_HELD:
                    call.lost.set()

    def _run_call(self, call: Call):
        try:
            lease = patiently(lambda: self.client.dispatch.begin_dial(**call._step), 20).lease_expires_at
            if lease.ToNanoseconds() > time.time_ns():  # else the answer has come too late: the lease may be somebody else's
                call._finish(self._handle(call))
        except DialplaneError as error:  # refused: the task is not ours, or may not be called now
            log.info("call %s: %s", call.task.call_id, error.reason or error.code.name)
        finally:
            self._held.pop(call.task.call_id, None)

    def _handle(self, call) -> Result:
        try:
            result = self.handle(call)
        except Exception:  # whatever went wrong, the task must not stay in the air
            log.exception("call %s", call.task.call_id)
            return Result("platform_error", error_message="The agent failed")
        return Result(result) if isinstance(result, str) else result
