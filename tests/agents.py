"""A voice agent's side in tests, by clients that we did not write: calls over grpcio, events of a call, and the figures that must come out of them,
computed here on their own with Python's decimal and fractions."""

import importlib
import json
import math
import random
import subprocess
import sys
import uuid
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import grpc

STATUSES = ["active", "completed", "failed", "transferred"]
LATENCIES = ["ttfb_stt", "latency_llm", "ttfb_tts", "eou_latency"]
START = datetime(2026, 3, 2, 10, 0, tzinfo=timezone.utc)


# --- gRPC -------------------------------------------------------------------------------------------------------------

class Rpc:
    """One service over grpcio: rpc.ClaimTasks({...}) with the request as JSON-like values or a message; the answer is a message."""

    def __init__(self, stubs, address, service):
        assert stubs is not None  # the generated messages are on sys.path
        self.module = importlib.import_module(f"dialplane.v1.{ {'AnalyticsService': 'analytics', 'DispatchService': 'dispatch', 'CampaignService': 'campaign'}[service]}_pb2")
        self.service = self.module.DESCRIPTOR.services_by_name[service]
        self.channel = grpc.insecure_channel(address)

    def message(self, name, values):
        """A request from contract JSON: enum words and decimal seconds as REST takes them."""
        from google.protobuf import json_format
        message = getattr(self.module, name)
        return json_format.ParseDict(proto3_json(message.DESCRIPTOR, values), message())

    def __getattr__(self, name):
        method = self.service.methods_by_name[name]
        kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
        request, response = (getattr(self.module, m.name, None) for m in (method.input_type, method.output_type))
        from google.protobuf import message_factory
        if response is None:
            response = message_factory.MessageFactory().GetPrototype(method.output_type)
        call = getattr(self.channel, kind)(f"/{self.service.full_name}/{name}", request_serializer=request.SerializeToString,
                                           response_deserializer=response.FromString)

        def invoke(argument=None, timeout=60, **options):
            if kind.startswith("unary") and not isinstance(argument, request):
                argument = self.message(request.__name__, argument or {})
            return call(argument, timeout=timeout, **options)
        return invoke

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def proto3_json(descriptor, values):
    from dialplane import options_pb2
    out = {}
    for key, value in values.items():
        field = descriptor.fields_by_name[key]
        places = field.GetOptions().Extensions[options_pb2.rules].decimal_places
        if field.message_type and field.message_type.file.package == "dialplane.v1":
            value = [proto3_json(field.message_type, v) for v in value] if isinstance(value, list) else proto3_json(field.message_type, value)
        elif field.enum_type and value.islower():
            value = next(v.name for v in field.enum_type.values if v.name.endswith(f"_{value.upper()}"))
        elif places:
            value = int(Decimal(str(value)).scaleb(places))
        out[key] = value
    return out


def details(error):
    """(reason of ErrorInfo or None, {field: description} of BadRequest) of a grpc.RpcError."""
    from google.rpc import error_details_pb2, status_pb2
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    reason, violations = None, {}
    if packed:
        status = status_pb2.Status.FromString(packed)
        assert status.code == error.code().value[0] and status.message == error.details()
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
                reason = info.reason
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                violations = {v.field: v.description for v in bad.field_violations}
    return reason, violations


def psql(platform, statement):
    """A statement on the private PostgreSQL, for what no API can do: make time pass."""
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-d", f"host={platform.data}/run user=dialplane dbname=dialplane", "-c", statement],
                          check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


# --- events -----------------------------------------------------------------------------------------------------------

