"""The Python face of the compiled module: everything by name, and a stub that says so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from longlag.cell import CellSpec

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)
stubgen = pytest.importorskip("nanobind.stubgen")

LIBRARY = "longlag._native"
# In the repository, not beside the import: an editable install puts the compiled module elsewhere than its sources.
ROOT = Path(__file__).parents[2]
STUBS = {
    LIBRARY: ROOT / "src/longlag/_native.pyi",
    "longlag_lab._native": ROOT / "laboratory/src/longlag_lab/_native.pyi",
}
MODULES = list(STUBS)


def stub(module: str) -> ast.Module:
    """The stub that is committed beside a compiled module."""
    return ast.parse(STUBS[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_the_committed_stub_is_what_the_compiled_module_says(module: str) -> None:
    compiled = pytest.importorskip(module, reason="the compiled module was not built", exc_type=ImportError)
    generator = stubgen.StubGen(compiled)
    generator.put(compiled)
    generated = ast.unparse(ast.parse(generator.get()))
    assert ast.unparse(stub(module)) == generated, f"run: python -m nanobind.stubgen -m {module}, then make format"


def functions(module: str) -> dict[str, ast.FunctionDef]:
    """Every function and method of a compiled module by its dotted name."""
    tree = stub(module)
    named = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        named |= {f"{owner.name}.{node.name}": node for node in owner.body if isinstance(node, ast.FunctionDef)}
    return named


@pytest.mark.parametrize(
    ("module", "known"), list(zip(MODULES, ["Layer.forward32", "RecurrentBank32.read"], strict=True))
)
def test_every_argument_of_a_compiled_module_has_a_name_and_only_a_step_takes_many_by_position(
    module: str, known: str
) -> None:
    bound = functions(module)
    assert known in bound
    for name, function in bound.items():
        positional = [argument.arg for argument in function.args.args if argument.arg != "self"]
        assert not function.args.posonlyargs, name
        assert not any(argument.startswith("arg") for argument in positional), name  # nanobind's names of the nameless
        assert len(positional) <= 4 or name in ("Layer.step32", "Layer.step64"), name


def cell(**changes: object) -> object:
    fields = {name: getattr(CellSpec(), name) for name in cell_fields()}
    return _native.Cell(**(fields | changes))


def cell_fields() -> list[str]:
    init = functions(LIBRARY)["Cell.__init__"]
    return [argument.arg for argument in init.args.kwonlyargs]


def test_the_fields_of_the_compiled_cell_are_fields_of_a_cell_spec() -> None:
    assert set(cell_fields()) <= set(CellSpec.__dataclass_fields__)


def test_a_squashing_that_the_kernels_do_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="input_squash is 'relu'; expected one of tanh, logistic"):
        cell(input_squash="relu")


def test_a_field_that_the_kernels_do_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        cell(zoneout=0.5)


def test_a_field_that_is_left_out_is_refused() -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _native.Cell(cells_per_block=1)
