"""The client: one connection a process of the platform, one attribute a service."""
from __future__ import annotations

import json

import grpc

from dialplane.services import SERVICES, Services

# gRPC itself repeats what may be repeated: at most 5 times, with a growing random pause, within the call's deadline.
_RETRIES = {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}


def _service_config():
    names = [{"service": service.full_name, "method": name} for _, service, _ in SERVICES
             for name, options in service.methods.items() if options.repeatable]
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": _RETRIES}]})


class Client(Services):
    """The platform's services: client.company, client.skillbase, client.campaign, client.suppression, client.dispatch, client.analytics …

    skillbase, campaign, analytics: the addresses of the three processes (HOST:PORT, unix:PATH, or any gRPC name).
    timeout: seconds that a call may take where neither its caller nor the method says otherwise.
    patience: seconds for which a stream tries to resume.
    credentials: None connects without TLS. Thread-safe; close it, or use it in a `with`.
    """

    def __init__(self, skillbase: str = "127.0.0.1:8001", campaign: str = "127.0.0.1:8002", analytics: str = "127.0.0.1:8003", *,
                 timeout: float = 10.0, patience: float = 60.0, credentials: grpc.ChannelCredentials | None = None):
        options = [("grpc.service_config", _service_config()), ("grpc.keepalive_time_ms", 30000), ("grpc.keepalive_timeout_ms", 10000)]
        addresses = {"skillbase": skillbase, "campaign": campaign, "analytics": analytics}
        self._channels = {backend: grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
                          for backend, address in addresses.items()}
        for attribute, service, backend in SERVICES:
            setattr(self, attribute, service(self._channels[backend], timeout, patience))

    @classmethod
    def at(cls, host: str = "127.0.0.1", port: int = 8000, **options) -> "Client":
        """Of a platform that `./dev up` started: the services take the three ports after the gateway's."""
        return cls(f"{host}:{port + 1}", f"{host}:{port + 2}", f"{host}:{port + 3}", **options)

    def close(self):
        for channel in self._channels.values():
            channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
