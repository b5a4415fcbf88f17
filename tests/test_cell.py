"""CellSpec: pure data. Its defaults, its presets, what it refuses, and the geometry that follows from a hidden size."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag import CellSpec
from longlag.errors import InputError
from longlag.ops.engine import COMMON_FIELDS

SQUASHES = ["tanh", "logistic", "logistic_pm1", "logistic_pm2", "identity"]


def shown(spec: CellSpec) -> dict:
    """What a spec says beyond the defaults."""
    return {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if getattr(spec, field.name) != field.default
    }


# -- pure data -----------------------------------------------------------------------------------------------------


def test_the_default_is_torchs_cell():
    # Options of the reference alone change nothing at their defaults: tests/ops/test_cell_options.py.
    assert {name: value for name, value in dataclasses.asdict(CellSpec()).items() if name in COMMON_FIELDS} == {
        "cells_per_block": 1,
        "input_gate": True,
        "forget_gate": True,
        "output_gate": True,
        "coupled_gates": False,
        "peepholes": False,
        "gate_recurrence": False,
        "input_squash": "tanh",
        "output_squash": "tanh",
        "sharpness": 1.0,
        "recurrence": True,
        "biases": "double",
        "conventional_units": 0,
        "unit_squash": "logistic",
    }


def test_equal_specs_are_equal_and_hash_alike():
    assert CellSpec(peepholes=True) == CellSpec(peepholes=True)
    assert len({CellSpec(), CellSpec(), CellSpec(peepholes=True), CellSpec(sharpness=2.0)}) == 3
    assert CellSpec() != CellSpec(biases="single")


def test_a_spec_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CellSpec().sharpness = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        del CellSpec().peepholes


def test_a_spec_is_made_by_keyword_alone_and_knows_no_others():
    with pytest.raises(TypeError):
        CellSpec(2)
    with pytest.raises(TypeError, match="peephole"):
        CellSpec(peephole=True)
    with pytest.raises(TypeError):
        CellSpec.hochreiter1997(2)


def test_replacing_a_part_keeps_the_others_and_is_checked_again():
    spec = dataclasses.replace(CellSpec.graves2005(), sharpness=3.0)
    assert shown(spec) == {"peepholes": True, "biases": "single", "sharpness": 3.0}
    with pytest.raises(InputError, match="sharpness"):
        dataclasses.replace(spec, sharpness=0.0)


@pytest.mark.parametrize("spec", [CellSpec(), CellSpec.hochreiter1997(cells_per_block=3, conventional_units=2)])
def test_copies_and_pickles_are_equal(spec):
    assert copy.deepcopy(spec) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301  (our own bytes)
    assert CellSpec(**dataclasses.asdict(spec)) == spec


def test_its_text_can_be_read_by_a_person():
    assert repr(CellSpec(peepholes=True)).startswith("CellSpec(cells_per_block=1, input_gate=True, ")
    assert "peepholes=True" in repr(CellSpec(peepholes=True))


@pytest.mark.processes
def test_a_spec_needs_no_tensors():
    source = "import sys; sys.modules['torch'] = None; import importlib.util as u; "
    source += f"s = u.spec_from_file_location('cell', {sys.modules['longlag.cell'].__file__!r}); "
    source += "m = u.module_from_spec(s); sys.modules['cell'] = m; "
    source += f"sys.modules['longlag'] = p = type(sys)('longlag'); p.__path__ = [{_package()!r}]; "
    source += "s.loader.exec_module(m); print(m.CellSpec().gates)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "('i', 'f', 'o')", done.stderr


def _package() -> str:
    return sys.modules["longlag.cell"].__file__.rpartition("/")[0]


# -- presets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            CellSpec.hochreiter1997(),
            {
                "forget_gate": False, "gate_recurrence": True, "input_squash": "logistic_pm2",
                "output_squash": "logistic_pm1", "biases": "single",
            },
        ),
        (
            CellSpec.hochreiter1997(
                cells_per_block=2, output_gate=False, recurrence=False, output_squash="identity",
                input_squash="logistic", biases="double", conventional_units=3,
            ),
            {
                "cells_per_block": 2, "forget_gate": False, "output_gate": False, "recurrence": False,
                "input_squash": "logistic", "output_squash": "identity", "conventional_units": 3,
            },
        ),
        (
            CellSpec.batch2013(),
            {
                "cells_per_block": 2, "forget_gate": False, "peepholes": True, "gate_recurrence": True,
                "input_squash": "logistic_pm2", "output_squash": "logistic_pm1", "sharpness": 3.75, "biases": "single",
            },
        ),
        (
            CellSpec.batch2013(cells_per_block=1, sharpness=1.0, forget_gate=True),
            {
                "peepholes": True, "gate_recurrence": True, "input_squash": "logistic_pm2",
                "output_squash": "logistic_pm1", "biases": "single",
            },
        ),
        (
            CellSpec.gers2000(cells_per_block=2),
            {
                "cells_per_block": 2, "input_squash": "logistic_pm2", "output_squash": "logistic_pm1",
                "biases": "single",
            },
        ),
        (CellSpec.graves2005(), {"peepholes": True, "biases": "single"}),
        (CellSpec.coupled(), {"coupled_gates": True}),
    ],
)  # fmt: skip
def test_a_preset_is_the_cell_of_its_paper(spec, expected):
    assert shown(spec) == expected


# -- refusals ------------------------------------------------------------------------------------------------------

NO_GATES = {"input_gate": False, "forget_gate": False, "output_gate": False}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_squash": "relu"}, "input_squash is 'relu'; expected one of tanh, logistic"),
        ({"output_squash": "sigmoid"}, "output_squash is 'sigmoid'; expected one of"),
        ({"unit_squash": None}, "unit_squash is None; expected one of"),
        ({"biases": True}, "biases is True; expected one of double, single, gates"),
        ({"cells_per_block": 0}, "cells_per_block is 0; expected a whole number of at least 1"),
        ({"cells_per_block": 1.0}, "cells_per_block is 1.0; expected a whole number"),
        ({"cells_per_block": True}, "cells_per_block is True; expected a whole number"),
        ({"conventional_units": -1}, "conventional_units is -1; expected a whole number of at least 0"),
        ({"conventional_units": "2"}, "conventional_units is '2'; expected a whole number"),
        ({"sharpness": 0.0}, "sharpness is 0.0; expected a positive finite number"),
        ({"sharpness": -1.0}, "sharpness is -1.0; expected"),
        ({"sharpness": float("inf")}, "sharpness is inf; expected"),
        ({"sharpness": float("nan")}, "sharpness is nan; expected"),
        ({"sharpness": "3"}, "sharpness is '3'; expected"),
        ({"sharpness": None}, "sharpness is None; expected"),
        ({"coupled_gates": True, "forget_gate": False}, "coupled_gates needs both"),
        ({"coupled_gates": True, "input_gate": False}, "coupled_gates needs both"),
        ({"peepholes": True} | NO_GATES, "peepholes needs a gate"),
        ({"gate_recurrence": True} | NO_GATES, "gate_recurrence needs a gate"),
        ({"biases": "gates"} | NO_GATES, "biases='gates' needs a gate"),
        ({"gate_recurrence": True, "recurrence": False}, "gate_recurrence needs recurrence=True"),
        ({"forget_gate": "no"}, "forget_gate is 'no'; expected True or False"),
        ({"peepholes": 1}, "peepholes is 1; expected True or False"),
    ],
    ids=str,
)
def test_what_means_nothing_is_refused_in_one_sentence(options, words):
    with pytest.raises(InputError) as refusal:
        CellSpec(**options)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_cells_without_any_gate_are_allowed():
    spec = CellSpec(**NO_GATES)
    assert spec.gates == ()
    assert spec.row_count(3) == 3


# -- geometry ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "gates"),
    [
        (CellSpec(), "ifo"),
        (CellSpec(forget_gate=False), "io"),
        (CellSpec(input_gate=False), "fo"),
        (CellSpec(output_gate=False), "if"),
        (CellSpec(coupled_gates=True), "io"),
        (CellSpec.hochreiter1997(output_gate=False), "i"),
    ],
)
def test_gates_with_weights_of_their_own_stand_in_the_order_i_f_o(spec, gates):
    assert spec.gates == tuple(gates)


def test_rows_of_the_default_cell_are_torchs_i_f_g_o():
    rows = CellSpec().rows(4)
    assert list(rows) == ["i", "f", "g", "o", "u"]
    assert [(span.start, span.stop) for span in rows.values()] == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 16)]
    assert CellSpec().row_count(4) == 16


def test_a_block_has_one_row_for_each_gate_and_one_for_each_cell():
    spec = CellSpec(cells_per_block=3, forget_gate=False, conventional_units=2)
    assert spec.rows(6) == {"i": slice(0, 2), "g": slice(2, 8), "o": slice(8, 10), "u": slice(10, 12)}
    assert (spec.blocks(6), spec.gate_size(6), spec.row_count(6)) == (2, 4, 12)


def test_a_hidden_size_that_blocks_do_not_divide_is_refused():
    assert CellSpec(cells_per_block=3).blocks(9) == 3
    for ask in (CellSpec(cells_per_block=3).blocks, CellSpec(cells_per_block=3).rows):
        with pytest.raises(InputError, match="hidden_size 7 is not a multiple of cells_per_block 3"):
            ask(7)


@pytest.mark.parametrize(
    ("spec", "projection", "source", "output"),
    [
        (CellSpec(), 0, 6, 6),
        (CellSpec(), 2, 2, 2),
        (CellSpec(gate_recurrence=True), 0, 6 + 18, 6),
        (CellSpec(gate_recurrence=True, cells_per_block=2), 4, 4 + 9, 4),
        (CellSpec.hochreiter1997(cells_per_block=2, conventional_units=5), 0, 6 + 5 + 6, 6 + 5),
        (CellSpec(conventional_units=5), 2, 2 + 5, 2 + 5),
        (CellSpec(recurrence=False, conventional_units=5), 2, 0, 2 + 5),
    ],
)
def test_recurrent_source_and_output_have_the_sizes_of_what_they_hold(spec, projection, source, output):
    assert spec.source_size(6, projection) == source
    assert spec.output_size(6, projection) == output


def specs() -> st.SearchStrategy[CellSpec]:
    """Any options at all, those that are refused left out."""
    flags = ["input_gate", "forget_gate", "output_gate", "coupled_gates", "peepholes", "gate_recurrence", "recurrence"]
    options = st.fixed_dictionaries(
        {
            **{name: st.booleans() for name in flags},
            "cells_per_block": st.integers(1, 4),
            "conventional_units": st.integers(0, 3),
            "biases": st.sampled_from(["double", "single", "gates"]),
            "input_squash": st.sampled_from(SQUASHES),
        }
    )

    def make(chosen: dict) -> CellSpec | None:
        try:
            return CellSpec(**chosen)
        except InputError:
            return None

    return options.map(make).filter(lambda spec: spec is not None)


@given(spec=specs(), blocks=st.integers(1, 5))
def test_rows_lie_side_by_side_and_miss_no_unit(spec, blocks):
    hidden = blocks * spec.cells_per_block
    rows = spec.rows(hidden)
    starts, stops = [span.start for span in rows.values()], [span.stop for span in rows.values()]
    assert starts == [0, *stops[:-1]]
    assert stops[-1] == spec.row_count(hidden) == spec.gate_size(hidden) + hidden + spec.conventional_units
    assert [name for name in rows if name in "ifo"] == list(spec.gates)
    assert all(rows[name].stop - rows[name].start == blocks for name in spec.gates)
    assert rows["g"].stop - rows["g"].start == hidden
