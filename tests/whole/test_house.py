"""The directions of the house: what each part may import, and that no imports form a cycle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("wire", "server", "cli_client", "desktop_client")

# The rooms of the sender, with those that each may import. Its root, the command, may import all.
ROOMS: dict[str, set[str]] = {
    "spread": {"engine", "ledger"},
    "engine": {"ledger"},
    "ledger": set(),
    "reports": {"ledger"},
    "faults": {"engine", "ledger", "reports"},
}
# Files at the root of the sender that every room may import. They import each other and the wire.
GROUND = {"settings", "share", "secrets"}


def find_modules() -> dict[str, Path]:
    """Return each module of the house by its full name, a package by that of its folder."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for part in PARTS
        for path in sorted((ROOT / part).rglob("*.py"))
    }


MODULES = find_modules()


def find_imports(path: Path) -> set[str]:
    """Return the modules of the house that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            submodules = [f"{module}.{alias.name}" for alias in node.names]
            # `from a import b` imports the module a.b where there is one, and a otherwise.
            names = [name if name in MODULES else module for name in submodules]
        else:
            continue
        found.update(name for name in names if name in MODULES)
    return found


IMPORTS = {module: find_imports(path) for module, path in MODULES.items()}


def find_breaches(part: str, allowed: set[str]) -> list[str]:
    """Return the imports of one part that lead to a part that it may not know."""
    return [
        f"{module} imports {imported}"
        for module, names in IMPORTS.items()
        if module.split(".")[0] == part
        for imported in names
        if imported.split(".")[0] not in {part, *allowed}
    ]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_imports_the_wire_and_no_sibling(part: str) -> None:
    assert find_breaches(part, set() if part == "wire" else {"wire"}) == []


def test_each_folder_of_the_sender_is_a_room_with_directions() -> None:
    folders = {path.parent.name for path in (ROOT / "cli_client").glob("*/__init__.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_sender_imports_only_what_lies_below_it(room: str) -> None:
    allowed = {room, *ROOMS[room], *GROUND}
    breaches = [
        f"{module} imports {imported}"
        for module, names in IMPORTS.items()
        if module.split(".")[:2] == ["cli_client", room]
        for imported in names
        if imported.startswith("cli_client.") and imported.split(".")[1] not in allowed
    ]
    assert breaches == []


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_of_the_sender_knows_no_room(name: str) -> None:
    imported = IMPORTS[f"cli_client.{name}"]
    assert imported <= {*(f"cli_client.{other}" for other in GROUND)} | {
        module for module in MODULES if module.startswith("wire")
    }


def test_no_imports_form_a_cycle() -> None:
    list(TopologicalSorter(IMPORTS).static_order())
