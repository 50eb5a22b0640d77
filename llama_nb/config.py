"""The run config: YAML or a dict → validated. Each complaint carries its address in the config.

It is Llama Stack's file; of it only `providers` is needed here. Knows names and types of its own keys; which provider
types there are, and what their `config` takes, is the business of those who build them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llama_nb.errors import ConfigError, did_you_mean

FILE_NAME = "llama_nb.yaml"
EMBEDDED_MODEL = "llama-nb-guide"


class ProviderEntry(BaseModel):
    """A configured provider: an id of the user's choice, a type, and what that type takes."""

    model_config = ConfigDict(extra="forbid")

    provider_id: str = Field(min_length=1)
    provider_type: str = Field(min_length=1)
    config: dict[str, Any] = Field(default_factory=dict)


class Defaults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str | None = None


class RunConfig(BaseModel):
    """The whole config: for each API its providers. The other keys are Llama Stack's, accepted and not needed."""

    model_config = ConfigDict(extra="forbid")

    providers: dict[str, list[ProviderEntry]]
    defaults: Defaults = Field(default_factory=Defaults)
    version: Any = None
    built_at: Any = None
    image_name: Any = None
    docker_image: Any = None
    conda_env: Any = None
    apis: list[str] | None = None


def load_config(source: str | Path | Mapping[str, Any] | None = None) -> RunConfig:
    """The run config of `source`: a file, a dict, or, for None, what is found.

    Looked for, in this order: the file that `LLAMA_NB_CONFIG` names, `llama_nb.yaml` in the working folder (which in
    Jupyter is the notebook's), and else a config of the embedded model and the checkpoints on this machine.

    Raises:
        ConfigError: with one line for each complaint, each with its address.
    """
    if isinstance(source, Mapping):
        return parse_config(source, "the config")
    path = Path(source) if source is not None else _config_file()
    if path is None:
        return discovered_config()
    return parse_config(_read_yaml(path), str(path))


def _config_file() -> Path | None:
    named = os.environ.get("LLAMA_NB_CONFIG")
    if named:
        return Path(named)
    beside = Path(FILE_NAME)
    return beside if beside.is_file() else None


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.expanduser().read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The run config {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def parse_config(content: Any, origin: str) -> RunConfig:
    """Validates a config that was read from `origin`, which complaints name."""
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{origin} holds {type(content).__name__}; a run config is a mapping with the key `providers`."
        )
    try:
        config = RunConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(validation_complaints(error, origin, RunConfig)) from error
    _refuse_double_ids(config, origin)
    return config


def _refuse_double_ids(config: RunConfig, origin: str) -> None:
    for api, entries in config.providers.items():
        seen: dict[str, int] = {}
        for index, entry in enumerate(entries):
            first = seen.setdefault(entry.provider_id, index)
            if first != index:
                raise ConfigError(
                    f"{origin}: providers.{api}[{index}].provider_id: `{entry.provider_id}` is already the id of "
                    f"providers.{api}[{first}]. Each provider of an API needs an id of its own."
                )


def validation_complaints(error: ValidationError, origin: str, model: type[BaseModel], at: str = "") -> str:
    """One line for each complaint of pydantic: origin, address, what is wrong, and the nearest known key.

    Args:
        at: the address of what was validated, when it is a part of a larger config.
    """
    return "\n".join(_complaint(dict(detail), origin, model, at) for detail in error.errors())


def _complaint(detail: dict[str, Any], origin: str, model: type[BaseModel], at: str) -> str:
    location: tuple[str | int, ...] = detail["loc"]
    address = at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    address = address.removeprefix(".") or "providers"
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(location, model)
        return f"{origin}: {address}: there is no such key. {did_you_mean(str(location[-1]), known)}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    got = "" if detail["type"] in ("missing", "value_error") else f" (got {detail['input']!r})"
    return f"{origin}: {address}: {message}{got}."


def _keys_beside(location: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    if location[0] == "providers" and len(location) > 1:
        return list(ProviderEntry.model_fields)
    if location[0] == "defaults" and len(location) > 1:
        return list(Defaults.model_fields)
    return list(model.model_fields)


def discovered_config() -> RunConfig:
    """A config of what this machine has: the embedded model, then the checkpoints in llama-models' own folder."""
    entries = [_checkpoint_entry(EMBEDDED_MODEL, {"model": EMBEDDED_MODEL})]
    entries += [_checkpoint_entry(folder.name, {"checkpoint": str(folder)}) for folder in found_checkpoints()]
    return RunConfig(providers={"inference": entries})


def _checkpoint_entry(name: str, config: dict[str, Any]) -> ProviderEntry:
    return ProviderEntry(provider_id=name, provider_type="meta-reference", config=config)


def checkpoints_folder() -> Path:
    """Where llama-models keeps what it downloads; `LLAMA_MODELS_CONFIG_DIR` is honoured."""
    return Path(os.environ.get("LLAMA_MODELS_CONFIG_DIR") or "~/.llama").expanduser() / "checkpoints"


def found_checkpoints() -> list[Path]:
    """The folders there that hold a checkpoint, by name."""
    try:
        folders = sorted(checkpoints_folder().iterdir())
    except OSError:
        return []
    return [folder for folder in folders if is_checkpoint(folder) and folder.name != EMBEDDED_MODEL]


def is_checkpoint(folder: Path) -> bool:
    return (folder / "params.json").is_file() or (folder / "config.json").is_file()


def embedded_checkpoint() -> Path:
    """The folder of the checkpoint that ships in the package."""
    return Path(__file__).parent / "demo" / EMBEDDED_MODEL
