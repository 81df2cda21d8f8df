"""Dialplane from Python: typed methods over gRPC with deadlines, retries where they are safe, pages, streams that resume, and a voice agent's loop.

    import dialplane

    with dialplane.Client.at(port=8000) as client:
        company = client.company.create_company({"name": "Glamour", "slug": "glamour"})
        for campaign in client.campaign.iterate_campaigns(company_id=company.id):
            print(campaign.name, campaign.pending_tasks)
"""
try:
    from google.api import annotations_pb2 as _annotations  # noqa: F401  of googleapis-common-protos, where it is installed
    from google.rpc import error_details_pb2 as _details  # noqa: F401
except ImportError:
    import google
    import google.protobuf  # makes the namespace
    from pathlib import Path as _Path
    google.__path__.append(str(_Path(__file__).parent / "google_protos" / "google"))

from dialplane.agent import Agent, Call, Result
from dialplane.call import Stream
from dialplane.client import Client
from dialplane.errors import (Aborted, AlreadyExists, Cancelled, DeadlineExceeded, DialplaneError, FailedPrecondition, InvalidArgument, NotFound,
                              PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Violation)
from dialplane.values import to_dict, word

__all__ = ["Aborted", "Agent", "AlreadyExists", "Call", "Cancelled", "Client", "DeadlineExceeded", "DialplaneError", "FailedPrecondition",
           "InvalidArgument", "NotFound", "PermissionDenied", "ResourceExhausted", "Result", "Stream", "Unauthenticated", "Unavailable", "Violation",
           "to_dict", "word"]
