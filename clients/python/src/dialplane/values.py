"""Plain Python values into protobuf messages: dicts and lists, datetimes, words of enums ("running"), free-form objects; and back, for printing."""
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Mapping

from google.protobuf import json_format
from google.protobuf.message import Message


def fill(message: Message, values: Mapping[str, Any]) -> Message:
    """Sets the fields of a message; None leaves a field unset, an unknown name is a TypeError."""
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise TypeError(f"{message.DESCRIPTOR.name} has no field {name!r}; it has {', '.join(message.DESCRIPTOR.fields_by_name)}")
        if value is not None:
            _set(message, field, value)
    return message


def _set(message, field, value):
    target = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        target.update(value)
    elif field.label == field.LABEL_REPEATED:
        for item in value:
            if field.message_type:
                _put(target.add(), item)
            else:
                target.append(_scalar(field, item))
    elif field.message_type:
        target.SetInParent()
        _put(target, value)
    else:
        setattr(message, field.name, _scalar(field, value))


def _put(target, value):
    kind = target.DESCRIPTOR.full_name
    if isinstance(value, type(target)):
        target.CopyFrom(value)
    elif kind == "google.protobuf.Timestamp":
        if isinstance(value, datetime):
            target.FromDatetime(value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value)
        else:
            target.FromJsonString(value)
    elif kind == "google.protobuf.FieldMask":
        target.paths.extend(value)
    elif kind == "google.protobuf.Struct":
        json_format.ParseDict(dict(value), target)
    elif isinstance(value, str) and "id" in target.DESCRIPTOR.fields_by_name:
        fill(target, {"id": value})  # a state of a flow as its bare id
    else:
        fill(target, value)


def _scalar(field, value):
    if field.enum_type and isinstance(value, str):
        for known in field.enum_type.values:
            if value == known.name or value == word(field.enum_type, known.number):
                return known.number
        words = ", ".join(word(field.enum_type, known.number) for known in field.enum_type.values if known.number)
        raise ValueError(f"{field.name}: {value!r} is none of {words}")
    return value


def word(enum_type, number: int) -> str:
    """The word of an enum's number as REST shows it: word(TaskStatus.DESCRIPTOR, 5) is "failed"."""
    prefix = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(enum_type.name)).upper() + "_"
    known = enum_type.values_by_number.get(number)
    return known.name.removeprefix(prefix).lower() if known else str(number)


def to_dict(message: Message) -> dict[str, Any]:
    """A message as plain values, with the names of the .proto."""
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
