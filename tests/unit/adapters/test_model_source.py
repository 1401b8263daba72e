"""Where the facts of a model come from, in which order, and what is said when nobody knows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.adapters.model_source import find_model_facts
from orchestrator.catalog.models import find_model
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelFacts
from tests.unit.adapters.checkpoint_samples import TINY_WEIGHTS, write_config, write_tiny_model
from tests.unit.adapters.loopback_hub import COMMIT, Hub, running_hub
from tests.unit.adapters.other_user import as_nobody, open_directory

SHIPPED = ("Qwen/Qwen3-32B-AWQ", "Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-1.7B-FP8")


def find(tmp_path: Path, model: str, revision: str | None = None, *, offline: bool = True) -> ModelFacts | Diagnostic:
    environment = {"HF_HUB_CACHE": str(tmp_path / "cache")}
    return find_model_facts(
        model, revision, offline=offline, base_directory=tmp_path / "profiles", environment=environment
    )


def facts_of(tmp_path: Path, model: str, revision: str | None = None) -> ModelFacts:
    facts = find(tmp_path, model, revision)
    assert isinstance(facts, ModelFacts), facts
    return facts


def finding_of(tmp_path: Path, model: str, *, offline: bool = True) -> Diagnostic:
    finding = find(tmp_path, model, offline=offline)
    assert isinstance(finding, Diagnostic), finding
    return finding


def snapshot_of(tmp_path: Path, model: str) -> Path:
    home = tmp_path / "cache" / ("models--" + model.replace("/", "--"))
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    (home / "snapshots" / COMMIT).mkdir(parents=True)
    return home / "snapshots" / COMMIT


@pytest.mark.parametrize("model", SHIPPED)
def test_the_shipped_models_are_known_offline(tmp_path: Path, model: str) -> None:
    assert facts_of(tmp_path, model) == find_model(model)


@pytest.mark.parametrize("model", ["./tiny", "tiny", "../profiles/tiny"])
def test_a_path_is_relative_to_the_profile(tmp_path: Path, model: str) -> None:
    write_tiny_model(tmp_path / "profiles" / "tiny")
    facts = facts_of(tmp_path, model)
    assert (facts.model, facts.weights) == (model, TINY_WEIGHTS)


def test_an_absolute_path_and_one_of_the_home_directory_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_model(tmp_path / "tiny")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert facts_of(tmp_path, str(tmp_path / "tiny")).weights == TINY_WEIGHTS
    assert facts_of(tmp_path, "~/tiny").weights == TINY_WEIGHTS


def test_a_revision_of_a_directory_is_said_not_to_be_checked(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "profiles" / "tiny")
    assert facts_of(tmp_path, "./tiny", "v1").provenance.endswith("; revision `v1` was not checked")


@pytest.mark.parametrize("model", ["./nothing", "/nothing", "~nobody-of-that-name/x", "./" + "a" * 5000])
def test_a_directory_that_is_not_there_is_told(tmp_path: Path, model: str) -> None:
    finding = finding_of(tmp_path, model)
    assert (finding.code, finding.message) == ("E307", f"there is no directory `{model}` to read a model from")
    assert finding.help


def test_the_cache_comes_before_the_catalogue(tmp_path: Path) -> None:
    write_tiny_model(snapshot_of(tmp_path, SHIPPED[0]))
    facts = facts_of(tmp_path, SHIPPED[0], "main")
    assert (facts.weights, facts.revision) == (TINY_WEIGHTS, COMMIT)


def test_a_snapshot_without_weights_gives_way_to_the_catalogue(tmp_path: Path) -> None:
    write_config(snapshot_of(tmp_path, SHIPPED[0]))
    assert facts_of(tmp_path, SHIPPED[0]) == find_model(SHIPPED[0])


def test_a_broken_snapshot_gives_way_to_the_catalogue(tmp_path: Path) -> None:
    directory = write_config(snapshot_of(tmp_path, SHIPPED[0]))
    (directory / "model.safetensors").symlink_to(tmp_path / "gone")
    assert facts_of(tmp_path, SHIPPED[0]) == find_model(SHIPPED[0])


def test_a_snapshot_without_weights_is_better_than_nothing(tmp_path: Path) -> None:
    write_config(snapshot_of(tmp_path, "org/unheard-of"))
    facts = facts_of(tmp_path, "org/unheard-of")
    assert (facts.weights, facts.exact) == (TINY_WEIGHTS, False)


def test_a_revision_that_only_the_catalogue_knows_is_said_not_to_be_checked(tmp_path: Path) -> None:
    write_tiny_model(snapshot_of(tmp_path, SHIPPED[0]))
    known = find_model(SHIPPED[0])
    assert known is not None
    facts = facts_of(tmp_path, SHIPPED[0], "v2")
    assert facts == known
    assert facts.provenance == known.provenance + "; revision `v2` was not checked"


def test_an_unknown_model_says_how_to_provide_its_facts(tmp_path: Path) -> None:
    assert finding_of(tmp_path, "Qwen/Qwen3-32B-AWK") == Diagnostic(
        code="E306",
        message="nothing is known about the model `Qwen/Qwen3-32B-AWK`",
        notes=("it is neither in the Hugging Face cache nor among the 633 models of the catalogue",),
        help=(
            "did you mean `Qwen/Qwen3-32B-AWQ` or `Qwen/Qwen3-32B` or `Qwen/Qwen3-8B-AWQ`?",
            "give the path of a directory with its config.json and *.safetensors",
            "ask the hub: run again without `--offline` and without HF_HUB_OFFLINE",
        ),
    )


@pytest.mark.parametrize("model", ["", "a/b/c", "org/", "with space/x", "..", "org/na\0me", "https://hub/x"])
def test_a_text_that_is_no_id_is_never_asked_for(tmp_path: Path, model: str) -> None:
    finding = finding_of(tmp_path, model, offline=False)
    assert finding.code in {"E306", "E307", "E303"}
    assert not [line for line in finding.help if "hub" in line and "ask" in line]


def test_hf_hub_offline_means_offline(tmp_path: Path) -> None:
    finding = find_model_facts(
        "org/x", None, offline=False, base_directory=tmp_path, environment={"HF_HOME": "/x", "HF_HUB_OFFLINE": "True"}
    )
    assert isinstance(finding, Diagnostic)
    assert finding.code == "E306"


CODE = (
    "import sys; from pathlib import Path\n"
    "{before}\n"
    "from orchestrator.adapters.model_source import find_model_facts\n"
    "print(find_model_facts('{model}', None, offline=False, base_directory=Path('/')))"
)


def in_a_process_of_its_own(before: str, model: str = "org/tiny", **environment: str) -> str:
    code = CODE.format(before=before, model=model)
    finished = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_what_nobody_here_knows_is_asked_of_the_hub(tmp_path: Path) -> None:
    with running_hub(Hub(models={"org/tiny": write_tiny_model(tmp_path / "tiny")})) as hub:
        said = in_a_process_of_its_own("", HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path))
    assert "safetensors headers of org/tiny on the hub" in said


CATCHING = (
    "import orchestrator.adapters.model_source as source; from orchestrator.domain.failures import OutsideFailure\n"
    "try: source.find_model_facts('Qwen/Qwen3-8C', None, offline=False, base_directory=Path('/'))\n"
    "except OutsideFailure as failure: print(failure.finding)\n"
)


def test_a_hub_that_cannot_be_reached_leaves_the_names_that_are_near(tmp_path: Path) -> None:
    with running_hub(Hub(models={})) as hub:
        unknown = in_a_process_of_its_own("", "Qwen/Qwen3-8C", HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path))
        closed = hub.endpoint
    assert "E306" in unknown
    assert "did you mean `Qwen/Qwen3-8B`" in unknown
    said = in_a_process_of_its_own(CATCHING + "sys.exit()", HF_ENDPOINT=closed, HF_HOME=str(tmp_path))
    assert "E311" in said
    assert "did you mean `Qwen/Qwen3-8B`" in said


def test_without_the_extra_the_help_names_it(tmp_path: Path) -> None:
    gone = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda name: None"
    said = in_a_process_of_its_own(gone, HF_HOME=str(tmp_path))
    assert "pip install 'orchestrate-vllm[hub]'" in said
    assert "E306" in said


def test_without_a_hub_a_name_in_another_form_is_taken_at_its_word(tmp_path: Path) -> None:
    facts = find_model_facts(
        "someone/Qwen3-8B-NVFP4", "abc", offline=True, base_directory=tmp_path, environment={"HF_HOME": str(tmp_path)}
    )
    assert isinstance(facts, ModelFacts)
    assert facts.provenance == (
        "derived: Qwen/Qwen3-8B as NVFP4 in groups of 16, as its name says; bytes computed;"
        " revision `abc` was not checked"
    )


def test_a_hub_that_does_not_answer_leaves_what_a_name_says(tmp_path: Path) -> None:
    with running_hub(Hub(models={})) as hub:
        closed = hub.endpoint
    said = in_a_process_of_its_own("", "someone/Qwen3-8B-NVFP4", HF_ENDPOINT=closed, HF_HOME=str(tmp_path))
    assert "Qwen/Qwen3-8B as NVFP4 in groups of 16, as its name says; bytes computed; the hub did not answer" in said


@pytest.mark.parametrize("model", ["./closed/model", "closed/model"])
def test_a_directory_that_may_not_be_entered_is_not_said_to_be_missing(model: str) -> None:
    with open_directory() as directory:
        write_tiny_model(directory / "closed" / "model")
        (directory / "closed").chmod(0)
        with as_nobody():
            finding = find_model_facts(model, None, offline=True, base_directory=directory)
        assert isinstance(finding, Diagnostic)
        assert (finding.code, finding.message) == ("E122", f"`{directory / 'closed' / 'model'}` may not be read")
        assert finding.notes == (f"the directory `{directory / 'closed'}` may not be entered",)
