"""Old public names work for one release, with a warning that names the new one."""

from __future__ import annotations

import pytest

from longlag.errors import InputError
from longlag.renamed import renamed


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
