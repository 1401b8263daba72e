"""A service or deployment file written anew for another release: what changes, and where a person must decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.config.edits import Change, Delete, Insert, Replace, changed_text
from orchestrator.config.flag_edits import changes_for
from orchestrator.config.flags_section import EffectiveFlags, FlagsSection, flags_section, merge_flags
from orchestrator.config.release_key import KEY
from orchestrator.config.tree_values import as_flag_value, is_broken, places_of
from orchestrator.config.yaml_nodes import Document, ScalarNode
from orchestrator.config.yaml_tree import parse
from orchestrator.config.yaml_writing import one_line
from orchestrator.domain.diagnostics import Diagnostic, Span
from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, named, with_part
from orchestrator.engine.flags import plain_name
from orchestrator.engine.images import default_image
from orchestrator.engine.migration import Answer, Undecided, replaced, replacement_for
from orchestrator.engine.rewrites import Parts, Replacement
from orchestrator.engine.rope_migration import rope_replacement
from orchestrator.engine.variable_migration import MovedFlag, moved_flags, moved_variables

_DEFAULTS: KeyPath = ("defaults", "vllm")
_OWN: KeyPath = ("vllm",)
_TAG = re.compile(r"(?P<front>.*:v?)(?P<release>\d+\.\d+\.\d+(?:\.post\d+)?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change, for people: where, what stood there, what stands there now (empty: nothing), and why."""

    span: Span
    before: str
    after: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The releases between which a profile moves; `image` takes the place of one that does not say its release."""

    source: Release
    target: Release
    image: str | None = None


@dataclass(slots=True)
class MigratedFile:
    """A file on its way: `text` with the changes made so far, `replacements` those of its flags."""

    document: Document
    text: str
    steps: list[Step] = field(default_factory=list)
    undecided: list[Diagnostic] = field(default_factory=list)
    replacements: dict[str, Replacement] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> MigratedFile:
        return cls(document=document, text=document.text)

    def span(self, path: KeyPath) -> Span:
        """Where a key stands in the file as it was."""
        if self.document.root is None:
            return Span(file=self.document.file)
        return places_of(self.document.root, self.document.file).key(path)

    def section(self, path: KeyPath) -> FlagsSection:
        """A section of flags as the changes so far have left it."""
        document = parse(self.text, self.document.file)
        if document.root is None:
            return FlagsSection(path=path)
        return flags_section(document, path, places_of(document.root, document.file))

    def make(self, changes: tuple[Change, ...] | None, step: Step, key: str) -> bool:
        """Make changes that belong together; False with a finding where the way the file is written forbids it."""
        text = changed_text(self.text, changes) if changes is not None else None
        if text is None:
            self.undecided.append(_not_editable(step, key, is_clash=changes is None))
            return False
        self.text = text
        self.steps.append(step)
        return True

    def leave(self, path: KeyPath, key: str, move: Move, answer: Undecided) -> None:
        """Leave something to a person."""
        self.undecided.append(_undecided(self.span(path), key, move, answer))


def migrate_deployment(document: Document, move: Move) -> MigratedFile:
    """The deployment file in the words of the new release."""
    file = MigratedFile.of(document)
    _migrate_section(file, file.section(_DEFAULTS), None, move)
    _migrate_image(file, move)
    _migrate_release(file, move)
    return file


def migrate_service(document: Document, defaults: FlagsSection, move: Move) -> MigratedFile:
    """The service file in the words of the new release; `defaults` are the deployment's, as they were."""
    file = MigratedFile.of(document)
    own = file.section(_OWN)
    _migrate_section(file, own, defaults, move)
    _migrate_variables(file, move)
    return file


def _migrate_section(file: MigratedFile, own: FlagsSection, defaults: FlagsSection | None, move: Move) -> None:
    beside = merge_flags(own, defaults, move.source).values if defaults else own.values
    answers: dict[str, Answer] = {}
    rope = rope_replacement(own.values, move.source, move.target)
    for key, value in own.values.items():
        if value is None:
            answers[key] = _of_null(key, defaults, move)
        else:
            answers[key] = replacement_for(key, {**beside, key: value}, move.target, source=move.source)
    if rope is not None:
        answers[rope.key if isinstance(rope, Replacement) else _rope_key(own, move)] = rope
    flags = {each.key: each for each in moved_flags(own.values, move.target)} if defaults is not None else {}
    for key, answer in answers.items():
        if key in flags:
            _to_variable(file, flags[key])
        elif isinstance(answer, Undecided):
            file.leave((*own.path, key), key, move, answer)
        elif answer is not None:
            _make(file, own, answer, move)


