"""What is run for each figure and claim of the batch paper, and what the paper has there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch

from longlag.optim import CGMethod, HessianFreeMethod, LBFGSMethod, LevenbergMarquardtMethod
from longlag.tasks import Adding, DelayedXor, Multiplication
from longlag_lab.batch2013.problem import Problem
from longlag_lab.batch2013.recipes import FirstOrder, Recipe, SecondOrder

__all__ = ["NAMES", "Case", "cases", "title_of"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of a figure: a problem, a recipe, and how many trials of them.

    ``paper`` is what the paper has there, where it has a number. ``panel`` is the figure's panel in which the row is
    drawn; "": it is drawn in all of them.
    """

    figure: str
    name: str
    title: str
    problem: Problem
    recipe: Recipe
    trials: int = 15
    paper: str | None = None
    panel: str = ""


# The slopes and biases of the prototypes that solved every trial at T = 100: alpha times bias is what counts.
LINEAR = Problem(output_activation="identity")
LOGISTIC = Problem()
XOR = replace(LINEAR, interval=0.5)

# lambda starts low: the first steps learn the mean, where the model is almost exact. On batches that are left after one
# step a Jacobian and a value or two are all that a step costs.
HESSIAN_FREE = SecondOrder(
    method=HessianFreeMethod(damping=1e-4, preconditioner="none", backtracking="needed"), batch=1000, evaluations=400
)
LEVENBERG_MARQUARDT = SecondOrder(
    method=LevenbergMarquardtMethod(scaling="identity", update="marquardt"), batch=1000, evaluations=400
)
LBFGS = SecondOrder(method=LBFGSMethod())
CG = SecondOrder(method=CGMethod(update="polak-ribiere+", orthogonality=None))
# The batch paper's: the Hessian by differences, negative curvature discarded, preconditioned by L-BFGS.
NUMERICAL = replace(
    HESSIAN_FREE, method=HessianFreeMethod(damping=1.0, curvature="numerical", preconditioner="lbfgs"), evaluations=1500
)
MOMENTUM = FirstOrder(passes=50)

METHODS: dict[str, tuple[str, Recipe, str | None]] = {
    "momentum": ("momentum 0.9, rate 0.1, batches of 100", MOMENTUM, None),
    "lbfgs": ("L-BFGS, all samples", LBFGS, "15 of 15"),
    "cg": ("nonlinear CG, all samples", CG, "15 of 15"),
    "hf": ("Hessian-free, Gauss-Newton, batches of 1,000", HESSIAN_FREE, None),
    "lm": ("Levenberg-Marquardt, batches of 1,000", LEVENBERG_MARQUARDT, None),
}


def _alpha() -> Iterator[Case]:
    """Figure 2(b): the slope of the gates, with input gates that start half open or almost shut; L-BFGS."""
    fewer = replace(LINEAR, training=2_000)
    for alpha in (1.0, 2.0, 3.0, 3.75, 5.0):
        for bias, word in ((0.0, "open"), (-4.0 / alpha, "shut")):
            yield Case(
                figure="fig2b",
                name=f"alpha-{alpha:g}-{word}",
                title=f"slope {alpha:g}, input gates {'almost' if bias else 'half'} {word}: bias {bias:.3g}",
                problem=replace(fewer, sharpness=alpha, input_gate_bias=bias),
                recipe=replace(LBFGS, evaluations=250),
                trials=3,
                panel=f"input gates {'almost' if bias else 'half'} {word}",
            )


def _batch_sizes() -> Iterator[Case]:
    """Figure 3(a): one sample an update, mini-batches, all samples."""
    for batch, passes in ((1, 3), (10, 20), (100, 50), (1000, 50), (10_000, 50)):
        yield Case(
            figure="fig3a",
            name=f"batch-{batch}",
            title="momentum 0.9, rate 0.1" if batch > 1 else "one sample an update, rate 0.1",
            problem=LINEAR,
            recipe=FirstOrder(batch=batch, momentum=0.9 if batch > 1 else 0.0, passes=passes, every=max(2000, batch)),
            trials=3,
            paper="best of the sizes" if batch == 100 else None,
        )


