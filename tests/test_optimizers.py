"""The table of optimisers: names, options of every kind, and refusals that list what is known."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.optim import CGMethod, HessianFreeMethod, LBFGSMethod, LevenbergMarquardtMethod, LinearCG, StrongWolfe
from longlag.optim.first_order import AdamOptions, AdamWOptions, MomentumOptions, SGDOptions
from longlag.optimizers import OPTIMIZERS, build, is_method, listed, names, naming_optimizers, normalised, option_values

CLASSES: dict[str, type[Any]] = {
    "sgd": SGDOptions,
    "momentum": MomentumOptions,
    "adam": AdamOptions,
    "adamw": AdamWOptions,
    "lbfgs": LBFGSMethod,
    "cg": CGMethod,
    "hessian_free": HessianFreeMethod,
    "levenberg_marquardt": LevenbergMarquardtMethod,
}
OTHER: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.5, "dampening": 0.0, "nesterov": True},
    "adam": {"beta1": 0.5, "beta2": 0.9, "eps": 1e-6, "amsgrad": True},
    "adamw": {"beta1": 0.5, "beta2": 0.9, "eps": 1e-6, "amsgrad": True},
    "lbfgs": {
        "history_size": 5,
        "learning_rate": 0.5,
        "curvature_test": 1e-6,
        "damped": True,
        "line_search.sufficient": 1e-3,
        "line_search.curvature": 0.5,
        "line_search.max_trials": 7,
        "line_search.growth": 4.0,
    },
    "cg": {
        "update": "fletcher-reeves",
        "learning_rate": 0.5,
        "orthogonality": None,
        "line_search.sufficient": 1e-3,
        "line_search.curvature": 0.1,
        "line_search.max_trials": 7,
        "line_search.growth": 4.0,
    },
    "hessian_free": {
        "damping": 1.0,
        "min_damping": 1e-3,
        "max_damping": 1e3,
        "decay": 0.5,
        "solver.max_iterations": 9,
        "solver.tolerance": 1e-3,
        "solver.residual": 1e-6,
        "solver.growth": 2.0,
        "preconditioner": "lbfgs",
        "curvature": "gauss_newton",
        "structural": 0.5,
        "backtracking": "always",
        "factor": 2.0,
    },
    "levenberg_marquardt": {"damping": 0.5, "scaling": "diagonal", "update": "marquardt", "max_trials": 3},
}
"""Every option of every optimiser, with a value that is not its default where the others allow one."""
each = pytest.mark.parametrize("name", OPTIMIZERS)


@each
def test_every_option_of_every_optimiser_can_be_set_by_its_name(name: str) -> None:
    """The table above is complete: a new option of a class has to be added to it."""
    assert option_values(CLASSES[name]()).keys() == OTHER[name].keys()
    made = build(name, OTHER[name])
    assert type(made) is CLASSES[name]
    assert option_values(made) == OTHER[name]


@each
def test_options_that_are_not_given_have_their_defaults(name: str) -> None:
    assert build(name) == build(name, {}) == CLASSES[name]()
    for option, value in OTHER[name].items():
        if option in ("min_damping", "nesterov"):  # others limit them
            continue
        alone = option_values(build(name, {option: value}))
        assert alone == option_values(CLASSES[name]()) | {option: value}


def test_parts_are_named_by_a_dot_or_are_mappings_or_the_parts_themselves() -> None:
    wanted = LBFGSMethod(history_size=5, line_search=StrongWolfe(curvature=0.5, max_trials=7))
    for options in (
        {"history_size": 5, "line_search.curvature": 0.5, "line_search.max_trials": 7},
        {"history_size": 5, "line_search": {"curvature": 0.5, "max_trials": 7}},
        {"history_size": 5, "line_search": StrongWolfe(curvature=0.5, max_trials=7)},
        {"history_size": 5, "line_search": {"curvature": 0.5}, "line_search.max_trials": np.int64(7)},
    ):
        assert build("lbfgs", options) == wanted


@each
def test_an_optimisers_options_and_its_name_with_options_are_the_same(name: str) -> None:
    usual = option_values(CLASSES[name]())
    changed = {option: value for option, value in OTHER[name].items() if value != usual[option]}
    assert normalised(build(name, OTHER[name]), None) == normalised(name, OTHER[name]) == (name, changed)
    assert normalised(CLASSES[name](), None) == normalised(name, None) == normalised(name, usual) == (name, {})


def test_numpys_numbers_become_plain_ones() -> None:
    _, options = normalised("hessian_free", {"damping": np.float64(0.5), "solver.max_iterations": np.int32(9)})
    assert options == {"damping": 0.5, "solver.max_iterations": 9}
    assert [type(value) for value in options.values()] == [float, int]


REFUSED: list[tuple[Any, Any, str]] = [
    ("lion", None, "optimizer is 'lion'; expected one of sgd, momentum, adam, adamw, lbfgs, cg, hessian_free, lev"),
    (
        StrongWolfe(),
        None,
        "optimizer is StrongWolfe(sufficient=0.0001, curvature=0.9, max_trials=50, growth=10.0); ",
    ),
    (3, None, "optimizer is 3; expected one of sgd, momentum"),
    (
        "lbfgs",
        {"size": 5},
        "optimizer='lbfgs' has no option 'size'; expected one of history_size, learning_rate, curva",
    ),
    ("lbfgs", {"line_search.size": 5}, "optimizer='lbfgs' has no option 'line_search.size'; expected one of history_"),
    ("lbfgs", {"line_search": LinearCG()}, "optimizer='lbfgs' has no option 'line_search.max_iterations'; expected on"),
    ("lbfgs", {"line_search": 0.5}, "optimizer='lbfgs' has no option 'line_search'; expected one of history_size, lea"),
    ("sgd", {"momentum": 0.5}, "optimizer='sgd' has no option 'momentum'; expected none, for it has no options"),
    ("lbfgs", {"line_search": {"growth": 2}, "line_search.growth": 3}, "optimizer_options gives line_search.growth tw"),
    ("lbfgs", ["history_size"], "optimizer_options is ['history_size']; expected a mapping from the names of options"),
    (LBFGSMethod(5), {"damped": True}, "optimizer is LBFGSMethod(history_size=5, learning_rate=1.0, curvature_test=1"),
    ("lbfgs", {"history_size": "5"}, "LBFGS: history_size is '5'; expected a whole number of at least 1"),
    ("hessian_free", {"solver.growth": 1}, "LinearCG: growth is 1; expected a finite number above 1"),
    ("adam", {"beta1": 1.0}, "adam: beta1 is 1.0; expected a number of at least 0 and below 1"),
    ("momentum", {"momentum": "much"}, "momentum: momentum is 'much'; expected a number of at least 0"),
    ("momentum", {"nesterov": True, "dampening": 0.5}, "momentum: nesterov is True; expected False, or a momentum abo"),
]


@pytest.mark.parametrize(("optimizer", "options", "message"), REFUSED)
def test_what_is_unknown_or_wrong_is_refused_with_what_is_known(optimizer: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        normalised(optimizer, options)
    assert str(caught.value).startswith(message)
    assert "; expected " in str(caught.value)


def test_methods_are_told_from_first_order_optimisers() -> None:
    assert names(methods=True) == ["lbfgs", "cg", "hessian_free", "levenberg_marquardt"]
    assert names(methods=False) == ["sgd", "momentum", "adam", "adamw"]
    assert names() == list(OPTIMIZERS)
    assert [is_method(one) for one in ("cg", "adam", CGMethod(), AdamOptions(), "lion", 3)] == [1, 0, 1, 0, 0, 0]


def test_docstrings_name_the_optimisers() -> None:
    @naming_optimizers
    def documented() -> None:
        """One of {optimizers}; {methods} are methods."""

    assert documented.__doc__ is not None
    assert documented.__doc__.startswith('One of "sgd", "momentum", "adam", "adamw", "lbfgs", "cg", ')
    assert documented.__doc__.endswith('; "lbfgs", "cg", "hessian_free", "levenberg_marquardt" are methods.')
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


@each
def test_options_are_frozen_and_all_have_defaults(name: str) -> None:
    made = CLASSES[name]()
    assert hash(made) == hash(CLASSES[name]())
    for field in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, 0)


@pytest.mark.processes
def test_the_table_is_read_without_pytorch() -> None:
    """``longlag fit --help`` lists the names, and need not wait."""
    program = "import sys; from longlag.optimizers import names; print(names(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{list(OPTIMIZERS)} False\n"
