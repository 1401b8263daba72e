"""Which models of the catalogue a record's free text may mean, best first."""

from __future__ import annotations

import re

from orchestrator.catalog.models import known_models

_REMARK = re.compile(r"\s*\((.*)$")
_UNNAMED_FORM = re.compile(r"quantized|[48]-bit|\bint[48]\b|awq|gptq|not given", re.IGNORECASE)
_TWO_MODELS = re.compile(r"\s(beside|and)\s", re.IGNORECASE)
_SAME_MODEL = (("meta-llama-3.1", "llama-3.1"), ("meta-llama-3.2", "llama-3.2"))
_INSTRUCT = ("-instruct", "-it", "-chat")


def model_candidates(written: str) -> tuple[str, ...]:
    """Hub ids to look for: what was written, then models of the catalogue with that name, whoever published them, then
    the name itself with dashes for spaces, which may say that it is a known model in another form.

    None where two models are named, or a form that is in no name: its bytes are anybody's guess.
    """
    name = _REMARK.sub("", written).strip()
    remark = _REMARK.search(written)
    if not name or _TWO_MODELS.search(written) or (remark is not None and _has_unnamed_form(remark[1])):
        return ()
    wanted = _key(name)
    found = [known for known in known_models() if _key(known) == wanted]
    tuned = [known for known in known_models() if any(_key(known) == wanted + end for end in _INSTRUCT)]
    as_written = (name,) if " " not in name and name.count("/") == 1 else ()
    return tuple(dict.fromkeys((*as_written, *found, *tuned, "-".join(name.split()))))


def _has_unnamed_form(remark: str) -> bool:
    return _UNNAMED_FORM.search(remark) is not None


def _key(name: str) -> str:
    """The name without its publisher, in small letters, with dashes for spaces."""
    key = re.sub(r"[\s_]+", "-", name.rpartition("/")[2].lower())
    for long, short in _SAME_MODEL:
        key = key.replace(long, short)
    return key