def _optimisers() -> Iterator[Case]:
    """Figure 3(c): error by passes and by seconds. The rows with a logistic output are harder."""
    for name, (title, recipe, paper) in METHODS.items():
        yield Case(figure="fig3c", name=name, title=title, problem=LINEAR, recipe=recipe, paper=paper)
    for name, called, recipe in (("lbfgs", "L-BFGS", LBFGS), ("cg", "nonlinear CG", CG)):
        yield Case(
            figure="fig3c",
            name=f"{name}-growing",
            title=f"{called}, up to 400 iterations on 2,000 samples, then on all",
            problem=LINEAR,
            recipe=replace(recipe, batch=2_000, growth=5.0, inner=400),
        )
    for name in ("hf", "lm"):
        title, recipe, _ = METHODS[name]
        yield Case(
            figure="fig3c",
            name=f"{name}-logistic",
            title=f"{title}; logistic output",
            problem=LOGISTIC,
            recipe=recipe,
        )


def _hessian_free() -> Iterator[Case]:
    """Section 5.3: 4 of 15 with the Hessian by differences."""
    sharp = replace(LOGISTIC, sharpness=3.75, input_gate_bias=-1.0)
    for name, word, problem, recipe, paper in (
        ("numerical", "sharp", sharp, NUMERICAL, "4 of 15"),
        ("gauss-newton", "sharp", sharp, HESSIAN_FREE, None),
        ("gauss-newton", "linear", LINEAR, HESSIAN_FREE, None),
    ):
        yield Case(
            figure="hf",
            name=f"{name}-{word}",
            title=f"{name} curvature, slope {problem.sharpness:g}, {problem.output_activation} output",
            problem=problem,
            recipe=recipe,
            paper=paper,
        )


def _xor() -> Iterator[Case]:
    """Return the supplement's delayed XOR at T = 100: the error cut or not, and each optimiser on the whole of it."""
    problem = replace(XOR, task=DelayedXor(T=100), judged="wrong")
    adam = FirstOrder(kind="adam", learning_rate=0.01, batch=100, passes=15, clip=1.0)
    rows: dict[str, tuple[str, Recipe]] = {
        "momentum": ("momentum 0.9, rate 0.1, batches of 100", replace(MOMENTUM, passes=15)),
        "adam": ("Adam, rate 0.01, batches of 100", adam),
    }
    gradients: tuple[Literal["truncated", "full"], ...] = ("truncated", "full")
    for gradient in gradients:
        for name, (title, recipe) in rows.items():
            yield Case(
                figure="xor",
                name=f"{name}-{gradient}",
                title=f"{title}; {gradient} gradient",
                problem=replace(problem, gradient=gradient),
                recipe=recipe,
                trials=10,
            )
    fewer = replace(problem, training=2_000)
    for name, whole in (("lbfgs", LBFGS), ("cg", CG)):
        title, recipe = f"{METHODS[name][0]}, 2,000 of them", replace(whole, evaluations=500)
        yield Case(figure="xor", name=name, title=title, problem=fewer, recipe=recipe, trials=5)
    for name in ("hf", "lm"):
        title, recipe, _ = METHODS[name]
        yield Case(figure="xor", name=name, title=title, problem=problem, recipe=recipe, trials=10)
    for name, short in (("hf", HESSIAN_FREE), ("lm", LEVENBERG_MARQUARDT)):
        yield Case(  # a trial that fails is stuck in a local minimum, where more evaluations do not help
            figure="xor",
            name=f"{name}-restarts",
            title=f"{METHODS[name][0]}; up to 8 starts of 150 evaluations",
            problem=replace(problem, starts=8),
            recipe=replace(short, evaluations=150),
            trials=10,
        )


def _precision() -> Iterator[Case]:
    """Section 5.4.1: single precision is not very stable."""
    for name in ("lbfgs", "cg", "hf", "lm"):
        for dtype, word in ((torch.float64, "float64"), (torch.float32, "float32")):
            title, recipe, _ = METHODS[name]
            yield Case(
                figure="precision",
                name=f"{name}-{word}",
                title=title,
                problem=replace(LINEAR, dtype=dtype, training=2_000),
                recipe=recipe,
                trials=5,
            )