def _rope_key(own: FlagsSection, move: Move) -> str:
    meanings = ((key, named(key, move.source)) for key in own.values)
    return next(key for key, meaning in meanings if meaning and meaning.flag.name == "hf-overrides")


def _of_null(key: str, defaults: FlagsSection | None, move: Move) -> Answer:
    """`null` removes what the deployment says: under the names that this has from now on."""
    meaning = named(key, move.source)
    if meaning is None or defaults is None:
        return None
    for other, value in defaults.values.items():
        said = named(other, move.source)
        if said is None or said.flag.name != meaning.flag.name or value is None:
            continue
        answer = replacement_for(other, defaults.values, move.target, source=move.source)
        if not isinstance(answer, Replacement):
            return None
        if all(len(path) == 1 for path, _ in answer.parts):
            return replace(answer, key=key, parts=tuple((path, None) for path, _ in answer.parts))
        return Undecided(why="it removes a part of what is one mapping now", how=("write the whole mapping here",))
    return None


def _make(file: MigratedFile, own: FlagsSection, replacement: Replacement, move: Move) -> None:
    key = replacement.key
    changes = changes_for(replacement, file.section(own.path).values, own.path, move.target)
    parts = tuple(((key, *path[1:]) if path[0] == plain_name(key) else path, part) for path, part in replacement.parts)
    before, after = f"{key}: {one_line(own.values[key])}", ", ".join(_shown(parts))
    step = Step(span=file.span((*own.path, key)), before=before, after=after, why=replacement.why)
    if file.make(changes, step, key):
        file.replacements[key] = replacement


def _shown(parts: Parts) -> Iterator[str]:
    for (name, *keys), value in parts:
        whole = with_part(None, tuple(keys), value) if keys else value
        yield f"{name}: {one_line(whole)}"


def _to_variable(file: MigratedFile, moved: MovedFlag) -> None:
    place: KeyPath = ("environment", moved.variable)
    environment = parse(file.text, file.document.file)
    has_section = environment.root is not None and "environment" in environment.root.entries
    added = Insert(place, moved.text) if has_section else Insert(place[:1], {moved.variable: moved.text}, "vllm")
    step = Step(
        span=file.span((*_OWN, moved.key)),
        before=moved.key,
        after=f"environment: {{{moved.variable}: {moved.text}}}",
        why="a variable where the flag is not known yet",
    )
    if file.make((Delete((*_OWN, moved.key)), added), step, moved.key):
        file.replacements[moved.key] = Replacement(key=moved.key, parts=())


def _migrate_variables(file: MigratedFile, move: Move) -> None:
    for name, answer in moved_variables(_environment(file.document), move.source, move.target):
        place: KeyPath = ("environment", name)
        if isinstance(answer, Undecided):
            file.leave(place, name, move, answer)
            continue
        section = file.section(_OWN)
        added = [_added(section, path[0], value) for path, value in answer.parts]
        before, after = f"environment: {name}", ", ".join(_shown(answer.parts))
        step = Step(span=file.span(place), before=before, after=after, why=f"vLLM {move.target} does not read it")
        if file.make((*added, Delete(place)), step, name):
            file.replacements[before] = Replacement(key=before, parts=answer.parts)


def _added(section: FlagsSection, name: str, value: FlagValue) -> Change:
    root = section.document.root if section.document else None
    if root is not None and "vllm" in root.entries:
        return Insert((*_OWN, name), value)
    return Insert(_OWN, {name: value})


def _environment(document: Document) -> Mapping[str, str]:
    entry = document.root.entries.get("environment") if document.root else None
    value = as_flag_value(entry.node) if entry else None
    if not isinstance(value, dict) or is_broken(value):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _migrate_release(file: MigratedFile, move: Move) -> None:
    written = _text_at(file.document, KEY)
    if written is None or Release.parse(written) == move.target:
        return
    new = f"{'v' if written.startswith('v') else ''}{move.target}"
    step = Step(span=file.span((KEY,)), before=f"{KEY}: {written}", after=f"{KEY}: {new}")
    file.make((Replace((KEY,), new),), step, KEY)


