"""The view of GPUs, whole, in narrow and wide terminals."""

from __future__ import annotations

from orchestrator.cli.views.gpus import render_inventory
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from orchestrator.domain.units import GIB


def _gpu(index: int, **more: object) -> Gpu:
    facts = {"name": "card", "total_bytes": 80 * GIB, "free_bytes": 79 * GIB, **more}
    return Gpu(index=index, uuid=f"GPU-{index}", **facts)  # type: ignore[arg-type]


def _view(*gpus: Gpu, links: tuple[Link, ...] = (), width: int = 80, color: bool = False) -> str:
    inventory = Inventory(hosts=(Host(name="rig", gpus=gpus, links=links),), source="by hand")
    return render_inventory(inventory, color=color, width=width, option="my rig.json")


def test_unknown_facts_mig_and_nvlink_are_shown_as_what_they_are() -> None:
    view = _view(
        _gpu(0, mig_enabled=True, compute_capability=(9, 0), pcie_generation=5, pcie_width=16),
        _gpu(1, free_bytes=10 * GIB),
        _gpu(2, parent_uuid="GPU-0", name="card MIG 1g.18gb"),
        links=(Link(first="GPU-0", second="GPU-1", kind=LinkKind.NVLINK, nvlinks=18),),
    )
    assert (
        view
        == """rig: driver not known, CUDA not known

  #  name               total GiB  free GiB   cc    PCIe  MIG
  0  card                   80.00     79.00  9.0   5 x16   on
     GPU-0
     in MIG mode: only its slices can be given to a service
     used by no visible process; 1.00 GiB taken
  1  card                   80.00     10.00    ?    ? x?    -
     GPU-1
     used by no visible process; 70.00 GiB taken
  2  card MIG 1g.18gb       80.00     79.00    ?    ? x? part
     GPU-2
     a MIG slice of GPU 0
     used by no visible process; 1.00 GiB taken

link     0     1
   0     -  NV18
   1  NV18     -
  NV#: NVLink, # lanes

source: by hand
next:   `orchestrate plan --inventory 'my rig.json'` plans on these GPUs
"""
    )


def test_a_long_name_is_folded_and_never_cut() -> None:
    name = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
    view = _view(_gpu(0, name=name), width=80)
    assert max(map(len, view.splitlines())) <= 80
    assert " ".join(word for word in view.split() if word in name.split()) == name


def test_unknown_paths_are_said_to_be_unknown() -> None:
    assert "links: not known\n" in _view(_gpu(0), _gpu(1))
    some = _view(_gpu(0), _gpu(1), _gpu(2), links=(Link(first="GPU-0", second="GPU-1", kind=LinkKind.ACROSS_SOCKETS),))
    assert "   0     -   SYS     ?\n" in some


def test_a_process_cannot_steer_the_terminal_with_its_name() -> None:
    view = _view(_gpu(0, processes=(GpuProcess(pid=1, name="evil\x1b[2J", used_bytes=GIB),)))
    assert "used by evil?[2J (pid 1): 1.00 GiB\n" in view


def test_colour_only_emphasises() -> None:
    plain, coloured = _view(_gpu(0)), _view(_gpu(0), color=True)
    assert "\x1b" not in plain
    assert coloured.replace("\x1b[1m", "").replace("\x1b[0m", "") == plain
    assert coloured != plain
