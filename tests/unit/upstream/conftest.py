"""Fixtures: one gateway for all tests that need nothing special, in front of one fake service."""
import os

import pytest

from fakes import FakeService, Gateway, Protos


@pytest.fixture(scope="session")
def protos():
    return Protos(os.environ["PROTOSET"])


@pytest.fixture(scope="session")
def shared_service(protos):
    service = FakeService(protos)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def shared_gateway(shared_service):
    gateway = Gateway(shared_service, "--cors-origins", "https://app.example.com")
    yield gateway
    gateway.stop()


@pytest.fixture
def service(shared_service):
    shared_service.behaviours.clear()
    shared_service.calls.clear()
    return shared_service


@pytest.fixture
def gateway(shared_gateway, service):
    return shared_gateway
