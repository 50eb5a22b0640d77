"""Tiny models that talk, and a live generator for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_nb.engine.client import Engine
from tests.engine import live


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose answers are plain letters, and end."""
    return live.write_talker(tmp_path_factory.mktemp("talker"))


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose answers end only with the context."""
    return live.write_talker(tmp_path_factory.mktemp("endless"), ends=False)


@pytest.fixture(scope="module")
def engine(talker: Path) -> Iterator[Engine]:
    engine = live.engine_of(talker)
    yield engine
    engine.close()
