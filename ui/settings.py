"""Settings of the web service, and its port: what can be wrong before anything is loaded."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.errors import ExpectedError
from index.paths import REPOSITORY, home

OFF = "off"
SQLITE = "sqlite:///"


class ServiceSettings(BaseSettings):
    """Where the page is served, and where ratings go."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field(
        "127.0.0.1", validation_alias=AliasChoices("HOST", "GRADIO_SERVER_NAME"), min_length=1
    )
    port: int = Field(7860, validation_alias="PORT", ge=1, le=65535)
    # A file, a URL (which may hold a password: never shown), or "off".
    feedback: str = Field("", validation_alias="MEDCARDS_FEEDBACK", repr=False)
    report: Path = Field(  # what `python -m eval report` wrote
        REPOSITORY / "docs" / "report" / "index.html", validation_alias="MEDCARDS_REPORT"
    )
    login: SecretStr = Field(SecretStr(""), validation_alias="MEDCARDS_LOGIN")  # see ui/login.py
    # Requests a minute of one client's address that ask or change something; 0 for no limit. A
    # question in the chat is about three of them.
    rate: int = Field(240, validation_alias="MEDCARDS_RATE", ge=0, le=1_000_000)
    queue: int = Field(32, validation_alias="MEDCARDS_QUEUE", ge=1, le=10_000)

    @property
    def feedback_url(self) -> str | None:
        """The database for ratings; None when they are switched off."""
        if self.feedback.lower() == OFF:
            return None
        if "://" in self.feedback:
            return self.feedback
        path = Path(self.feedback).expanduser() if self.feedback else home() / "feedback.sqlite"
        return f"{SQLITE}{path}"


def load_service_settings() -> ServiceSettings:
    """The settings of this process.

    Raises:
        ExpectedError: a variable has a value that is not allowed.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        first = error.errors()[0]
        raise ExpectedError(
            f"{first['loc'][0]}={first['input']!r}: {first['msg']}; correct it"
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is known before anything is loaded.

    Raises:
        ExpectedError: the port is taken, or the host is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Only a socket that names TCP gets TCP_NODELAY from asyncio: without it each answer over a
        # kept connection waits some 40 ms for the other side's delayed acknowledgement.
        server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
    except OSError as error:
        raise ExpectedError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another port "
            "with PORT, or stop what is using it"
        ) from error
    return server
