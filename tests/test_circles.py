"""No module imports, by whatever way, a module that imports it; imports for type checkers alone count too."""

from __future__ import annotations

from collections.abc import Iterator

import grimp
import pytest


def circles(graph: grimp.ImportGraph) -> Iterator[set[str]]:
    """Sets of modules that reach each other (Tarjan's strongly connected components, of more than one module)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []

    def visit(module: str) -> Iterator[set[str]]:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in number:
                yield from visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in path:
                lowest[module] = min(lowest[module], number[imported])
        if lowest[module] == number[module]:
            circle = set(path[path.index(module) :])
            del path[path.index(module) :]
            if len(circle) > 1:
                yield circle

    for module in sorted(graph.modules):
        if module not in number:
            yield from visit(module)


@pytest.mark.parametrize("package", ["longlag", "longlag_lab"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    # `from longlag import _native` asks for the compiled module, which grimp takes for the package's menu.
    for importer in graph.find_modules_that_directly_import(package):
        if any(
            "_native" in line["line_contents"] for line in graph.get_import_details(importer=importer, imported=package)
        ):
            graph.remove_import(importer=importer, imported=package)
    assert list(circles(graph)) == []


def test_a_circle_of_three_is_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert list(circles(graph)) == [{"a", "b", "c"}]
