"""Publish a run's adapter, with the model card that its run has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from index.errors import ExpectedError
from training.folder import read_run

# What is published; checkpoints, logs of trackers and exports stay at home.
FILES = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "training.yaml",
    "run.json",
    "README.md",
    "log.jsonl",
    "loss.png",
    "chat_template.jinja",
    "tokenizer*",
    "special_tokens_map.json",
)


def push(run: Path, repository: str, private: bool, api: Any = None) -> str:
    """Upload a finished run to a hub; returns its address.

    Args:
        api: a `huggingface_hub.HfApi`; by default one with the token of this machine.

    Raises:
        ExpectedError: the run is not finished, or the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    config, _ = read_run(run)
    api = api or HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=run,
            allow_patterns=list(FILES),
            commit_message=f"Upload the adapter of the run {config.name}",
        )
    except HFValidationError as error:
        raise ExpectedError(
            f"{repository!r} is no hub id: expected owner/name, such as me/medcards-adapter"
        ) from error
    except (HfHubHTTPError, LocalTokenNotFoundError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExpectedError(
            f"the hub did not take {repository!r} ({reason[:200]}): check the network, and log in "
            "with 'hf auth login' to an account that may write there"
        ) from error
    return str(getattr(done, "repo_url", None) or f"{api.endpoint}/{repository}")
