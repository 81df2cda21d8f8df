#!/usr/bin/env python3
"""generate.py PROTO OUT: from the .proto files to OUT/dialplane: messages and stubs by protoc and gRPC's Python plugin, and services.py, one typed
method an RPC, with the comments of the .proto. Nothing in it is written by hand, so that a new RPC is there with the next build."""
import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

GOOGLE = ["google/api/annotations.proto", "google/api/http.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"]
TYPES = {1: "float", 2: "float", 8: "bool", 9: "str", 12: "bytes", 14: "int | str"}  # the others are whole numbers


def compiler():
    """protoc with gRPC's Python plugin: Debian's, or that of the PyPI package grpcio-tools. (Debian's python3-grpc-tools is older than proto3 optional.)"""
    plugin = shutil.which("grpc_python_plugin")
    if plugin and shutil.which("protoc"):
        return ["protoc", f"--plugin=protoc-gen-grpc_python={plugin}"], ["/usr/include"]
    if importlib.util.find_spec("grpc_tools"):
        from importlib.resources import files
        return [sys.executable, "-m", "grpc_tools.protoc"], [str(files("grpc_tools") / "_proto")]
    sys.exit("generate.py: needs protoc and grpc_python_plugin (Debian: protobuf-compiler, protobuf-compiler-grpc) or the package grpcio-tools")


def google_protos():
    """Where google/api and google/rpc are: Debian's golang-github-gogo-googleapis-dev, or the PyPI package googleapis-common-protos."""
    for folder in ["/usr/share/gocode/src/github.com/gogo/googleapis", *sys.path]:
        if Path(folder, GOOGLE[0]).exists():
            return folder
    sys.exit("generate.py: needs google/api/annotations.proto (Debian: golang-github-gogo-googleapis-dev, PyPI: googleapis-common-protos)")


