"""What counts as sequences, that all forms of the same sequences are the same, and what is refused in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

import longlag.estimators.base
from longlag.data import Sequences, Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMRegressor
from longlag.estimators.sequences import Steps

QUICK = {"n_networks": 1, "hidden_size": 4, "max_epochs": 2, "random_state": 0}

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(12, 5))
CUBE = RNG.normal(size=(12, 5, 3))
RAGGED = [RNG.normal(size=(length, 3)) for length in (1, 7, 3, 2, 9, 4, 4, 1, 6, 5, 8, 2)]
CLASSES = np.arange(12) % 3
VALUES = RNG.normal(size=12)


def object_array(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def probabilities(X: Any) -> np.ndarray:
    found: np.ndarray = LSTMClassifier(**QUICK).fit(X, CLASSES).predict_proba(X)
    return found


# -- forms -------------------------------------------------------------------------------------------------------------

TABLES: dict[str, Callable[[], Any]] = {
    "3-D array with one feature": lambda: TABLE[:, :, None],
    "list of 1-D arrays": lambda: list(TABLE),
    "list of 2-D arrays": lambda: [row[:, None] for row in TABLE],
    "list of lists": TABLE.tolist,
    "tuple of arrays": lambda: tuple(TABLE),
    "object array of arrays": lambda: object_array(list(TABLE)),
    "array of objects": lambda: TABLE.astype(object),
    "data frame": lambda: pd.DataFrame(TABLE, columns=list("abcde")),
    "pandas series of arrays": lambda: pd.Series(list(TABLE)),
    "list of pandas series": lambda: [pd.Series(row) for row in TABLE],
    "Fortran order": lambda: np.asfortranarray(TABLE),
    "tensor": lambda: torch.from_numpy(TABLE.copy()),
    "list of tensors": lambda: [torch.from_numpy(row.copy()).requires_grad_() for row in TABLE],
}


@pytest.mark.costly
@pytest.mark.parametrize("form", TABLES)
def test_rows_of_a_table_are_sequences_of_one_feature_whatever_holds_them(form: str) -> None:
    np.testing.assert_array_equal(probabilities(TABLES[form]()), probabilities(TABLE), strict=True)


CUBES: dict[str, Callable[[], Any]] = {
    "list of arrays": lambda: list(CUBE),
    "nested lists": CUBE.tolist,
    "3-D array of objects": lambda: CUBE.astype(object),
    "list of data frames": lambda: [pd.DataFrame(sequence) for sequence in CUBE],
    "tensor": lambda: torch.from_numpy(CUBE.copy()),
    "transposed memory": lambda: np.ascontiguousarray(CUBE.transpose(2, 1, 0)).transpose(2, 1, 0),
    "Sequences": lambda: Sequences(list(CUBE), tuple(map(str, range(12))), ("a", "b", "c")),
}


@pytest.mark.parametrize("form", CUBES)
def test_several_features_are_the_same_whatever_holds_them(form: str) -> None:
    np.testing.assert_array_equal(probabilities(CUBES[form]()), probabilities(CUBE), strict=True)


@pytest.mark.parametrize("holder", [list, tuple, object_array, lambda items: [item.tolist() for item in items]])
def test_sequences_of_unequal_length_are_the_same_whatever_holds_them(holder: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(probabilities(holder(RAGGED)), probabilities(RAGGED), strict=True)


@pytest.mark.costly
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint64, np.bool_])
@pytest.mark.parametrize("X", [TABLE, CUBE], ids=["table", "3-D"])
def test_every_kind_of_number_counts_as_its_float64(X: np.ndarray, dtype: type) -> None:
    narrow = np.abs(3 * X).astype(dtype)
    np.testing.assert_array_equal(probabilities(narrow), probabilities(narrow.astype(np.float64)))


def test_what_a_model_was_fitted_on_can_be_asked() -> None:
    frame = pd.DataFrame(TABLE, columns=list("abcde"))
    model = LSTMClassifier(**QUICK).fit(frame, CLASSES)
    assert (model.n_features_in_, model.n_steps_in_, list(model.feature_names_in_)) == (5, 5, list("abcde"))
    model.fit(RAGGED, CLASSES)
    assert (model.n_features_in_, model.n_steps_in_, hasattr(model, "feature_names_in_")) == (3, None, False)


# -- each sequence by itself -------------------------------------------------------------------------------------------


def test_an_answer_does_not_depend_on_the_other_sequences() -> None:
    model = LSTMRegressor(**QUICK).fit(RAGGED, VALUES)
    together = model.predict(RAGGED)
    alone = np.concatenate([model.predict([sequence]) for sequence in RAGGED])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-13)
    np.testing.assert_allclose(model.predict(RAGGED[::-1]), together[::-1], rtol=0, atol=1e-13)


def test_answers_are_the_networks_own_at_the_last_step() -> None:
    model = LSTMRegressor(**QUICK).fit(RAGGED, VALUES)
    network = model.network_.double()
    for sequence, answer in zip(RAGGED, model.predict(RAGGED), strict=True):
        with torch.no_grad():
            outputs, _ = network(torch.from_numpy(model.input_scaler_.transform(sequence)))
        expected = model.target_scaler_.inverse(outputs[-1:].numpy())
        np.testing.assert_allclose(answer, expected[0, 0], rtol=1e-12)


def test_lengths_may_be_new_in_predictions() -> None:
    for X in (list(TABLE), TABLE[:, :, None]):
        model = LSTMClassifier(**QUICK).fit(X, CLASSES)
        longer = RNG.normal(size=(3, 11))
        np.testing.assert_array_equal(model.predict_proba(longer), model.predict_proba(list(longer)))
    on_table = LSTMClassifier(**QUICK).fit(TABLE, CLASSES)
    np.testing.assert_array_equal(on_table.predict_proba(list(longer)), model.predict_proba(longer))


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=30))
def test_passes_cover_every_sequence_once_in_bounded_memory(lengths: list[int]) -> None:
    steps = Steps(np.zeros((sum(lengths), 1)), np.array(lengths))
    portions = list(steps.passes())
    np.testing.assert_array_equal(np.sort(np.concatenate(portions)), np.arange(len(lengths)))
    for portion in portions:
        assert len(portion) == 1 or steps.lengths[portion].max() * len(portion) <= 2**16


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_taken_sequences_keep_their_steps(lengths: list[int], random: Any) -> None:
    values = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    arrays = np.split(values, np.cumsum(lengths)[:-1])
    chosen = [random.randrange(len(lengths)) for _ in range(4)]
    taken = Steps(values, np.array(lengths)).take(np.array(chosen))
    np.testing.assert_array_equal(taken.values, np.concatenate([arrays[number] for number in chosen]))
    inputs, counted = taken.padded(torch.float64)
    for column, number in enumerate(chosen):
        np.testing.assert_array_equal(inputs[: counted[column], column].numpy(), arrays[number])
        assert not inputs[counted[column] :, column].any()


# -- the user's data stay as they are ----------------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
def test_nothing_is_written_into_the_users_arrays(standardize: bool) -> None:
    table, cube, ragged = TABLE.copy(), CUBE.copy(), [sequence.copy() for sequence in RAGGED]
    values = VALUES.copy()
    for array in (table, cube, values, *ragged):
        array.flags.writeable = False
    for X in (table, cube, ragged):
        LSTMRegressor(standardize=standardize, **QUICK).fit(X, values).predict(X)
    np.testing.assert_array_equal(cube, CUBE)


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[SequenceBatch | None]:
    """What the training loop was given last: training part, validation part."""
    seen: list[SequenceBatch | None] = []
    train = longlag.estimators.base.train

    def watched(network: Any, loss: Any, data: Any, config: Any, *, validation: Any, **options: Any) -> Any:
        seen[:] = [data, validation]
        return train(network, loss, data, config, validation=validation, **options)

    monkeypatch.setattr(longlag.estimators.base, "train", watched)
    return seen


def test_scales_are_measured_on_the_training_part_alone(trained_on: list[SequenceBatch]) -> None:
    X, y = [5 + 3 * RNG.normal(size=(length, 2)) for length in range(1, 41)], 100 + RNG.normal(size=(40, 2))
    LSTMRegressor(validation_fraction=0.5, **QUICK).fit(X, y)
    training, validation = trained_on
    assert (len(training), len(validation)) == (20, 20)
    for values in (training.inputs[training.step_mask], training.targets[training.target_mask]):
        assert values.mean(0).abs().max() < 1e-6
        assert (values.std(0, unbiased=False) - 1).abs().max() < 1e-6
    assert validation.inputs[validation.step_mask].mean(0).abs().max() > 1e-3


def test_nothing_is_scaled_without_standardize(trained_on: list[SequenceBatch]) -> None:
    LSTMRegressor(standardize=False, **QUICK).fit(CUBE, 1000 * VALUES)
    np.testing.assert_array_equal(trained_on[0].inputs.numpy(), CUBE.astype(np.float32).transpose(1, 0, 2))
    np.testing.assert_array_equal(trained_on[0].targets[-1, :, 0].numpy(), (1000 * VALUES).astype(np.float32))


def test_every_class_gives_its_share_to_validation_and_keeps_some(trained_on: list[SequenceBatch]) -> None:
    y = np.array(["common"] * 60 + ["rare"] * 20 + ["once"])
    model = LSTMClassifier(validation_fraction=0.25, **QUICK).fit(RNG.normal(size=(81, 2)), y)
    held_out = np.bincount(trained_on[1].targets[-1].numpy(), minlength=3)
    assert model.classes_.tolist() == ["common", "once", "rare"]
    assert held_out.tolist() == [15, 0, 5]
    assert model.n_validation_ == 20


@pytest.mark.costly
def test_the_last_of_a_class_is_never_set_aside(trained_on: list[SequenceBatch]) -> None:
    y = ["many"] * 10 + ["one", "two", "three", "four"]
    for seed in range(5):
        LSTMClassifier(validation_fraction=0.5, hidden_size=2, max_epochs=1, random_state=seed).fit(np.eye(14, 2), y)
        assert set(trained_on[0].targets[-1].tolist()) == set(range(5))
        assert 3 <= len(trained_on[1]) <= 7


@pytest.mark.parametrize(
    ("fraction", "count", "held_out"),
    [(None, 499, 0), (None, 500, 50), (0.0, 600, 0), (0.1, 20, 2), (0.01, 20, 1), (0.99, 20, 19), (0.5, 1, 0)],
)
def test_so_many_sequences_are_set_aside(
    fraction: float | None, count: int, held_out: int, trained_on: list[SequenceBatch | None]
) -> None:
    model = LSTMRegressor(validation_fraction=fraction, hidden_size=1, max_epochs=1, batch_size=count, random_state=0)
    model.fit(np.zeros((count, 1)), np.arange(count))
    assert model.n_validation_ == held_out
    assert len(trained_on[0]) == count - held_out  # type: ignore[arg-type]
    assert (trained_on[1] is None) == (held_out == 0)


# -- refusals ----------------------------------------------------------------------------------------------------------


def with_value(X: Any, place: tuple[int, ...], value: Any) -> Any:
    changed = np.array(X, dtype=object if isinstance(value, str) else None)
    changed[place] = value
    return changed


def ragged_with(number: int, sequence: Any) -> list[Any]:
    return [*RAGGED[:number], sequence, *RAGGED[number + 1 :]]


NOT_SEQUENCES: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN in a 3-D array": (
        lambda: with_value(CUBE, (4, 2, 1), np.nan),
        "sequence 4 is nan at step 2, feature 1; expected finite numbers",
    ),
    "infinity in a list": (
        lambda: ragged_with(6, with_value(RAGGED[6], (3, 0), -np.inf)),
        "sequence 6 is -inf at step 3, feature 0; expected finite numbers",
    ),
    "no steps": (
        lambda: ragged_with(2, np.zeros((0, 3))),
        r"sequence 2 has shape \(0, 3\); expected at least one step",
    ),
    "empty list": (lambda: ragged_with(2, []), r"sequence 2 has shape \(0,\); expected at least one step"),
    "other features": (
        lambda: ragged_with(5, np.zeros((4, 2))),
        "sequence 5 has 2 features, but sequence 0 has 3; expected the same number in all",
    ),
    "a number among arrays": (lambda: ragged_with(3, 1.5), "sequence 3 is a float; expected an array"),
    "None among arrays": (lambda: ragged_with(3, None), "sequence 3 is a NoneType; expected an array"),
    "too deep": (lambda: ragged_with(3, np.zeros((2, 2, 3))), r"sequence 3 has shape \(2, 2, 3\); expected an array"),
    "ragged steps": (lambda: [[[1.0, 2.0], [3.0]], [[1.0, 2.0]]], "sequence 0 is not rectangular"),
    "4-D": (lambda: np.zeros((12, 2, 2, 2)), r"sequence 0 has shape \(2, 2, 2\)"),
    "3-D without steps": (lambda: np.zeros((12, 0, 3)), r"X has shape \(12, 0, 3\); expected at least one sequence"),
    "3-D without sequences": (lambda: np.zeros((0, 4, 3)), r"X has shape \(0, 4, 3\)"),
    "3-D without features": (lambda: np.zeros((12, 4, 0)), r"X has shape \(12, 4, 0\)"),
    "complex 3-D": (lambda: CUBE + 1j, "Complex data not supported: X is complex128"),
    "complex in a list": (lambda: ragged_with(1, RAGGED[1] * 1j), "Complex data not supported: sequence 1"),
    "text 3-D": (lambda: CUBE.astype(str), "X holds a str_; expected numbers"),
    "text among objects": (lambda: with_value(CUBE, (0, 1, 2), "1.5"), "X holds a str; expected numbers"),
    "text in a list": (lambda: ragged_with(7, [["a", "b", "c"]]), "sequence 7 holds a str_; expected numbers"),
    "dates": (lambda: CUBE.astype("datetime64[s]"), "X holds a datetime"),
    "a batch with targets of its own": (
        lambda: SequenceBatch.last_step([torch.zeros(2, 1)], torch.zeros(1, 1)),
        "X is a SequenceBatch",
    ),
}


@pytest.mark.parametrize("case", NOT_SEQUENCES)
def test_a_bad_sequence_is_refused_by_number_and_step(case: str) -> None:
    make, message = NOT_SEQUENCES[case]
    with pytest.raises(InputError, match=message):
        LSTMClassifier(**QUICK).fit(make(), CLASSES)
    if case not in ("other features", "ragged steps"):  # whose first sequences have another width than in fit
        model = LSTMClassifier(**QUICK).fit(RAGGED, CLASSES)
        with pytest.raises(InputError, match=message):
            model.predict(make())


NOT_TABLES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "NaN": (lambda: with_value(TABLE, (3, 1), np.nan), ValueError, "Input X contains NaN"),
    "infinity": (lambda: with_value(TABLE, (3, 1), np.inf), ValueError, "Input X contains infinity"),
    "sparse": (lambda: scipy.sparse.csr_array(TABLE), TypeError, "Sparse data was passed"),
    "complex": (lambda: TABLE + 0j, ValueError, "Complex data not supported"),
    "text": (lambda: TABLE.astype(str), ValueError, "arrays of bytes/strings"),
    "one number per row": (lambda: TABLE[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
    "one number": (lambda: 3.0, ValueError, "Expected 2D array, got scalar array instead"),
    "nothing": (list, ValueError, "Expected 2D array, got 1D array instead"),
    "no rows": (lambda: TABLE[:0], ValueError, r"Found array with 0 sample\(s\)"),
    "no columns": (lambda: TABLE[:, :0], ValueError, r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1"),
    "empty lists": (lambda: [[] for _ in range(12)], ValueError, r"0 feature\(s\)"),
    "arrays in cells": (
        lambda: pd.DataFrame({"a": list(TABLE), "b": list(TABLE)}).to_numpy(),
        ValueError,
        "setting an array element with a sequence",
    ),
    "text instead of data": (lambda: "sunspots", ValueError, "Expected 2D array"),
}


@pytest.mark.costly
@pytest.mark.parametrize("case", NOT_TABLES)
def test_a_bad_table_is_refused_in_scikit_learns_words(case: str) -> None:
    make, kind, message = NOT_TABLES[case]
    for fitted_on in (TABLE, list(TABLE)):
        with pytest.raises(kind, match=message):
            LSTMClassifier(**QUICK).fit(make(), CLASSES)
        model = LSTMClassifier(**QUICK).fit(fitted_on, CLASSES)
        with pytest.raises(kind, match=message):
            model.predict(make())


def test_a_single_sequence_of_several_features_is_not_taken_for_a_table() -> None:
    model = LSTMClassifier(**QUICK).fit(RAGGED, CLASSES)
    with pytest.raises(InputError, match=r"fitted on 3 features per step; expected .* \(steps, 3\).*a list of one"):
        model.predict(RAGGED[1])
    assert model.predict([RAGGED[1]]).shape == (1,)


def test_a_table_of_another_width_is_refused_by_a_model_fitted_on_tables() -> None:
    model = LSTMClassifier(**QUICK).fit(TABLE, CLASSES)
    with pytest.raises(ValueError, match="X has 4 features, but LSTMClassifier is expecting 5 features as input"):
        model.predict(TABLE[:, 1:])
    with pytest.raises(InputError, match="X has 3 features per step, but LSTMClassifier is expecting 1 features per"):
        model.predict(CUBE)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("X", [TABLE, CUBE, RAGGED], ids=["table", "3-D", "list"])
def test_sequences_and_answers_must_be_equally_many(kind: Any, X: Any) -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        kind(**QUICK).fit(X, CLASSES[:-1])
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        kind(**QUICK).fit(X, None)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_value_too_large_for_the_network_is_refused_by_step(standardize: bool) -> None:
    model = LSTMClassifier(standardize=standardize, **QUICK)
    huge = [sequence * 1e-30 for sequence in RAGGED]
    model.fit(huge, CLASSES)
    huge[4] = with_value(huge[4], (5, 2), 1e300)
    if standardize:
        with pytest.raises(InputError, match=r"sequence 4 is 1e\+300 at step 5, feature 2, which is too large"):
            model.predict(huge)
    else:
        with pytest.raises(InputError, match=r"sequence 4 is 1e\+300 at step 5, feature 2, which is too large for"):
            model.fit(huge, CLASSES)


def test_values_of_any_size_are_fine_once_standardised() -> None:
    np.testing.assert_allclose(probabilities(CUBE * 2.0**600), probabilities(CUBE), rtol=1e-4)
    assert isinstance(LSTMClassifier(**QUICK).fit(CUBE, CLASSES).input_scaler_, Standardizer)
