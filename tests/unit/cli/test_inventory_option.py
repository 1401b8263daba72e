"""What `--inventory` stands for: a file, a short form, or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.inventory import read_inventory_option
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Inventory
from tests.unit.adapters.other_user import as_nobody, open_directory

RECORDED = Path(__file__).parents[3] / "configs" / "inventories" / "3xrtx4090.json"


def _refusal(value: str) -> Diagnostic:
    answer = read_inventory_option(value)
    assert isinstance(answer, tuple)
    (finding,) = answer
    return finding


def test_a_file_is_read_and_its_text_kept_for_the_findings() -> None:
    sources: dict[str, str] = {}
    inventory = read_inventory_option(str(RECORDED), sources=sources)
    assert isinstance(inventory, Inventory)
    assert [gpu.index for gpu in inventory.gpus()] == [0, 1, 2]
    assert sources == {str(RECORDED): RECORDED.read_text()}


def test_findings_of_a_file_name_it(tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text("{")
    finding = _refusal(str(file))
    assert finding.span is not None
    assert (finding.code, finding.span.file) == ("E411", str(file))


def test_a_directory_is_no_inventory(tmp_path: Path) -> None:
    assert _refusal(str(tmp_path)).code.startswith("E1")


def test_a_short_form_is_an_inventory() -> None:
    inventory = read_inventory_option("3xRTX4090")
    assert isinstance(inventory, Inventory)
    assert inventory.source == "3xRTX4090"


@pytest.mark.parametrize("value", ["missing.json", "some/where", "nonsense", "3xRTX4090.json", "", "a\x00b"])
def test_what_is_neither_says_both_ways(value: str) -> None:
    finding = _refusal(value)
    assert (finding.code, finding.message) == (
        "E420",
        f"`{value}` is neither a file nor a short form of an inventory",
    )
    assert any("orchestrate gpus --json > inventory.json" in line for line in finding.help)
    assert any("3xRTX4090" in line for line in finding.help)


def test_a_card_that_nobody_knows_is_told_by_the_catalogue() -> None:
    assert _refusal("2xRTX9999Ultra").code == "E451"


def test_a_file_that_is_too_large_is_too_large_for_an_inventory(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    file.write_bytes(b" " * (1024 * 1024 + 1))

    finding = _refusal(str(file))

    assert (finding.code, finding.message) == ("E124", f"`{file}` is too large for an inventory file")
    assert finding.help == ("name an inventory file: a text file of some lines",)


def test_a_name_with_a_control_character_says_what_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    file.write_text('{"orchestrate-inventory": 1, "source": "", "hosts": [{"name": "a\\u001b", "gpus": []}]}')

    answer = read_inventory_option(str(file))

    assert isinstance(answer, tuple)
    assert [finding.label for finding in answer] == [
        "expected a text of printable characters that is not empty",
        "expected a list with at least one GPU",
    ]


@pytest.mark.parametrize("value", ["1x" + "A" * 100_000, "A" * 100_000, "A" * 100_000 + ".json", "999x" + "4" * 9000])
def test_a_long_argument_is_shortened_where_it_is_repeated(value: str) -> None:
    finding = _refusal(value)

    assert len(" ".join((finding.message, *finding.notes, *finding.help))) < 1200


def test_in_a_working_directory_that_is_gone_the_answer_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    finding = _refusal("nope")
    assert finding.code == "E420"
    assert finding.notes == ("there is no file `nope` in or from the working directory, which no longer exists",)


def test_a_file_in_a_directory_that_may_not_be_entered_is_not_said_to_be_missing() -> None:
    with open_directory() as directory:
        (directory / "inventory.json").write_text("{}")
        directory.chmod(0)
        with as_nobody():
            finding = _refusal(str(directory / "inventory.json"))
    assert finding.code == "E122"


def test_a_link_to_nothing_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("gone.json")
    assert _refusal(str(tmp_path / "link.json")).code == "E126"
