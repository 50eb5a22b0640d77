"""The run config: where it is found, what it may hold, and complaints that carry their address."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from llama_nb import errors
from llama_nb.config import EMBEDDED_MODEL, checkpoints_folder, found_checkpoints, load_config
from llama_nb.stack import Stack
from tests.stacks import config_of, entry, scripted_config

SCRIPTED = entry("scripted", answers=["hello"])
# tests/examples/local-run.yaml of Llama Stack, as far as inference goes.
SEEDS = """
version: '2'
built_at: '2024-10-08T17:40:45.325529'
image_name: local
docker_image: null
conda_env: local
apis:
- inference
providers:
  inference:
  - provider_id: meta0
    provider_type: meta-reference
    config:
      model: Llama3.1-8B-Instruct
      quantization: null
      torch_seed: null
      max_seq_len: 4096
      max_batch_size: 1
"""


def write(path: Path, *answers: str) -> Path:
    path.write_text(yaml.safe_dump(scripted_config(*answers)), "utf-8")
    return path


def answers(source: Any = None) -> list[str]:
    [first, *_] = load_config(source).providers["inference"]
    found: list[str] = first.config["answers"]
    return found


# --- Where it is looked for -------------------------------------------------------------------------------------------


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which in Jupyter is the notebook's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_argument_comes_first_then_the_environment_then_the_file_beside(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argument = write(beside / "given.yaml", "argument")
    write(beside / "llama_nb.yaml", "beside")
    named = write(beside / "named.yaml", "environment")
    assert answers() == ["beside"]
    monkeypatch.setenv("LLAMA_NB_CONFIG", str(named))
    assert answers() == ["environment"]
    assert answers(argument) == ["argument"]
    assert answers(str(argument)) == ["argument"]
    assert answers(scripted_config("dict")) == ["dict"]


def test_an_empty_variable_names_nothing(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_NB_CONFIG", "")
    write(beside / "llama_nb.yaml", "beside")
    assert answers() == ["beside"]


def test_without_a_config_there_are_the_embedded_model_and_the_checkpoints_of_this_machine(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_MODELS_CONFIG_DIR", str(beside / "llama"))
    folder = beside / "llama" / "checkpoints"
    for name, file in {
        "Llama3.2-1B": "params.json",
        "from-hf": "config.json",
        "empty": "readme.md",
        EMBEDDED_MODEL: "params.json",  # the name is taken
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / file).write_text("{}")
    (folder / "params.json").write_text("{}")
    found = load_config().providers["inference"]
    assert [each.provider_id for each in found] == [EMBEDDED_MODEL, "Llama3.2-1B", "from-hf"]
    assert found[1].config == {"checkpoint": str(folder / "Llama3.2-1B")}
    assert Stack.from_config().default_model == EMBEDDED_MODEL, "nothing large loads by surprise"


def test_a_machine_without_checkpoints_has_the_embedded_model(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_MODELS_CONFIG_DIR", str(beside / "nowhere"))
    assert found_checkpoints() == []
    assert [each.provider_id for each in load_config().providers["inference"]] == [EMBEDDED_MODEL]


def test_the_folder_of_checkpoints_is_llama_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLAMA_MODELS_CONFIG_DIR")
    assert checkpoints_folder() == Path.home() / ".llama" / "checkpoints"
    monkeypatch.setenv("LLAMA_MODELS_CONFIG_DIR", "~/elsewhere")
    assert checkpoints_folder() == Path.home() / "elsewhere" / "checkpoints"


def test_a_home_sign_in_the_path_is_understood(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(beside))
    write(beside / "run.yaml", "home")
    assert answers("~/run.yaml") == ["home"]


# --- What it may hold ---------------------------------------------------------------------------------------------------


def test_llama_stacks_own_keys_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(SEEDS)
    config = load_config(path)
    assert config.image_name == "local"
    assert config.providers["inference"][0].config["max_seq_len"] == 4096


@pytest.mark.parametrize("version", ["2", 2, "1", None, "absent"])
def test_any_version_is_accepted(version: Any) -> None:
    content = yaml.safe_load(SEEDS)
    content["version"] = version
    if version == "absent":
        del content["version"]
    assert load_config(content).providers["inference"]


def test_a_dict_that_was_given_is_left_alone() -> None:
    content = yaml.safe_load(SEEDS)
    before = copy.deepcopy(content)
    load_config(content)
    assert content == before


def test_a_provider_without_options_needs_no_config() -> None:
    content = {"providers": {"inference": [{"provider_id": "a", "provider_type": "faulty"}]}}
    assert Stack.from_config(content).models.identifiers() == ["faulty"]


# --- Complaints -----------------------------------------------------------------------------------------------------------


def complaint(source: Any) -> str:
    with pytest.raises(errors.ConfigError) as raised:
        Stack.from_config(source)
    assert isinstance(raised.value, ValueError), "as Llama Stack"
    return str(raised.value)


def in_file(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = complaint(path)
    assert str(path) in said, "it names the file"
    return said


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in complaint(tmp_path / "run.yaml")
    monkeypatch.setenv("LLAMA_NB_CONFIG", str(tmp_path / "named.yaml"))
    assert "named.yaml" in complaint(None), "a variable that names nothing is no reason to look elsewhere"
    assert "directory" in complaint(tmp_path)


@pytest.mark.parametrize(
    "text", ["providers: [", "a: b: c", "\t- x", "providers: !!python/object:os.system {}", b"\xff\xfe\x00", b"\x89PNG"]
)
def test_what_is_not_yaml(tmp_path: Path, text: str | bytes) -> None:
    assert "not YAML" in in_file(tmp_path, text)


@pytest.mark.parametrize("text", ["", "- a\n- b", "just words", "42"])
def test_what_is_not_a_mapping(tmp_path: Path, text: str) -> None:
    assert "mapping with the key `providers`" in in_file(tmp_path, text)


def test_a_config_that_is_no_config_at_all(tmp_path: Path) -> None:
    assert "providers: Field required" in complaint({})
    assert "providers: Input should be a valid dictionary" in complaint({"providers": None})
    assert "providers.inference" in complaint({"providers": {}})
    assert "providers.inference" in complaint({"providers": {"inference": []}})
    assert "providers.inference: Input should be a valid list" in complaint({"providers": {"inference": {}}})
    assert "providers.inference[0]: Input should be" in complaint({"providers": {"inference": ["meta-reference"]}})
    assert "providers" in in_file(tmp_path, "1: 2")


def test_an_unknown_key_and_the_nearest_known(tmp_path: Path) -> None:
    said = complaint({"provider": {}, **config_of(SCRIPTED)})
    assert ": provider: there is no such key. Did you mean `providers`?" in said
    said = complaint(config_of({**SCRIPTED, "confg": {}}))
    assert "providers.inference[0].confg: there is no such key. Did you mean `config`?" in said
    said = complaint(config_of(SCRIPTED, defaults={"modle": "x"}))
    assert "defaults.modle: there is no such key. Did you mean `model`?" in said


def test_a_misspelt_option_of_a_provider() -> None:
    said = complaint(config_of(SCRIPTED, entry("meta-reference", chekpoint="/x", model=EMBEDDED_MODEL)))
    assert "providers.inference[1].config.chekpoint: there is no such key. Did you mean `checkpoint`?" in said


def test_a_value_of_the_wrong_kind() -> None:
    said = complaint(config_of(entry("meta-reference", model=EMBEDDED_MODEL, max_seq_len="long", device="tpu")))
    assert "providers.inference[0].config.max_seq_len: " in said
    assert "(got 'long')" in said
    assert "providers.inference[0].config.device: " in said
    assert "'cuda'" in said
    assert said.count("\n") == 1, "one line for each"


def test_missing_keys_of_a_provider() -> None:
    said = complaint({"providers": {"inference": [{"provider_id": "a"}]}})
    assert "providers.inference[0].provider_type: Field required." in said
    said = complaint(config_of({**SCRIPTED, "provider_id": ""}))
    assert "providers.inference[0].provider_id: " in said


def test_two_providers_with_one_id() -> None:
    """R-8 goes wrong in the seed: the last wins, silently."""
    said = complaint(config_of(SCRIPTED, entry("faulty"), SCRIPTED))
    assert "providers.inference[2].provider_id: `scripted` is already the id of providers.inference[0]" in said


def test_an_unknown_provider_type() -> None:
    """R-1."""
    said = complaint(config_of(entry("meta-referense", model=EMBEDDED_MODEL)))
    assert (
        "providers.inference[0].provider_type: Provider `meta-referense` is not available for API `inference`" in said
    )
    assert "Did you mean `meta-reference`?" in said


def test_an_unknown_api() -> None:
    """R-4."""
    said = complaint({"providers": {"inferrence": [SCRIPTED]}})
    assert "providers.inferrence: there is no such API. Did you mean `inference`?" in said


def test_an_api_of_llama_stack_that_is_still_to_come() -> None:
    said = complaint({"providers": {"inference": [SCRIPTED], "safety": []}})
    assert "providers.safety: llama_nb does not serve this API yet" in said


@pytest.mark.parametrize("api", ["models", "shields", "memory_banks", "inspect"])
def test_a_builtin_api_takes_no_providers(api: str) -> None:
    """R-2, and R-3 that goes wrong in the seed."""
    said = complaint({"providers": {"inference": [SCRIPTED], api: [SCRIPTED]}})
    assert f"providers.{api}: it is provided by the stack itself" in said


def test_an_unknown_model_name() -> None:
    """R-10."""
    said = complaint(config_of(entry("meta-reference", model="Llama3.1-8B-Instrukt")))
    assert "providers.inference[0].config: Unknown model: `Llama3.1-8B-Instrukt`. Choose from [" in said
    assert "'Llama3.1-8B-Instruct'" in said


def test_neither_model_nor_checkpoint() -> None:
    said = complaint(config_of(entry("meta-reference")))
    assert "providers.inference[0].config: give `model` (a name) or `checkpoint` (a folder)" in said


def test_what_is_right_raises_nothing() -> None:
    """The negative control of all complaints."""
    assert (
        Stack.from_config(config_of(SCRIPTED, entry("faulty"), defaults={"model": "faulty"})).default_model == "faulty"
    )


def test_a_complaint_has_no_pydantic_in_it() -> None:
    for content in ({}, config_of({**SCRIPTED, "x": 1}), config_of(entry("scripted", answers=[]))):
        assert "pydantic" not in complaint(content)
        assert "validation error" not in complaint(content)
