"""What fits where, as a person reads it: a screenful by default, or every group in detail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.advisor.cards import CardGroup
from orchestrator.advisor.fitting import DEFAULT_LENGTH, Fit, Form, Question, way_beyond
from orchestrator.advisor.host import HostTable
from orchestrator.advisor.profile_text import profile_text, service_name
from orchestrator.advisor.recommendation import change_to_four_bit, cheapest_of, recommend, smallest_of
from orchestrator.advisor.table import Answer, FitTable
from orchestrator.catalog.cards import KnownGpu, short_gpu_name
from orchestrator.cli.views.fit_host import host_details, host_line, short_count
from orchestrator.cli.views.fit_options import as_options
from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.plan import Verdict
from orchestrator.domain.units import as_gib

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NARROWEST = 80
_LABEL_ROOM = 20
_LONGEST_MODEL = 56
_FORM_ROOM = 35
_WORDS = {Verdict.STARTS: "fits", Verdict.TOO_CLOSE: "too close to call", Verdict.REFUSES: "does not fit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How much can be shown: columns, glyphs beyond ASCII, bold, every card in detail."""

    width: int
    unicode: bool = True
    color: bool = False
    all_cards: bool = False

    @property
    def dash(self) -> str:
        return "–" if self.unicode else "-"

    @property
    def arrow(self) -> str:
        return "→" if self.unicode else "->"

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.color else text

    def wrapped(self, text: str, indent: int, further: int | None = None) -> list[str]:
        """Paragraph lines; words (names, numbers) are never cut."""
        return textwrap.wrap(
            text,
            max(self.width, _NARROWEST),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if further is None else further),
            break_long_words=False,
            break_on_hyphens=False,
        )


def render_fit(table: FitTable | None, host: HostTable | None, page: Page, *, chosen_cards: bool) -> str:
    """The whole view; `table` is None when only the host without a GPU was asked about."""
    parts: list[Iterable[str]] = []
    if table is not None:
        parts.append(_about_cards(table, page, chosen_cards=chosen_cards))
    elif host is not None:
        forms = host_forms(host)
        parts += [_headline(host.question, host.asked, page), _forms(forms, lettered(forms), page)]
    if host is not None:
        detailed = host_details(host, page, lettered(host_forms(host)))
        parts.append(detailed if chosen_cards else host_line(host, page))
    if table is not None:
        parts.append(_advice(table, page, chosen_cards=chosen_cards))
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts) + "\n"


def host_forms(host: HostTable) -> tuple[Form, ...]:
    return tuple(answer.form for answer in host.answers)


def lettered(forms: Iterable[Form]) -> dict[str, str]:
    """A letter for each form, by model."""
    return {form.facts.model: _LETTERS[number % len(_LETTERS)] for number, form in enumerate(forms)}


def _about_cards(table: FitTable, page: Page, *, chosen_cards: bool) -> Iterator[str]:
    letters = lettered(table.forms)
    yield from _headline(table.question, table.asked, page)
    yield ""
    if chosen_cards or page.all_cards:
        yield from _forms(table.forms, letters, page)
        yield from _details(table, letters, page)
    else:
        yield from _forms_with_best(table, letters, page)
        yield ""
        yield from _cards(table, letters, page)
    yield from _beyond_own_length(table, page)


def _headline(question: Question, asked: Form, page: Page) -> Iterator[str]:
    requests = question.full_length_requests
    said = "as asked" if question.max_model_len else "the default" if asked.length == DEFAULT_LENGTH else "its own"
    yield page.bold(asked.facts.model) + f"  on vLLM {question.release}"
    yield (
        f"{requests:g} request{'s' if requests != 1 else ''} of {asked.length:,} tokens at once ({said};"
        f" the model's own length is {asked.own_length:,})"
    )


def _width_of_models(forms: Iterable[Form]) -> int:
    return max(len(_shown_model(form)) for form in forms)


def _shown_model(form: Form) -> str:
    """The end of a long path says more than its beginning."""
    model = form.facts.model
    return model if len(model) <= _LONGEST_MODEL else "..." + model[3 - _LONGEST_MODEL :]


def _form_cells(form: Form, letters: dict[str, str], room: int) -> str:
    weights = f"{as_gib(form.facts.checkpoint_bytes):.1f} GiB"
    return f"{letters[form.facts.model]}  {_shown_model(form):<{room}}  {form.precision.label:<11}{weights:>11}"


def _forms(forms: tuple[Form, ...], letters: dict[str, str], page: Page) -> Iterator[str]:
    room = _width_of_models(forms)
    yield page.bold(f"   {'form':<{room}}  {'precision':<11}{'weights':>11}")
    for form in forms:
        yield _form_cells(form, letters, room)