def at(seconds, start=START):
    """RFC 3339, so many seconds after the call's start."""
    return (start + timedelta(seconds=seconds)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def started(company, seconds=0, start=START, **values):
    return {"seq": 1, "occurred_at": at(seconds, start), "started": {"company_id": company["id"], **values}}


def turn(seq, index, seconds, start=START, **values):
    return {"seq": seq, "occurred_at": at(seconds, start), "turn": {"turn_index": index, "role": "assistant", "content": f"turn {index}", **values}}


def status(seq, seconds, start=START, **values):
    return {"seq": seq, "occurred_at": at(seconds, start), "status": {"status": "active", **values}}


def finished(seq, seconds, start=START, **values):
    return {"seq": seq, "occurred_at": at(seconds, start), "finished": {"status": "completed", **values}}


def random_call(rng, company, start=START, turns=None, **values):
    """A believable call: its events, all of them."""
    events, seconds = [started(company, 0, start, **values)], 0.0
    for index in range(rng.randrange(0, 14) if turns is None else turns):
        seconds += rng.randrange(1, 9000) / 1000
        said = {"role": rng.choice(["user", "assistant"]), "content": rng.choice(["Да?", "Hello 👋", "", "x" * 300, 'a "b"\n\\'])}
        for name in LATENCIES:
            if rng.random() < 0.7:
                said[name] = rng.choice([0, rng.randrange(1, 3000), round(rng.uniform(0, 2000), rng.randrange(0, 6))])
        if rng.random() < 0.8:
            said |= {"stt_duration_sec": rng.randrange(0, 20000) / 1000, "llm_input_tokens": rng.randrange(0, 9000),
                     "llm_output_tokens": rng.randrange(0, 900), "tts_characters": rng.randrange(0, 700)}
        if rng.random() < 0.3:
            said["interrupted"] = True
        if rng.random() < 0.2:
            said["state_id"] = rng.choice(["greeting", "confirm"])
        events.append(turn(len(events) + 1, index, seconds, start, **said))
    seconds += rng.randrange(0, 100000) / 1000
    end = {"status": rng.choice(["completed", "completed", "failed", "transferred"])}
    if rng.random() < 0.8:
        end["outcome"] = rng.choice(["success", "fail", "voicemail", "no_answer", "busy", "callback_later"])
    if rng.random() < 0.5:
        end |= {"outcome_confidence": rng.random(), "outcome_reason": "said so", "sentiment_score": rng.uniform(-1, 1)}
    if rng.random() < 0.5:
        end["livekit_duration_sec"] = rng.randrange(0, 400000) / 1000
    events.append(finished(len(events) + 1, seconds, start, **end))
    return events


def report(api, call, events, status=200):
    path = f"/api/analytics/calls/{call}/events"
    return api.ok("POST", path, json={"events": events}) if status == 200 else api.problem("POST", path, status, json={"events": events})


def new_id():
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


# --- figures ----------------------------------------------------------------------------------------------------------

def seconds_between(first, last):
    """Whole milliseconds between two times, as seconds; none is negative."""
    parse = lambda text: datetime.fromisoformat(text.replace("Z", "+00:00"))
    microseconds = (parse(last) - parse(first)) // timedelta(microseconds=1)
    return max(0, microseconds // 1000) / 1000


def money(amount):
    return float(amount.quantize(Decimal("0.000001"), ROUND_HALF_UP))


def costs(stt_sec, tokens_in, tokens_out, characters, livekit_sec):
    """The contract's default prices, exactly; each component rounded once, half up."""
    exact = lambda value: Decimal(str(value))
    # A minute is no finite decimal fraction of a price: multiply first. (28 digits are more than enough for exactness here: sixtieths only matter
    # beyond the sixth decimal, and a tie cannot come from rounding, which the fractions check.)
    def rounded(numerator, denominator):
        fraction = Fraction(numerator) / denominator * 1000000
        return Decimal(math.floor(fraction + Fraction(1, 2))) / 1000000
    parts = {"cost_stt": rounded(exact(stt_sec) * Decimal("0.0043"), 60),
             "cost_llm": rounded(tokens_in * Decimal("0.05") + tokens_out * Decimal("0.08"), 1000000),
             "cost_tts": rounded(characters * Decimal("0.015"), 1000), "cost_livekit": rounded(exact(livekit_sec) * Decimal("0.004"), 60)}
    parts["cost_total"] = sum(parts.values())
    return parts


def nearest_rank(values, percent):
    ordered = sorted(values)
    return ordered[math.ceil(Fraction(percent * len(ordered), 100)) - 1]


def figures(turns, finished_event, duration):
    """The metrics that a call with these turns (as dicts in contract JSON) must have: everything but call_id and created_at."""
    expected = {}
    for name in LATENCIES:
        values = [t[name] for t in turns if t.get(name) is not None]
        for prefix, compute in (("avg", lambda v: sum(v) / len(v)), ("min", min), ("max", max), ("p50", lambda v: nearest_rank(v, 50)),
                                ("p95", lambda v: nearest_rank(v, 95)), ("p99", lambda v: nearest_rank(v, 99))):
            expected[f"{prefix}_{name}"] = compute(values) if values else None
    total = lambda key: sum(Decimal(str(t.get(key) or 0)) for t in turns)
    livekit = finished_event.get("livekit_duration_sec")
    livekit = duration if livekit is None else livekit
    expected |= {"stt_duration_sec": float(total("stt_duration_sec")), "llm_input_tokens": int(total("llm_input_tokens")),
                 "llm_output_tokens": int(total("llm_output_tokens")), "tts_characters": int(total("tts_characters")), "livekit_duration_sec": livekit}
    expected |= {k: float(v) for k, v in costs(total("stt_duration_sec"), expected["llm_input_tokens"], expected["llm_output_tokens"],
                                               expected["tts_characters"], livekit).items()}
    interruptions = sum(bool(t.get("interrupted")) for t in turns)
    expected |= {"turn_count": len(turns), "interruption_count": interruptions, "interruption_rate": interruptions / len(turns) if turns else 0}
    for key in ("outcome", "outcome_confidence", "outcome_reason", "sentiment_score"):
        expected[key] = finished_event.get(key)
    return expected


def same_figures(got, expected):
    """Equal, but for the last digits of means (sums of doubles in another order)."""
    for key, value in expected.items():
        if isinstance(value, float) and isinstance(got[key], (int, float)):
            assert math.isclose(got[key], value, rel_tol=1e-12, abs_tol=1e-12), f"{key}: {got[key]} is not {value}"
        else:
            assert got[key] == value, f"{key}: {got[key]} is not {value}"


def same_aggregates(got, expected):
    """The same, but for percentiles over calls, which come from a histogram: at most 2 % off."""
    percentiles = ("p50_eou_latency", "p95_eou_latency", "p99_eou_latency")
    same_figures(got, {key: value for key, value in expected.items() if key not in percentiles})
    for key in percentiles:
        value = expected[key]
        assert got[key] is None if value is None else math.isclose(got[key], value, rel_tol=0.02), f"{key}: {got[key]} is not {value}"


def aggregate(calls, total_cost_places=6):
    """What GET /metrics must say of these calls: dicts with status, outcome, duration, turns, metrics (None while active), started."""
    ended = [c for c in calls if c["status"] != "active"]
    measured = [c["metrics"] for c in calls if c["metrics"]]
    mean = lambda values: sum(values) / len(values) if values else None
    eou = [m["avg_eou_latency"] for m in measured if m["avg_eou_latency"] is not None]
    money_sum = lambda key: sum(Decimal(str(m[key])) for m in measured) if measured else None
    total = money_sum("cost_total")
    outcomes = {}
    for c in ended:
        outcomes[c["outcome"] or "unknown"] = outcomes.get(c["outcome"] or "unknown", 0) + 1
    average = None if total is None else Decimal(math.floor(Fraction(total) / len(calls) * 10**total_cost_places + Fraction(1, 2))) / 10**total_cost_places
    return {"total_calls": len(calls), "completed_calls": sum(c["status"] == "completed" for c in calls),
            "failed_calls": sum(c["status"] == "failed" for c in calls), "avg_duration_sec": mean([c["duration"] for c in ended]),
            "avg_turn_count": mean([c["turns"] for c in ended]), "avg_eou_latency": mean(eou),
            "avg_interruption_rate": mean([m["interruption_rate"] for m in measured]),
            "total_cost": None if total is None else float(total), "avg_cost_per_call": None if average is None else float(average),
            "outcome_distribution": outcomes, **{f"p{p}_eou_latency": nearest_rank(eou, p) if eou else None for p in (50, 95, 99)},
            **{k: None if not measured else float(money_sum(k)) for k in ("cost_stt", "cost_llm", "cost_tts", "cost_livekit")}}


def json_of(message):
    """A protobuf message as our REST side would show it (roughly: names and numbers), for comparing streams."""
    from google.protobuf import json_format
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True, including_default_value_fields=True))