def _migrate_image(file: MigratedFile, move: Move) -> None:
    written = _text_at(file.document, "image")
    if written is None:
        if move.image is not None:
            step = Step(span=file.span(("services",)), before="", after=f"image: {move.image}")
            file.make((Insert(("image",), move.image, "services"),), step, "image")
        return
    new = move.image or _image_of(written, move)
    if new is None:
        how = f"say which one to write: `--image {default_image(move.target)}`"
        file.undecided.append(_unknown_image(file.span(("image",)), how, move))
    elif new != written:
        step = Step(span=file.span(("image",)), before=f"image: {written}", after=f"image: {new}")
        file.make((Replace(("image",), new),), step, "image")


def _unknown_image(span: Span, how: str, move: Move) -> Diagnostic:
    return Diagnostic(
        code="E261",
        message=f"nothing says which image is vLLM {move.target}",
        span=span,
        label="a person must decide",
        notes=(f"this one does not say that it is vLLM {move.source}",),
        help=(how,),
    )


def _image_of(written: str, move: Move) -> str | None:
    match = _TAG.fullmatch(written)
    release = Release.parse(match["release"]) if match else None
    if match is None or release not in (move.source, move.target):
        return None
    return written if release == move.target else f"{match['front']}{move.target}"


def _text_at(document: Document, key: str) -> str | None:
    entry = document.root.entries.get(key) if document.root else None
    node = entry.node if entry else None
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def check_meaning(
    service: MigratedFile, defaults: FlagsSection, deployment: MigratedFile | None, move: Move
) -> Iterator[Diagnostic]:
    """A finding where the two files together do not say what they said: a flag of the one and a flag of the other
    became parts of one mapping."""
    before = merge_flags(service_section(service.document), defaults, move.source)
    wanted = canonical_flags(_wanted(before, service, deployment), move.target)
    after_defaults = deployment.section(_DEFAULTS) if deployment else defaults
    after = merge_flags(service.section(_OWN), after_defaults, move.target).values
    said = canonical_flags(after, move.target)
    names = sorted(name for name in wanted.keys() | said.keys() if wanted.get(name) != said.get(name))
    if names and not service.undecided and not (deployment and deployment.undecided):
        flags = ", ".join(f"`{name}`" for name in names)
        yield Diagnostic(
            code="E262",
            message=f"{flags} would not mean the same: a part is written here, and a part in the deployment",
            span=service.span(_OWN),
            label="a person must decide",
            help=("write both parts in one of the two files, and migrate again",),
        )


def service_section(document: Document) -> FlagsSection:
    """The flags of a service file."""
    return MigratedFile.of(document).section(_OWN)


def _wanted(flags: EffectiveFlags, service: MigratedFile, deployment: MigratedFile | None) -> Mapping[str, FlagValue]:
    replacements = [each for key, each in service.replacements.items() if key not in flags.values]
    for key in flags.values:
        file = service if flags.section(key) is flags.own else deployment
        if file is not None and key in file.replacements:
            replacements.append(file.replacements[key])
    return {key: value for key, value in replaced(flags.values, tuple(replacements)).items() if value is not None}


def _undecided(span: Span, key: str, move: Move, answer: Undecided) -> Diagnostic:
    return Diagnostic(
        code="E260",
        message=f"`{key}` has no certain equivalent in vLLM {move.target}",
        span=span,
        label="a person must decide",
        notes=tuple(note for note in (answer.since, answer.why) if note),
        help=answer.how or (f"delete the line, or stay with vLLM {move.source}",),
    )


def _not_editable(step: Step, key: str, *, is_clash: bool) -> Diagnostic:
    why = "it is written there already, with another value" if is_clash else "the way the file is written"
    return Diagnostic(
        code="E263",
        message=f"`{key}` cannot be rewritten in place",
        span=step.span,
        label="a person must decide",
        notes=(f"`{step.after}` would take its place" if step.after else "it would be deleted", f"in the way: {why}"),
        help=("change this line by hand, and migrate again",),
    )