def _forms_with_best(table: FitTable, letters: dict[str, str], page: Page) -> Iterator[str]:
    """Each form with its weights and, on the smallest cards that take it, all that it needs there, in GiB."""
    room = _width_of_models(table.forms)
    rows = [(form, *_best_cells(list(_fits_of(table, form)))) for form in table.forms]
    column = max(8, *(len(smallest) for _, _, smallest, _ in rows))
    widest = max(len(cheapest) for *_, cheapest in rows)
    has_room = room + column + max(widest, 15) + _FORM_ROOM <= page.width
    title = f"{'smallest':<{column}}  " if has_room else ""
    yield page.bold(f"   {'form':<{room}}  {'precision':<11}{'weights':>8}{'needs':>7}  {title}cheapest, USD/h")
    for form, needs, smallest, cheapest in rows:
        name = f"{letters[form.facts.model]}  {_shown_model(form):<{room}}  {form.precision.label:<11}"
        cell = f"{smallest:<{column}}  " if has_room else ""
        yield f"{name}{as_gib(form.facts.checkpoint_bytes):>8.1f}{needs:>7}  {cell}{cheapest}"


def _fits_of(table: FitTable, form: Form) -> Iterator[Fit]:
    yield from (answer.fit for answer in table.of_form(form) if answer.fit is not None)


def _best_cells(fits: list[Fit]) -> tuple[str, str, str]:
    """What is needed on the least memory that takes a form, that memory, and the least price."""
    smallest = smallest_of(fits)
    if smallest is None:
        return "", "none takes it", "-"
    cheapest = cheapest_of(fit for fit in fits if fit.group.usd_per_hour is not None)
    return (
        f"{as_gib(smallest.needed_bytes):.1f}",
        smallest.group.label,
        "-" if cheapest is None else f"{cheapest.group.label} {_price(cheapest.group, unit='')}",
    )


def _price(group: CardGroup, unit: str = " USD/h") -> str:
    price = group.usd_per_hour
    return "price unknown" if price is None else f"{price:.2f}{unit}"


def _cards(table: FitTable, letters: dict[str, str], page: Page) -> Iterator[str]:
    """Cards with the same outcome in one row: how many of them each form takes."""
    rows = _rows_of_cards(table)
    columns = "".join(f"{letters[form.facts.model]:>4}" for form in table.forms)
    room = max(page.width, _NARROWEST) - len(columns) - 14
    yield page.bold(f"{'cards needed':<12}  {'of these':<{room}}{columns}")
    for cells, cards in rows.items():
        names = textwrap.wrap(", ".join(short_gpu_name(card.name) for card in cards), room - 2)
        counts = "".join(f"{cell:>4}" for cell in cells)
        yield f"{_memory_span(cards, page):<12}  {names[0]:<{room}}{counts}"
        yield from (f"{'':14}{more}" for more in names[1:])
    yield from _legend(table, rows, page)


_Rows = dict[tuple[str, ...], list[KnownGpu]]


def _rows_of_cards(table: FitTable) -> _Rows:
    by_card: dict[str, list[Answer]] = {}
    for answer in table.answers:
        by_card.setdefault(answer.card.name, []).append(answer)
    rows: _Rows = {}
    for answers in by_card.values():
        rows.setdefault(tuple(_cell(answer) for answer in answers), []).append(answers[0].card)
    return rows


def _cell(answer: Answer) -> str:
    if answer.fit is not None:
        return str(answer.fit.group.count)
    return "x" if answer.shown.is_about_the_card else "-"


def _memory_span(cards: list[KnownGpu], page: Page) -> str:
    low, high = (round(as_gib(size(card.total_bytes for card in cards))) for size in (min, max))
    return f"{low} GiB" if low == high else f"{low}{page.dash}{high} GiB"


def _legend(table: FitTable, rows: _Rows, page: Page) -> Iterator[str]:
    if any("-" in cells for cells in rows):
        yield from page.wrapped(
            "-  no group of 1, 2, 4 or 8 takes it: too small, or the model cannot be divided so", 0, 3
        )
    reasons = dict.fromkeys(
        answer.shown.reason.replace(answer.card.name, "these cards")
        for answer in table.answers
        if answer.fit is None and answer.shown.is_about_the_card
    )
    for reason in reasons:
        yield from page.wrapped(f"x  {reason}", 0, 3)
    yield from page.wrapped(
        "weights and needs (on the smallest cards, all together, at worst) in GiB; prices are the catalogue's:"
        " `--gpu CARD` names their source",
        0,
    )


def _details(table: FitTable, letters: dict[str, str], page: Page) -> Iterator[str]:
    heading = ""
    for answer in table.answers:
        group = answer.shown.group if not page.all_cards else CardGroup(card=answer.card, count=1)
        if group.label != heading:
            heading = group.label
            yield ""
            yield from page.wrapped(_group_words(group, page), 0, 3)
            yield _columns_of_details(page)
        yield from _detail(answer, letters, page)
    yield ""
    yield from page.wrapped(
        "margin: left on each card at worst; longest: the max-model-len that surely starts; KV tokens: expected"
        " (interval); requests: of the length asked about, at worst",
        0,
    )