def protoc(proto, out):
    command, includes = compiler()
    include = [f"-I{folder}" for folder in (proto, google_protos(), *includes)]
    ours = sorted(str(path.relative_to(proto)) for path in Path(proto).rglob("dialplane/**/*.proto"))
    google = out / "dialplane" / "google_protos"  # used only where googleapis-common-protos is not installed
    google.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, *include, f"--python_out={out}", f"--grpc_python_out={out}", *ours], check=True)
    subprocess.run([*command, *include, f"--python_out={google}", *GOOGLE], check=True)
    for folder in (out / "dialplane" / "v1", google):
        (folder / "__init__.py").touch()
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([*command, *include, "--include_imports", "--include_source_info", f"--descriptor_set_out={file.name}", *ours], check=True)
        return Path(file.name).read_bytes()


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Writer:
    def __init__(self, raw):
        from dialplane import options_pb2
        from google.api import annotations_pb2
        from google.protobuf import descriptor_pb2
        self.options, self.http = options_pb2, annotations_pb2.http
        self.files = [file for file in descriptor_pb2.FileDescriptorSet.FromString(raw).file if file.name.startswith("dialplane/v1/")]
        self.messages = {f".{file.package}.{message.name}": message for file in self.files for message in file.message_type}
        self.modules = {f".{file.package}.{message.name}": module(file) for file in self.files for message in file.message_type}
        self.lines = ['"""Generated from the .proto files: do not edit."""', "from __future__ import annotations", "",
                      "from collections.abc import Iterable, Iterator, Mapping", "from datetime import datetime", "from typing import IO, Any", "",
                      "from google.protobuf import empty_pb2", "", "from dialplane.call import Options, Service, Stream",
                      *(f"from dialplane.v1 import {module(file)}, {module(file)}_grpc" for file in self.files)]

    def rules(self, field):
        return field.options.Extensions[self.options.rules]

    def is_required(self, field):
        """A list that may not be empty, and a number whose 0 is out of its range, must be there as well."""
        rules = self.rules(field)
        no_zero = field.label != 3 and not field.proto3_optional and rules.minimum > 0 and not rules.default_json
        return rules.required or no_zero or (field.label == 3 and rules.min_items > 0)

    def type_of(self, field):
        if field.type == 11:
            name = field.type_name
            if name == ".google.protobuf.Timestamp":
                kind = "datetime | str"
            elif name in self.messages:
                kind = f"{self.modules[name]}.{self.messages[name].name} | Mapping[str, Any]"
            else:
                kind = "Iterable[str]" if name.endswith("FieldMask") else "Mapping[str, Any]"
        else:
            kind = TYPES.get(field.type, "int")
        return f"Iterable[{kind}]" if field.label == 3 else kind

    def answer(self, method):
        name = method.output_type
        return f"{self.modules[name]}.{self.messages[name].name}" if name in self.messages else "empty_pb2.Empty"

    def write(self):
        names = []
        for file in self.files:
            comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
            for s, service in enumerate(file.service):
                names.append((snake(service.name.removesuffix("Service")), service.name,
                              service.options.Extensions[self.options.service].backend))
                self.service(file, service, comments.get((6, s), ""), [comments.get((6, s, 2, m), "") for m in range(len(service.method))])
        self.lines += ["", "", "SERVICES = ("] + [f'    ("{attribute}", {name}, "{backend}"),' for attribute, name, backend in names] + [")"]
        self.lines += ["", "", "class Services:", '    """One attribute a service."""', ""]
        self.lines += [f"    {attribute}: {name}" for attribute, name, _ in names]
        return "\n".join(self.lines) + "\n"

    def service(self, file, service, comment, comments):
        self.lines += ["", "", f"class {service.name}(Service):", *document(comment, 4), "", f'    full_name = "{file.package}.{service.name}"',
                       f"    stub_class = {module(file)}_grpc.{service.name}Stub", "    methods = {"]
        for method in service.method:
            self.lines.append(f"        {method.name!r}: Options({module(file)}.{self.messages[method.input_type].name}, {self.options_of(method)}),")
        self.lines.append("    }")
        for method, text in zip(service.method, comments):
            self.method(method, text)

    def options_of(self, method):
        verb = method.options.Extensions[self.http].WhichOneof("pattern")
        rules = method.options.Extensions[self.options.method]
        repeatable = verb in ("get", "put") or method.options.idempotency_level > 0  # NO_SIDE_EFFECTS, IDEMPOTENT
        repeatable = repeatable and not method.client_streaming and not method.server_streaming
        return f"repeatable={repeatable}, timeout={rules.timeout_ms / 1000 if rules.timeout_ms else None}, cursor={rules.stream_cursor or None!r}"

    def fields(self, method):
        """The request's fields as parameters: the required ones first."""
        fields = list(self.messages[method.input_type].field)
        required = [field for field in fields if self.is_required(field)]
        rest = [field for field in fields if not self.is_required(field)]
        parameters = [f"{named(field)}: {self.type_of(field)}" for field in required] + ["*"]
        parameters += [f"{named(field)}: {self.type_of(field)} | None = None" for field in rest] + ["timeout: float | None = None"]
        values = ", ".join(f"{field.name!r}: {named(field)}" for field in fields)
        return parameters, f"{{{values}}}"

    def method(self, method, text):
        rules = method.options.Extensions[self.options.method]
        request = self.messages[method.input_type]
        parameters, values = self.fields(method)
        name, answer = snake(method.name), self.answer(method)
        if method.client_streaming and rules.multipart_part:
            rest = [field for field in request.field if field.name != "chunk"]
            parameters = [f"{rest[0].name}: {self.type_of(rest[0])}", "file: bytes | str | IO[bytes]", "*"]
            parameters += [f"{field.name}: {self.type_of(field)} | None = None" for field in rest[1:]] + ["timeout: float | None = None"]
            values = "{" + ", ".join(f"{field.name!r}: {field.name}" for field in rest) + "}"
            text += "\nfile: its bytes, its path, or an open binary file; it is sent in pieces."
            body = f"self._upload({method.name!r}, {values}, file, timeout)"
        elif method.client_streaming:
            parameters = [f"requests: Iterable[{self.modules[method.input_type]}.{request.name} | Mapping[str, Any]]", "*", "timeout: float | None = None"]
            body = f"self._send({method.name!r}, requests, timeout)"
        elif method.server_streaming:
            answer = f"Stream[{answer}]"
            body = f"self._watch({method.name!r}, {values}, timeout)"
        else:
            body = f"self._call({method.name!r}, {values}, timeout)"
        self.function(name, parameters, answer, text, body)
        paged = {field.name for field in self.messages[method.output_type].field} if method.output_type in self.messages else set()
        if {"items", "next_page_token"} <= paged and name.startswith("list_"):
            item = next(field for field in self.messages[method.output_type].field if field.name == "items").type_name
            parameters = [p for p in parameters if not p.startswith(("page_token", "skip", "page:"))]
            values = re.sub(r", }$", "}", re.sub(r"'(page_token|skip|page)': \w+(, )?", "", values))
            self.function(f"iterate_{name[5:]}", parameters, f"Iterator[{self.modules[item]}.{self.messages[item].name}]",
                          text.split("\n")[0] + "\nAll of them, page after page as they are needed; timeout is each page's.",
                          f"self._pages({method.name!r}, {values}, timeout)")

    def function(self, name, parameters, answer, text, body):
        self.lines += [""] + wrapped(f"    def {name}(", f") -> {answer}:", ["self", *parameters]) + document(text, 8) + [f"        return {body}"]


def named(field):
    """A parameter's name: a word of Python's own gets an underscore."""
    return field.name + "_" * keyword.iskeyword(field.name)


def wrapped(before, after, parts):
    """before + parts, with commas between them, + after, in lines of at most 150 characters."""
    lines, line = [], before
    for part, comma in zip(parts, [", "] * (len(parts) - 1) + [after]):
        if len(line) + len(part) + len(comma) > 150:
            lines.append(line.rstrip())
            line = " " * len(before)
        line += part + comma
    return lines + [line]


def module(file):
    return Path(file.name).stem + "_pb2"


def document(text, indent):
    lines = [line.strip().replace('"""', "'''").replace("\\", "\\\\") for line in text.strip().splitlines()] or ["Not described in the .proto."]
    if lines[-1].endswith('"'):
        lines[-1] += " "
    pad = " " * indent
    if len(lines) == 1:
        return [f'{pad}"""{lines[0]}"""']
    return [f'{pad}"""{lines[0]}', "", *(f"{pad}{line}" for line in lines[1:]), f'{pad}"""']


def main():
    proto, out = sys.argv[1], Path(sys.argv[2]).resolve()
    raw = protoc(proto, out)
    # the package without its __init__.py, which needs what is only being made
    package = types.ModuleType("dialplane")
    package.__path__ = [str(out / "dialplane")]
    sys.modules["dialplane"] = package
    import google
    google.__path__.append(str(out / "dialplane" / "google_protos" / "google"))
    (out / "dialplane" / "services.py").write_text(Writer(raw).write())


if __name__ == "__main__":
    main()
