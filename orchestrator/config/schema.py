"""JSON Schema (draft 2020-12) of service and deployment files, for editors and other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.config.table import DeploymentSection, Section, ServiceSection
from orchestrator.domain.release import Release
from orchestrator.engine.automatic import AUTO, AUTOMATIC
from orchestrator.engine.canonical import ROPE_FLAGS
from orchestrator.engine.flag_rules import RANGES, RESERVED, RESERVED_FAMILIES, Range
from orchestrator.engine.flags import Flag, Kind, flags

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_HUMAN = {"type": "string", "pattern": "^[0-9]+(?:\\.[0-9]+)?[kKmMgGtT]$"}
_OBJECT: Schema = {"type": "object"}
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}

_KINDS: Mapping[Kind, tuple[Schema, ...]] = {
    Kind.SWITCH: ({"type": "boolean"},),
    Kind.BOOLEAN: ({"type": "boolean"},),
    Kind.INTEGER: (_WHOLE,),
    Kind.HUMAN_INTEGER: (_WHOLE, _HUMAN),
    Kind.HUMAN_INTEGER_OR_AUTO: (_WHOLE, _HUMAN, {"const": "auto"}),
    Kind.NUMBER: ({"type": "number"},),
    Kind.STRING: (_TEXT,),
    Kind.JSON: (_OBJECT, _TEXT),
    Kind.JSON_LIST: ({"type": "array"}, _TEXT),
    Kind.JSON_OR_STRING: (_OBJECT, _TEXT),
    Kind.JSON_OR_INTEGER: (_OBJECT, _WHOLE, _TEXT),
    Kind.PAIRS: (_OBJECT, _TEXT),
    Kind.JSON_OR_PAIRS: (_OBJECT, _TEXT),
}


def service_schema(release: Release) -> Schema:
    """The schema of a service file whose deployment pins that release."""
    schema = _schema_of(ServiceSection, f"orchestrate: a service (vLLM {release})")
    _replace_vllm(schema["properties"], release, removes_defaults=True)
    return schema


def deployment_schema(release: Release) -> Schema:
    """The schema of a deployment file that pins that release."""
    schema = _schema_of(DeploymentSection, f"orchestrate: a deployment (vLLM {release})")
    _replace_vllm(schema["$defs"]["DefaultsSection"]["properties"], release, removes_defaults=False)
    return schema


def schema_text(schema: Schema) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _schema_of(section: type[Section], title: str) -> Schema:
    body = section.model_json_schema(by_alias=True)
    _strip_titles(body)
    return {"$schema": _DRAFT, "title": title, **body}


def _strip_titles(schema: Any) -> None:
    """Pydantic titles every key with its own name in capitals; that says nothing."""
    if isinstance(schema, list):
        for part in schema:
            _strip_titles(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for part in schema.values():
            _strip_titles(part)


def _replace_vllm(properties: Schema, release: Release, *, removes_defaults: bool) -> None:
    kept = {key: properties["vllm"][key] for key in ("description", "examples")}
    properties["vllm"] = {**kept, **vllm_schema(release, removes_defaults=removes_defaults)}


def vllm_schema(release: Release, *, removes_defaults: bool) -> Schema:
    """The schema of a `vllm:` section: the release's flags under every name that the loader knows them by."""
    known = {name: flag for name, flag in {**flags(release), **ROPE_FLAGS}.items() if not _is_reserved(name)}
    properties: Schema = {}
    for name, flag in sorted(known.items()):
        properties[name] = _flag_schema(flag, removes_defaults=removes_defaults)
        for other in flag.aliases:
            if not other.startswith("-"):
                properties.setdefault(other, {**properties[name], "description": f"another name of `{name}`"})
        for negation in flag.negations:
            kinds = ["boolean", "null"] if removes_defaults else "boolean"
            properties.setdefault(negation, {"type": kinds, "description": f"the opposite of `{name}`"})
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "patternProperties": _other_spellings(known, properties),
    }


def _is_reserved(name: str) -> bool:
    return name in RESERVED or any(name.startswith(family) for family in RESERVED_FAMILIES)


def _other_spellings(known: Mapping[str, Flag], properties: Schema) -> Schema:
    """Underscores for dashes, and dotted keys into flags that take JSON, as in vLLM's own `--config` files."""
    dashed = sorted(name for name in properties if "-" in name)
    json_flags = sorted(name for name, flag in known.items() if flag.kind.is_json)
    underscored = "|".join(re.sub("-", "[-_]", name) for name in dashed)
    dotted = "|".join(re.sub("-", "[-_]", name) for name in json_flags)
    return {f"^(?:{underscored})$": {}, f"^(?:{dotted})\\..+$": {}}


def _flag_schema(flag: Flag, *, removes_defaults: bool) -> Schema:
    options = list(_choices(flag) if flag.choices else _KINDS[flag.kind])
    options += [{"const": AUTO}] if flag.name in AUTOMATIC else []
    if flag.name in RANGES:
        options = [_in_range(option, RANGES[flag.name]) for option in options]
    if flag.many or flag.repeated:
        options.append({"type": "array", "minItems": 1, "items": _any_of(options)})
    if removes_defaults:
        options.append({"type": "null"})
    schema = _any_of(options)
    if flag.default is not None:
        schema = {**schema, "default": flag.default}
    return {**schema, "deprecated": True} if flag.deprecated else schema


def _choices(flag: Flag) -> tuple[Schema, ...]:
    """The choices; where vLLM compares loosely, any text may be one of them in another spelling."""
    choices: Schema = {"enum": list(flag.choices)}
    return (choices, _TEXT) if flag.loose else (choices,)


def _in_range(option: Schema, allowed: Range) -> Schema:
    if option.get("type") not in ("integer", "number"):
        return option
    bounds = {
        "minimum": allowed.least,
        "exclusiveMinimum": allowed.above,
        "maximum": allowed.most,
        "exclusiveMaximum": allowed.below,
        "multipleOf": allowed.multiple_of if allowed.multiple_of > 1 else None,
    }
    limited = {**option, **{name: bound for name, bound in bounds.items() if bound is not None}}
    return limited if allowed.also is None else {"anyOf": [limited, {"const": allowed.also}]}


def _any_of(options: list[Schema]) -> Schema:
    if len(options) == 1:
        return dict(options[0])
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    return {"anyOf": options}
