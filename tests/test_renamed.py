"""Old public names work for one release, with a warning that names the new one."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from longlag.errors import InputError
from longlag.renamed import renamed, renamed_arguments


def test_an_old_name_warns_and_is_the_object_of_today() -> None:
    old = renamed("longlag.errors", {"BadInput": "InputError"})
    with pytest.warns(DeprecationWarning, match=r"longlag\.errors\.BadInput is now longlag\.errors\.InputError"):
        assert old("BadInput") is InputError


def test_an_old_name_is_found_where_it_has_moved() -> None:
    old = renamed("longlag.nn.layout", {"BadInput": "longlag.errors:InputError"})
    with pytest.warns(DeprecationWarning, match=r"now longlag\.errors\.InputError"):
        assert old("BadInput") is InputError


def test_a_name_that_never_was_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'longlag\.errors' has no attribute 'Nothing'"):
        renamed("longlag.errors", {})("Nothing")


@renamed_arguments(history="history_size", lr="learning_rate")
def configured(*, history_size: int = 10, learning_rate: float = 1.0) -> tuple[int, float]:
    return history_size, learning_rate


@renamed_arguments(history="history_size")
@dataclasses.dataclass(frozen=True)
class Options:
    """Options of something."""

    history_size: int = 10


def test_an_old_argument_warns_and_means_the_new_one() -> None:
    with pytest.warns(
        DeprecationWarning, match=r"configured\(history=...\) is now configured\(history_size=...\)"
    ) as seen:
        assert configured(history=3) == (3, 1.0)
    assert seen[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="the old name goes with the next release") as seen:
        assert configured(history=3, lr=0.5) == (3, 0.5)
    assert len(seen) == 2
    assert configured(history_size=4, learning_rate=0.5) == (4, 0.5)
    assert inspect.signature(configured).parameters.keys() == {"history_size", "learning_rate"}


def test_an_old_argument_of_a_class_warns_and_is_its_attribute_too() -> None:
    with pytest.warns(DeprecationWarning, match=r"Options\(history=...\) is now Options\(history_size=...\)") as seen:
        options = Options(history=3)
    assert seen[0].filename == __file__
    assert options == Options(3) == Options(history_size=3)
    with pytest.warns(DeprecationWarning, match=r"Options\.history is now Options\.history_size") as seen:
        assert options.history == 3
    assert seen[0].filename == __file__
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.history = 4
    assert [field.name for field in dataclasses.fields(options)] == ["history_size"]
    assert dataclasses.replace(options, history_size=4) == Options(4)


def test_an_old_attribute_that_could_be_set_still_can() -> None:
    @renamed_arguments(history="history_size")
    class Mutable:
        def __init__(self, history_size: int) -> None:
            self.history_size = history_size

    thing = Mutable(3)
    with pytest.warns(DeprecationWarning, match=r"Mutable\.history is now Mutable\.history_size") as seen:
        thing.history = 4
    assert seen[0].filename == __file__
    assert thing.history_size == 4


def test_both_names_of_an_argument_are_one_too_many() -> None:
    with pytest.raises(InputError, match="Options was given history and history_size, its name today; expected"):
        Options(history=3, history_size=4)
    with pytest.raises(InputError, match="configured was given lr and learning_rate"):
        configured(lr=1.0, learning_rate=1.0)


def test_an_argument_that_never_was_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="memory"):
        Options(memory=3)
