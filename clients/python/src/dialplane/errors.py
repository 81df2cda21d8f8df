"""What goes wrong, as exceptions: one class a canonical code, each with the reason, the fields and the wait that the service named."""
from __future__ import annotations

from typing import NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2


class Violation(NamedTuple):
    """One thing that is wrong with a request."""
    field: str  # its path, "campaign.daily_start_time"
    message: str


class DialplaneError(Exception):
    """The base of all. str() is one sentence for people."""

    def __init__(self, code: grpc.StatusCode, message: str, reason: str | None = None, violations: tuple[Violation, ...] = (),
                 retry_after: float | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason  # the service's word for programs, such as "STALE_FENCE"
        self.violations = violations  # everything that is wrong with the request
        self.retry_after = retry_after  # seconds

    def __str__(self):
        more = "".join(f"\n  {violation.field}: {violation.message}" for violation in self.violations)
        return f"{self.code.name}{f' ({self.reason})' if self.reason else ''}: {self.message}{more}"


class InvalidArgument(DialplaneError):
    """The request is wrong: see violations."""


class NotFound(DialplaneError):
    """There is no such thing."""


class AlreadyExists(DialplaneError):
    """A name is taken."""


class FailedPrecondition(DialplaneError):
    """The state does not allow it: see reason."""


class Aborted(DialplaneError):
    """Somebody else was faster: read again, and decide."""


class PermissionDenied(DialplaneError):
    """Not allowed."""


class Unauthenticated(DialplaneError):
    """Nobody knows who asks."""


class ResourceExhausted(DialplaneError):
    """Too much, or too often: see retry_after."""


class Unavailable(DialplaneError):
    """The service, or what it needs, is away."""


class DeadlineExceeded(DialplaneError):
    """No answer in time. It may have been done all the same."""


class Cancelled(DialplaneError):
    """Ended by this side."""


_CLASSES = {grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument, grpc.StatusCode.OUT_OF_RANGE: InvalidArgument, grpc.StatusCode.NOT_FOUND: NotFound,
            grpc.StatusCode.ALREADY_EXISTS: AlreadyExists, grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition, grpc.StatusCode.ABORTED: Aborted,
            grpc.StatusCode.PERMISSION_DENIED: PermissionDenied, grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
            grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted, grpc.StatusCode.UNAVAILABLE: Unavailable,
            grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded, grpc.StatusCode.CANCELLED: Cancelled}


def from_rpc_error(error: grpc.RpcError) -> DialplaneError:
    """The exception for what grpcio raised, with the details of grpc-status-details-bin."""
    reason, violations, retry_after = None, (), None
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    for detail in status_pb2.Status.FromString(packed).details if packed else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason or None
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest.FromString(detail.value)
            violations = tuple(Violation(each.field, each.description) for each in bad.field_violations)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after = delay.seconds + delay.nanos / 1e9
    made = _CLASSES.get(error.code(), DialplaneError)(error.code(), error.details() or error.code().name, reason, violations, retry_after)
    made.__cause__ = error
    return made
