"""What `import agnocli` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agnocli


@pytest.mark.parametrize("name", agnocli.__all__)
def test_a_public_name_can_be_had(name: str) -> None:
    assert getattr(agnocli, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nobody"):
        agnocli.Nobody  # noqa: B018


def test_importing_the_package_loads_none_of_it() -> None:
    program = "import agnocli, sys; print([m for m in sys.modules if m.startswith('agnocli.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
