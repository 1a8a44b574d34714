"""Settings of the web service, and its port: what can be wrong before anything is loaded."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.errors import ExpectedError
from index.paths import home

OFF = "off"


class ServiceSettings(BaseSettings):
    """Where the page is served, and where ratings go."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", validation_alias="HOST", min_length=1)
    port: int = Field(7860, validation_alias="PORT", ge=1, le=65535)
    feedback: str = Field("", validation_alias="MEDCARDS_FEEDBACK")  # a file, or "off"
    queue: int = Field(32, validation_alias="MEDCARDS_QUEUE", ge=1, le=10_000)

    @property
    def feedback_path(self) -> Path | None:
        """The file for ratings; None when they are switched off."""
        if self.feedback.lower() == OFF:
            return None
        return Path(self.feedback).expanduser() if self.feedback else home() / "feedback.sqlite"


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
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
    except OSError as error:
        raise ExpectedError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another port "
            "with PORT, or stop what is using it"
        ) from error
    return server
