"""A client of dialplane-campaign that we did not write: grpcio, with messages made from the descriptors; and the service under test."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from messages import PROTOSET, Failure, by_name, message_class, micros, plain, pool  # noqa: E402, F401

SERVER = os.environ["CAMPAIGN_SERVER"]
DATABASE = os.environ["DIALPLANE_TEST_DATABASE_URL"]


def enum_words(value, descriptor):
    """"running" → "CAMPAIGN_STATUS_RUNNING" wherever the field is an enum."""
    if not isinstance(value, dict) or descriptor.full_name.startswith("google.protobuf."):
        return value
    out = {}
    for key, item in value.items():
        field = descriptor.fields_by_name[key]
        if field.enum_type:
            prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", field.enum_type.name).upper()
            full = lambda word: f"{prefix}_{word.upper()}" if isinstance(word, str) and word.islower() else word
            item = [full(word) for word in item] if isinstance(item, list) else full(item)
        elif field.message_type and field.message_type.GetOptions().map_entry:
            pass
        elif field.message_type and isinstance(item, list):
            item = [enum_words(one, field.message_type) for one in item]
        elif field.message_type:
            item = enum_words(item, field.message_type)
        out[key] = item
    return out


def fill(cls, fields):
    return json_format.ParseDict(enum_words(fields, cls.DESCRIPTOR), cls(), descriptor_pool=pool)


DISPATCH = {"ClaimTasks", "BeginDial", "ReportProgress", "Heartbeat", "FinishTask"}


class Client:
    """client.GetCampaign(id=…) → message, or raises Failure."""

    def __init__(self, target):
        self.target = target
        self.channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])

    def __getattr__(self, name):
        service = "dialplane.v1." + ("DispatchService" if name in DISPATCH else "SuppressionService" if "Suppression" in name else "CampaignService")
        method = pool.FindServiceByName(service).methods_by_name[name]
        request_class, reply_class = message_class(method.input_type), message_class(method.output_type)
        call = self.channel.unary_unary(f"/{service}/{name}", request_class.SerializeToString, reply_class.FromString)

        def invoke(if_match=None, timeout=20, **fields):
            metadata = [("if-match", str(if_match))] if if_match is not None else None
            try:
                return call(fill(request_class, fields), timeout=timeout, metadata=metadata)
            except grpc.RpcError as error:
                raise Failure(error) from None

        return invoke

    def suppress_file(self, company_id, data, timeout=60):
        cls = by_name("dialplane.v1.UploadSuppressionsRequest")
        call = self.channel.stream_unary("/dialplane.v1.SuppressionService/UploadSuppressions", cls.SerializeToString,
                                         by_name("dialplane.v1.UploadSuppressionsResponse").FromString)
        try:
            return call(iter([cls(company_id=company_id, chunk=data[:50]), cls(chunk=data[50:])]), timeout=timeout)
        except grpc.RpcError as error:
            raise Failure(error) from None

    def upload(self, campaign_id, data, piece=65536, file_name="list.csv", timeout=60):
        cls = by_name("dialplane.v1.UploadCallListRequest")
        call = self.channel.stream_unary("/dialplane.v1.CampaignService/UploadCallList", cls.SerializeToString,
                                         by_name("dialplane.v1.UploadCallListResponse").FromString)

        def messages():
            pieces = data if not isinstance(data, bytes) else [data[i : i + piece] for i in range(0, len(data), piece)] or [b""]
            first = True
            for chunk in pieces:
                yield cls(campaign_id=campaign_id, file_name=file_name, chunk=chunk) if first else cls(chunk=chunk)
                first = False

        try:
            return call(messages(), timeout=timeout)
        except grpc.RpcError as error:
            raise Failure(error) from None


def refused(code, reason, call, *arguments, **fields):
    with pytest.raises(Failure) as caught:
        call(*arguments, **fields)
    assert (caught.value.code, caught.value.reason) == (code, reason), caught.value
    return caught.value


def word(message, field):
    """The enum field's word: "running"."""
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return enum.values_by_number[getattr(message, field)].name[len(prefix) :].lower()


def sql(text):
    return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", DATABASE], input=text, check=True,
                          capture_output=True, text=True, timeout=60).stdout.strip()


@contextlib.contextmanager
def running(*flags):
    """The service with a log in a file; stops it in order and checks that it ends well."""
    target = f"unix:/tmp/dialplane-campaign-test.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    with tempfile.NamedTemporaryFile(prefix="campaign-log.") as log:
        process = subprocess.Popen([SERVER, "--listen", target, "--metrics-listen", "off", "--database-url", DATABASE, *flags], stderr=log)
        try:
            with grpc.insecure_channel(target) as channel:
                grpc.channel_ready_future(channel).result(timeout=60)
            yield Client(target)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            text = open(log.name, encoding="utf-8").read()
            assert "ERROR: AddressSanitizer" not in text and "runtime error" not in text, text
            # No personal data.
            assert "+1201555" not in text and "Kowalski" not in text, text
        finally:
            process.kill()
            process.wait()


class Tenant:
    """A company with a skillbase, straight in the database: another service's tables."""

    def __init__(self, is_active=True):
        self.id, self.skillbase = str(uuid.uuid4()), str(uuid.uuid4())
        sql(f"insert into companies (id, name, slug, is_active) values ('{self.id}', '{self.id}', '{self.id}', {is_active});"
            f"insert into skillbases (id, company_id, name, slug, config) values ('{self.skillbase}', '{self.id}', 'S', 's', '{{}}')")

    def campaign(self, client, **fields):
        """Open the whole day and fast, unless told."""
        values = {"company_id": self.id, "skillbase_id": self.skillbase, "name": "C", "daily_start_time": "00:00",
                  "daily_end_time": "00:00", "max_concurrent_calls": 1000, "calls_per_minute": 60000, **fields}
        return client.CreateCampaign(campaign=values)

    def started(self, client, contacts=3, **fields):
        """A running campaign with so many contacts."""
        made = self.campaign(client, **fields)
        client.upload(made.id, numbers(contacts))
        return client.StartCampaign(id=made.id)


def numbers(count, first=0):
    return b"phone_number,name,city\n" + b"".join(b"+1201555%04d,Ann %d,Paris\n" % (i, i) for i in range(first, first + count))
