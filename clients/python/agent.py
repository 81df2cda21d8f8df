#!/usr/bin/env python3
"""A voice agent for Dialplane on plain grpcio: claims tasks, asks for leave to dial, keeps its leases, and says how each call ended.

Replace dial() by your telephony. What keeps a phone from ringing twice: dial only after BeginDial has answered and while its
lease lasts; what was refused (FAILED_PRECONDITION) is not ours any more: hang up; a step whose answer was lost (UNAVAILABLE …) is repeated as it was.

    agent.py --dispatch 127.0.0.1:8002 --protoset build/release/proto/dialplane.protoset
(the protoset: what `protoc --include_imports --descriptor_set_out` makes of dispatch.proto; every build has one)
"""
import argparse
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

REPEAT = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED"}


class Service:
    """service.ClaimTasks(worker_id=…) → message."""

    def __init__(self, address, protoset, name="dialplane.v1.DispatchService", token_file=None):
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(open(protoset, "rb").read()).file:
            pool.Add(file)
        self.methods, self.types = pool.FindServiceByName(name).methods_by_name, message_factory.MessageFactory(pool)
        self.channel, self.name, self.token_file = grpc.insecure_channel(address), name, token_file

    def metadata(self):
        """Who asks: read each time, because somebody renews the token before it ends."""
        if self.token_file is None:
            return ()
        with open(self.token_file, encoding="ascii") as file:
            return (("authorization", f"Bearer {file.read().strip()}"),)

    def __getattr__(self, method):
        ask, answer = (self.types.GetPrototype(t) for t in (self.methods[method].input_type, self.methods[method].output_type))
        call = self.channel.unary_unary(f"/{self.name}/{method}", ask.SerializeToString, answer.FromString)

        def invoke(timeout=10, patience=30, **fields):
            until, pause = time.monotonic() + patience, 0.05
            while True:
                try:
                    return call(ask(**fields), timeout=timeout, metadata=self.metadata())
                except grpc.RpcError as error:  # a token that has expired is waited for to be renewed: no call is lost for it
                    again = REPEAT | {"UNAUTHENTICATED"} if self.token_file else REPEAT
                    if error.code().name not in again or time.monotonic() + pause > until:
                        raise
                    time.sleep(random.uniform(pause / 2, pause := min(2, pause * 2)))
        return invoke


class Agent:
    def __init__(self, service, dial, lines=5, worker_id=None):
        self.service, self.dial, self.lines = service, dial, lines
        self.worker_id = worker_id or f"python-{uuid.uuid4()}"  # a name of its own at every start
        self.held, self.lost, self.stopping = {}, set(), threading.Event()  # held: call id → fence; lost: calls that were taken away

    def keep_leases(self):
        while not self.stopping.wait(15):
            calls = [{"call_id": call, "fence": fence} for call, fence in list(self.held.items())]
            try:
                for result in self.service.Heartbeat(worker_id=self.worker_id, calls=calls).results if calls else ():
                    if result.state != 1:  # HELD; else LOST or END
                        self.lost.add(result.call_id)
            except grpc.RpcError as error:
                print(f"heartbeat: {error.code().name}", flush=True)

    def call(self, task):
        step = {"call_id": task.call_id, "fence": task.fence}
        self.held[task.call_id] = task.fence
        try:
            if self.service.BeginDial(**step, patience=20).lease_expires_at.seconds > time.time():  # else the answer has come too late
                disposition, outcome = self.dial(task, lambda stage: self.service.ReportProgress(**step, stage=stage),
                                                 lambda: task.call_id in self.lost)
                self.service.FinishTask(**step, disposition=disposition, outcome=outcome, patience=600)
        except grpc.RpcError as error:  # refused: the task is not ours, or may not be called now
            print(f"{task.call_id}: {error.code().name} {error.details()}", flush=True)
        finally:
            self.held.pop(task.call_id, None)

    def run(self):
        threading.Thread(target=self.keep_leases, daemon=True).start()
        with ThreadPoolExecutor(self.lines) as threads:
            while not self.stopping.is_set():
                free = self.lines - len(self.held)
                ask = {"worker_id": self.worker_id, "max": free, "wait_ms": 20000, "timeout": 30, "patience": 3600}
                for task in self.service.ClaimTasks(**ask).tasks if free > 0 else time.sleep(0.05) or ():
                    self.held[task.call_id] = task.fence
                    threads.submit(self.call, task)


def dial(task, progress, is_lost):
    """Answered three times in five. is_lost(): hang up. Dispositions and stages are the numbers of the .proto."""
    progress(1)  # ringing
    time.sleep(random.uniform(0.5, 2))
    if random.random() > 0.6 or is_lost():
        return 2, None  # no_answer
    progress(2)  # answered
    time.sleep(random.uniform(1, 5))
    return 1, "success"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A simulated voice agent in Python.")
    parser.add_argument("--dispatch", default="127.0.0.1:8002")
    parser.add_argument("--protoset", default="build/release/proto/dialplane.protoset")
    parser.add_argument("--token-file", help="the token of an agent, for a platform with --auth token")
    parser.add_argument("--lines", type=int, default=5)
    options = parser.parse_args()
    Agent(Service(options.dispatch, options.protoset, token_file=options.token_file), dial, options.lines).run()
