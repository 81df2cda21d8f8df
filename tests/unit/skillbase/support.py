"""A client that we did not write, for the tests of dialplane-skillbase over gRPC: messages are made from the descriptors."""
import json
import os
import pathlib
import re
import subprocess
import sys

import grpc
import pytest
from google.protobuf import json_format

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from messages import Failure, by_name, message_class, micros, plain, pool  # noqa: E402, F401

SERVER = os.environ["SKILLBASE_SERVER"]
DATABASE = os.environ["DIALPLANE_TEST_DATABASE_URL"]
SAMPLE = pathlib.Path(__file__).parents[2] / "samples" / "skillbase_salon.json"
SQL = pathlib.Path(__file__).parents[3] / "services" / "skillbase" / "sql"


def from_words(value, descriptor):
    """Our JSON writes enum words and bare states; python's json_format knows only full names and objects."""
    if descriptor.full_name == "dialplane.v1.FlowState" and isinstance(value, str):
        return {"id": value}
    if not isinstance(value, dict) or descriptor.full_name.startswith("google.protobuf."):
        return value
    out = {}
    for key, item in value.items():
        field = descriptor.fields_by_name[key]
        if field.enum_type and isinstance(item, str):
            prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", field.enum_type.name).upper()
            item = f"{prefix}_{item.upper()}"
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            if isinstance(item, list):
                item = [from_words(one, field.message_type) for one in item]
            else:
                item = from_words(item, field.message_type)
        out[key] = item
    return out


def fill(cls, fields):
    return json_format.ParseDict(from_words(fields, cls.DESCRIPTOR), cls(), descriptor_pool=pool)


class Client:
    """client.GetCompany(id=…) → message, or raises Failure."""

    def __init__(self, target):
        self.channel = grpc.insecure_channel(target, options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 5 << 20)])

    def __getattr__(self, name):
        service = "dialplane.v1." + ("CompanyService" if "Compan" in name else "SkillbaseService")
        method = pool.FindServiceByName(service).methods_by_name[name]
        request_class, reply_class = message_class(method.input_type), message_class(method.output_type)
        call = self.channel.unary_unary(f"/{service}/{name}", request_class.SerializeToString, reply_class.FromString)

        def invoke(request=None, if_match=None, **fields):
            metadata = [("if-match", str(if_match))] if if_match is not None else None
            try:
                return call(request or fill(request_class, fields), timeout=20, metadata=metadata)
            except grpc.RpcError as error:
                raise Failure(error) from None

        return invoke


def refused(code, call, **arguments):
    with pytest.raises(Failure) as caught:
        call(**arguments)
    assert caught.value.code == code, caught.value
    return caught.value


def sql(text):
    return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", DATABASE, "-c", text], check=True,
                          capture_output=True, text=True, timeout=60).stdout.strip()


def sample():
    return json.loads(SAMPLE.read_text())


def small(**changes):
    config = {
        "context": {"role": "r", "style": "s"},
        "flow": {"type": "linear", "states": ["a"]},
        "voice": {"tts_provider": "openai", "tts_voice_id": "v", "stt_provider": "openai"},
        "llm": {"provider": "groq", "model": "m"},
    }
    config.update(changes)
    return config


def make(client, company, slug="one", **fields):
    return client.CreateSkillbase(skillbase={"company_id": company.id, "name": "Name", "slug": slug, "config": small(), **fields})


NOBODY = "01890000-0000-7000-8000-000000000000"
