"""A model's name says how it is to be written to."""

from __future__ import annotations

import pytest
from llama_models.sku_list import all_registered_models
from llama_models.sku_types import Model, ModelFamily

from llama_nb.apis.messages import ToolPromptFormat
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.prompt_format.family import Family, family_of, tool_format_of

JSON, TAG, PYTHON = ToolPromptFormat.json, ToolPromptFormat.function_tag, ToolPromptFormat.python_list
KNOWN = [
    model
    for model in all_registered_models()
    if model.model_family not in (ModelFamily.llama2, ModelFamily.llama4) and "Guard-2" not in model.descriptor()
]


def expected(model: Model) -> Family:
    if model.model_family is ModelFamily.safety:
        return Family.llama_guard_3
    if model.model_family is ModelFamily.llama3_2 and "Vision" in model.descriptor():
        return Family.llama3_2_vision
    return Family[model.model_family.name]


@pytest.mark.parametrize("model", KNOWN, ids=lambda model: model.descriptor())
def test_every_model_of_the_published_list_is_of_the_family_that_the_list_says(model: Model) -> None:
    folder = "/home/me/.llama/checkpoints/" + model.descriptor().replace(":", "-")
    for name in (model.descriptor(), model.huggingface_repo or "", folder, folder + "/", model.descriptor().lower()):
        assert family_of(name) is expected(model), name


def test_the_list_has_models_of_every_family() -> None:
    assert {expected(model) for model in KNOWN} == set(Family)


@pytest.mark.parametrize(
    ("name", "family"),
    {
        "Meta-Llama-3.1-8B": Family.llama3_1,
        "Meta-Llama-3-8B-Instruct": Family.llama3,
        "meta-llama/Llama-3.2-1B-Instruct": Family.llama3_2,
        "unsloth/Llama-3.3-70B-Instruct-GGUF": Family.llama3_3,
        "llama3.2:3b-instruct-q4_K_M": Family.llama3_2,
        "llama3.2-vision:11b": Family.llama3_2_vision,
        "llama3:8b": Family.llama3,
        "llama3": Family.llama3,
        "Llama-3-1B": Family.llama3,
        "llama-3-1-8b-instruct": Family.llama3_1,
        "nvidia/Llama-3_1-Nemotron-51B-Instruct": Family.llama3_1,
        "llama_3_3_70b": Family.llama3_3,
        "llama-guard3:1b": Family.llama_guard_3,
        r"C:\models\Llama3.2-3B-Instruct": Family.llama3_2,
        "/models/llama3.2/my-own": Family.llama3_1,  # the folder's own name counts
        "DeepSeek-R1-Distill-Llama-8B": Family.llama3_1,
        "llama-nb-guide": Family.llama3_1,
        "Llama-4-Scout-17B-16E": Family.llama3_1,
        "llama-3.9-future": Family.llama3_1,
        "": Family.llama3_1,
    }.items(),
)
def test_names_as_people_write_them(name: str, family: Family) -> None:
    assert family_of(name) is family


@pytest.mark.parametrize(
    ("family", "formats"),
    {
        Family.llama3: (),
        Family.llama3_1: (JSON, TAG),
        Family.llama3_2: (PYTHON,),
        Family.llama3_2_vision: (JSON, TAG),
        Family.llama3_3: (PYTHON, JSON, TAG),
        Family.llama_guard_3: (),
    }.items(),
)
def test_each_family_knows_its_formats_and_refuses_the_others(
    family: Family, formats: tuple[ToolPromptFormat, ...]
) -> None:
    assert family.tool_formats == formats
    assert family.default_tool_format is (formats[0] if formats else None)
    if not formats:
        with pytest.raises(NotSupported, match=rf"{family.title} has no prompt for tools.*Llama 3\.1, Llama 3\.2, "):
            tool_format_of(family)
        return
    assert tool_format_of(family) is formats[0]
    for tool_format in ToolPromptFormat:
        if tool_format in formats:
            assert tool_format_of(family, tool_format) is tool_format
            assert tool_format_of(family, tool_format.value) is tool_format
        else:
            with pytest.raises(BadRequest, match=rf"does not know.*`{tool_format.value}`.*`{formats[0].value}`"):
                tool_format_of(family, tool_format)


def test_a_format_that_nobody_knows_is_named_with_the_known_ones() -> None:
    with pytest.raises(BadRequest, match=r"`jsn` is unknown\. Did you mean `json`"):
        tool_format_of(Family.llama3_1, "jsn")
