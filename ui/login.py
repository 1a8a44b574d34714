"""Who may use the page, where MEDCARDS_LOGIN says so."""

from __future__ import annotations

from pathlib import Path

from index.errors import ExpectedError


def accounts(login: str) -> list[tuple[str, str]] | None:
    """Names and passwords; None where anybody may come in.

    Args:
        login: `name:password`, or a file with one such line for each user.

    Raises:
        ExpectedError: it is neither; nothing of it is quoted.
    """
    if not login:
        return None
    path = Path(login)
    try:
        text = path.read_text(encoding="utf-8") if "/" in login and path.is_file() else login
    except (OSError, UnicodeDecodeError) as error:
        raise ExpectedError(
            f"cannot read the file of MEDCARDS_LOGIN ({type(error).__name__}): expected lines of "
            "name:password"
        ) from error
    pairs = [line.strip().partition(":") for line in text.splitlines() if line.strip()]
    if not pairs or not all(name and password for name, _, password in pairs):
        raise ExpectedError(
            "MEDCARDS_LOGIN is neither name:password nor a file with such lines: correct it, or "
            "leave it out so that anybody may come in"
        )
    return [(name, password) for name, _, password in pairs]
