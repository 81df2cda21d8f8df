"""The telephone side of the fault test: an agent (clients/python/agent.py) whose phone writes an independent log, and that kills itself at chosen steps.
Every other agent sends what its lines ask for at the same moment in one request (BeginDialBatch, FinishTaskBatch).

    phone.py ADDRESS PROTOSET LOG SEED KILL_SHARE
Each line of the log is one write: what, when (the machine's monotonic clock), the call, the task, the number, and when leave to dial was asked for.
"""
import json
import os
import random
import signal
import sys
import threading
import time
import uuid

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "clients", "python"))
from agent import Agent, Service  # noqa: E402

address, protoset, log_path, seed, share = sys.argv[1:]
log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
dice, dice_lock = random.Random(int(seed)), threading.Lock()
worker = f"phone-{seed}"


def write(what, **fields):
    os.write(log, (json.dumps({"what": what, "at": time.monotonic(), "worker": worker, **fields}) + "\n").encode())


def roll():
    with dice_lock:
        return dice.random()


def maybe_die(step):
    if roll() < float(share):
        write("died", step=step)
        os.kill(os.getpid(), signal.SIGKILL)


class Refused(grpc.RpcError):
    def __init__(self, refusal):
        self.refusal = refusal

    def code(self):
        return grpc.StatusCode[self.refusal.code]

    def details(self):
        return self.refusal.message


class Batches:
    """One request for all that ask at the same moment; those who come meanwhile go with the next. A call that nobody has is among them: its refusal must not
    touch the others."""

    def __init__(self, send):
        self.send, self.changed, self.waiting, self.sending = send, threading.Condition(), [], False

    def __call__(self, patience=30, **step):
        slot = {"step": {name: value for name, value in step.items() if value is not None}, "answer": None}
        with self.changed:
            self.waiting.append(slot)
            self.changed.wait_for(lambda: slot["answer"] is not None or not self.sending)
            if slot["answer"] is None:
                self.sending, slots, self.waiting = True, self.waiting, []
        if slot["answer"] is None:
            self.ask(slots, patience)
        answer = slot["answer"]
        if isinstance(answer, Exception):
            raise answer
        if answer.HasField("refusal"):
            raise Refused(answer.refusal)
        return answer

    def ask(self, slots, patience):
        for slot in slots:
            asked[slot["step"]["call_id"]] = time.monotonic()
        stranger = {**slots[0]["step"], "call_id": str(uuid.UUID(int=7 << 76 | 2 << 62 | random.getrandbits(60)))}
        try:
            answers = list(self.send(calls=[slot["step"] for slot in slots] + [stranger], patience=patience).results)
            assert [a.call_id for a in answers] == [s["step"]["call_id"] for s in slots] + [stranger["call_id"]] and answers[-1].refusal.code == "NOT_FOUND"
        except Exception as error:  # the same for all; a wrong answer shows in what was not done
            write("failed", error=repr(error)[:300])
            answers = [error] * len(slots)
        with self.changed:
            for slot, answer in zip(slots, answers):
                slot["answer"] = answer
            self.sending = False
            self.changed.notify_all()


class Phone(Service):
    """Every step of the protocol may be the last, before it is sent or after it was answered."""

    batches = {}

    def __getattr__(self, method):
        call = super().__getattr__(method)
        if int(seed) % 2 and method in ("BeginDial", "FinishTask"):
            call = self.batches.setdefault(method, Batches(super().__getattr__(f"{method}Batch")))

        def invoke(**fields):
            maybe_die(f"before {method}")
            if method == "ReportProgress":
                fields.update(timeout=1, patience=0.5)  # nobody here keeps leases, which are of three seconds: a call must be shorter, whoever is away
            asked[fields.get("call_id")] = time.monotonic()
            answer = call(**fields)
            maybe_die(f"after {method}")
            if method == "ClaimTasks":
                for task in answer.tasks:
                    write("claimed", call=task.call_id, task=task.task_id)
            return answer
        return invoke


asked = {}


def dial(task, progress, is_lost):
    write("dial", call=task.call_id, task=task.task_id, campaign=task.campaign_id, number=task.phone_number, fence=task.fence, asked=asked[task.call_id])
    maybe_die("after dialing")
    if roll() < 0.5:
        try:
            progress(1)
        except Exception:  # progress is a nicety: the call goes on
            pass
    time.sleep(0.02 + 0.1 * roll())
    write("hangup", call=task.call_id)
    end = roll()
    return (1, "success") if end < 0.7 else (3, None) if end < 0.9 else (8, None)  # answered, busy, carrier_error


class Claimer(Agent):
    def call(self, task):
        super().call(task)
        write("done", call=task.call_id)


Claimer(Phone(address, protoset), dial, 6, worker).run()
