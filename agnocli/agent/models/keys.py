"""A model with a key of its own, in the place of the environment's."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agnocli.agent.models.providers import OPENAI, ModelSpec, Secret, find_provider, parse_model


def model_with_key(
    name: str, base_url: str | None, api_key: str | None, environ: Mapping[str, str]
) -> ModelSpec:
    """As `parse_model`, but asked with this key, if one is given."""
    if not api_key:
        return parse_model(name, base_url=base_url, environ=environ)
    provider = find_provider(name.partition(":")[0])
    variables = dict.fromkeys((provider or OPENAI).key_env, api_key)
    spec = parse_model(name, base_url=base_url, environ={**environ, **variables})
    return msgspec.structs.replace(spec, key=Secret(api_key.strip()))