def _group_words(group: CardGroup, page: Page) -> str:
    card = group.card
    each = " each" if group.count > 1 else ""
    source = card.provenance.get("usd_per_hour")
    price = _price(group) + (f", {source}" if source else "")
    return f"{page.bold(group.label)}  {as_gib(card.total_bytes):.1f} GiB{each}, {price}"


def _columns_of_details(page: Page) -> str:
    title = f"   {'':<11}  {'':<{_LABEL_ROOM}}{'margin':>12}{'longest':>10}  {'KV tokens':<24}{'requests':>9}"
    return page.bold(title)


def _detail(answer: Answer, letters: dict[str, str], page: Page) -> Iterator[str]:
    fit = answer.shown
    word = _verdict_words(fit)
    if page.all_cards and fit.group.count > 1:
        word = f"{fit.group.count}x: {word}"
    margin = "" if fit.margin_bytes is None else f"{as_gib(fit.margin_bytes):.2f} GiB"
    longest = f"{fit.longest_model_len:,}" if fit.longest_model_len else "-"
    tokens, requests = _tokens(fit, page) if fit.starts else ("-", "-")
    yield (
        f"{letters[fit.form.facts.model]}  {fit.form.precision.label:<11}  {word:<{_LABEL_ROOM}}"
        f"{margin:>12}{longest:>10}  {tokens:<24}{requests:>9}"
    )
    if not fit.starts:
        yield from page.wrapped(fit.reason, 5)
    for line in fit.help:
        yield from page.wrapped(f"= help: {as_options(line, short_gpu_name(answer.card.name))}", 5, 13)
    for problem in fit.problems:
        if problem.severity is not Severity.ERROR:
            yield from page.wrapped(f"= note: {problem.message}", 5, 13)


def _verdict_words(fit: Fit) -> str:
    return "cannot run" if fit.margin_bytes is None else _WORDS[fit.verdict]


def _tokens(fit: Fit, page: Page) -> tuple[str, str]:
    if fit.prediction is None:
        return "-", "-"
    low, expected, high = fit.prediction.kv_tokens
    exactly = f"{expected:,}" if expected < 10**8 else short_count(expected)
    requests = fit.prediction.concurrency[0]
    return (
        f"{exactly} ({short_count(low)}{page.dash}{short_count(high)})",
        f"{requests:.1f}" if requests < 10_000 else short_count(requests),
    )


def _beyond_own_length(table: FitTable, page: Page) -> Iterator[str]:
    """What it takes to go beyond the model's own length, where some card's memory would allow it."""
    best = max(table.fits(), key=lambda fit: fit.memory_len, default=None)
    if best is None or best.memory_len <= best.form.own_length:
        return
    way = as_options(way_beyond(best.form, table.question))
    yield from page.wrapped(
        f"contexts end at the model's own {best.form.own_length:,} tokens" + (f"; to go beyond, {way}" if way else ""),
        0,
    )


def _advice(table: FitTable, page: Page, *, chosen_cards: bool) -> Iterator[str]:
    found = recommend(table)
    if not found:
        yield from _nothing(table, page, chosen_cards=chosen_cards)
        return
    yield page.bold("recommended")
    room = max(len(each.fit.group.label) for each in found)
    for each in found:
        yield from page.wrapped(f"{each.purpose.value:<16}{_recommended(each.fit, room)}", 2, 30)
    yield ""
    cheapest = found[0].fit
    name = service_name(cheapest.form.facts.model)
    yield page.bold(f"{name}.yaml") + f", the cheapest, for {cheapest.group.label}"
    yield from (f"  {line}" for line in profile_text(cheapest, table.question).splitlines())
    change = change_to_four_bit(table)
    if change is not None:
        yield ""
        yield page.bold("from 8 bit to 4 bit, one line")
        yield from page.wrapped(f"{change.before} {page.arrow} {change.after}", 2, 4)
    yield ""
    short = cheapest.group.short_form.replace(" ", "-")
    yield f"Next: list the file in a deployment, then `orchestrate plan --inventory {short}`."


def _recommended(fit: Fit, room: int) -> str:
    return (
        f"{fit.form.precision.label:<11} {fit.group.label:<{room}}  {_price(fit.group):>13}"
        f"  to {fit.longest_model_len:,} tokens, {as_gib(fit.margin_bytes or 0):.1f} GiB to spare"
    )


def _nothing(table: FitTable, page: Page, *, chosen_cards: bool) -> Iterator[str]:
    """What comes nearest, and what to try next."""
    yield page.bold("nothing that was asked about surely fits")
    lengths = [fit for answer in table.answers for fit in answer.tried if fit.longest_model_len]
    if lengths:
        best = max(lengths, key=lambda fit: fit.longest_model_len)
        yield from page.wrapped(
            f"`--max-model-len {best.longest_model_len}` surely starts: {best.form.facts.model} on {best.group.label}",
            2,
            4,
        )
    elif chosen_cards:
        yield from page.wrapped("other, larger or more cards are needed: run without `--gpu` to see which", 2, 4)
    else:
        yield from page.wrapped("pipeline parallelism over more than 8 cards may do; it is not asked about here", 2, 4)