STARTS: dict[str, tuple[str, Problem]] = {
    "": ("slope 2, bias -2", LINEAR),
    "-bias-3": ("slope 2, bias -3", replace(LINEAR, input_gate_bias=-3.0)),
    "-bias0": ("slope 2, bias 0", replace(LINEAR, input_gate_bias=0.0)),
    "-alpha1": ("slope 1, bias -4", replace(LINEAR, sharpness=1.0, input_gate_bias=-4.0)),
    "-alpha3.75": ("slope 3.75, bias -1", replace(LINEAR, sharpness=3.75, input_gate_bias=-1.0)),
    "-interval0.5": ("slope 2, bias -2, weights in [-0.5, 0.5]", replace(LINEAR, interval=0.5)),
    "-chrono": ("slope 1, forget gates, chrono", replace(LINEAR, sharpness=1.0, chrono=True)),
    "-logistic": ("slope 2, bias -2, logistic output", LOGISTIC),
}
STARTS_OF_THE_STUDY = ("-bias0", "-alpha1", "-alpha3.75", "-interval0.5", "-chrono", "-logistic")


def _lags() -> Iterator[Case]:
    """Beyond the paper: longer lags. What starts well at T = 300, and what goes on at T = 1000."""
    both = ("hf", "lm")
    for word, tasks, T, starts, names, trials in (
        ("multiplication", Multiplication, 300, ("",), both, 10),
        ("adding", Adding, 300, ("",), both, 10),
        ("multiplication", Multiplication, 300, STARTS_OF_THE_STUDY, ("lm",), 5),
        ("multiplication", Multiplication, 1000, ("", "-bias-3"), both, 5),
        ("adding", Adding, 1000, ("-bias-3",), both, 5),
    ):
        for name, start in itertools.product(names, starts):
            title, problem = STARTS[start]
            yield Case(
                figure="lags",
                name=f"{word}-{T}-{name}{start}",
                title=f"{METHODS[name][0]}; {title}",
                problem=replace(problem, task=tasks(T=T), test=1000),
                recipe=METHODS[name][1],
                trials=trials,
                panel=f"{word}, T = {T}",
            )
    fewer = replace(LINEAR, task=Multiplication(T=300), training=2_000, test=1000)
    for name, whole in (("lbfgs", LBFGS), ("cg", CG)):
        yield Case(
            figure="lags",
            name=f"multiplication-300-{name}",
            title=f"{METHODS[name][0]}, 2,000 of them; slope 2, bias -2",
            problem=fewer,
            recipe=replace(whole, evaluations=600),
            trials=5,
            panel="multiplication, T = 300",
        )
    yield Case(
        figure="lags",
        name="multiplication-300-adam-chrono",
        title="Adam, rate 0.01, batches of 20; slope 1, forget gates, chrono",
        problem=replace(STARTS["-chrono"][1], task=Multiplication(T=300), test=1000),
        recipe=FirstOrder(kind="adam", learning_rate=0.01, batch=20, passes=10, clip=1.0),
        trials=5,
        panel="multiplication, T = 300",
    )


_ALL = {
    "fig2b": ("Figure 2(b): the slope of the gates", _alpha),
    "fig3a": ("Figure 3(a): the size of the batch", _batch_sizes),
    "fig3c": ("Figure 3(c): the optimisers", _optimisers),
    "hf": ("Section 5.3: Hessian-free", _hessian_free),
    "xor": ("The supplement's delayed XOR", _xor),
    "precision": ("Section 5.4.1: precision", _precision),
    "lags": ("Longer lags", _lags),
}
NAMES = tuple(_ALL)


def cases(figure: str) -> list[Case]:
    """Return the rows of a figure, which is one of ``NAMES``."""
    return list(_ALL[figure][1]())


def title_of(figure: str) -> str:
    """Return what stands above a figure's table."""
    return _ALL[figure][0]
