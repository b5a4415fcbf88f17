"""Code refuses an option of the cell that it does not know, by itself; the recipe for a new option is short."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import hypothesis
import pytest
import torch

from equivalence.specs import REFERENCE_ONLY, cell_specs, reference_cell_specs
from longlag import LSTM, CellSpec, Network, OnlineLSTM, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import NetworkObjective
from longlag.gradients.jacobian import fits
from longlag.nn import SquaredError
from longlag.online.topology import Topology
from longlag.ops.engine import COMMON_FIELDS, CallOptions
from longlag.ops.reference import FIELDS, ReferenceEngine
from longlag.ops.select import ENGINES, native

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

Later = dataclasses.make_dataclass(
    "CellSpec", [("made_up", float, dataclasses.field(default=0.0))], bases=(CellSpec,), frozen=True, kw_only=True
)
"""CellSpec as it may be one day: with an option that no code knows."""

MADE_UP = Later(made_up=0.5)
NAMES = ["auto", *(["native"] if native is not None else []), *ENGINES]
REFUSAL = r"does not implement made_up=0\.5|runs the default cell"  # the second is what PyTorch's own kernels say
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("backend", NAMES)
def test_every_engine_refuses_an_option_that_it_does_not_know(backend: str) -> None:
    with pytest.raises(InputError, match=REFUSAL):
        LSTM(3, 4, cell=MADE_UP, backend=backend)


@pytest.mark.parametrize("backend", NAMES)
def test_an_option_at_its_default_asks_for_nothing(backend: str) -> None:
    lstm = LSTM(3, 4, cell=Later(), backend=backend)
    assert lstm.cell.made_up == 0.0
    if backend != "triton":
        plain = LSTM(3, 4, backend=backend)
        plain.load_state_dict(lstm.state_dict())
        values = torch.randn(5, 2, 3)
        assert torch.equal(lstm(values)[0], plain(values)[0])


def test_learners_of_streams_refuse_an_option_that_they_do_not_know() -> None:
    with pytest.raises(InputError, match=r"made_up=0\.5"):
        OnlineLSTM(2, 1, blocks=2, cell=MADE_UP)
    with pytest.raises(InputError, match=r"made_up=0\.5"):
        Topology(input_size=2, output_size=1, hidden_size=2, cell=MADE_UP)


@pytest.fixture
def known_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReferenceEngine, "fields", FIELDS | {"made_up"})


@pytest.mark.usefixtures("known_to_the_reference")
def test_what_the_reference_alone_knows_runs_there_in_every_call() -> None:
    lstm = LSTM(3, 4, cell=MADE_UP, dtype=torch.float64)
    values = torch.randn(5, 2, 3, dtype=torch.float64)
    assert lstm.backend_for(values) == "reference"
    for name in ENGINES.keys() - {"reference"}:
        with pytest.raises(InputError, match=REFUSAL):
            lstm(values, options=CallOptions(engine=name))
    # No short cut to the kernels goes round the choice of an engine.
    state = lstm.initial_state(2)
    with torch.no_grad():
        lstm.step(values[0], state)
    assert lstm._stepper is None or not lstm._stepper.layers
    batch = SequenceBatch.last_step(list(values.transpose(0, 1)), torch.randn(2, 1), dtype=torch.float64)
    network = Network(lstm, 1)
    assert not fits(network, batch)
    objective = NetworkObjective(network, SquaredError())
    theta = objective.theta
    assert (objective.curvature(theta, batch) @ theta).isfinite().all()


@pytest.mark.costly
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CellSpec)])
def test_the_random_cells_of_the_equivalence_tests_vary_every_option(field: str) -> None:
    default = getattr(CellSpec(), field)
    settings = hypothesis.settings(derandomize=True, database=None, max_examples=200)
    hypothesis.find(reference_cell_specs(), lambda spec: getattr(spec, field) != default, settings=settings)


def test_an_option_of_the_reference_alone_is_drawn_as_one_and_no_other_is() -> None:
    assert set(REFERENCE_ONLY) == FIELDS - COMMON_FIELDS
    defaults = CellSpec()
    settings = hypothesis.settings(max_examples=50)

    @settings
    @hypothesis.given(cell_specs())
    def every_engine_computes_the_others(spec: CellSpec) -> None:
        assert all(getattr(spec, name) == getattr(defaults, name) for name in REFERENCE_ONLY)

    every_engine_computes_the_others()


def test_at_its_default_an_option_of_the_reference_alone_draws_no_number_and_brings_no_parameter() -> None:
    assert CellSpec().extra_shapes(4) == {}
    lstm, values = LSTM(3, 4, backend="reference"), torch.randn(5, 2, 3)
    before = torch.get_rng_state()
    trained = lstm(values)[0]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(lstm.eval()(values)[0], trained)


def test_the_recipe_for_an_option_of_the_reference_names_at_most_five_files_that_exist() -> None:
    recipe = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## A cell option\n")[1].split("\n## ")[0]
    files = re.findall(r"^\d\. `([^`]+)`", recipe, re.MULTILINE)
    assert 2 <= len(files) <= 5
    assert not [name for name in files if not (ROOT / name).is_file()]
