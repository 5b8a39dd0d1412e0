"""``python farm``: the folder as a package, whatever the working folder is and without the checkout's other folders."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    if sys.version_info < (3, 11):  # for tomllib
        sys.stderr.write(f"farm: it needs Python 3.11 or newer, and this is {sys.version.split()[0]}\n")
        return 1
    sys.path[:] = [path for path in sys.path if path and Path(path).resolve() != HERE]
    found = importlib.util.spec_from_file_location("farm", HERE / "__init__.py", submodule_search_locations=[str(HERE)])
    assert found is not None and found.loader is not None
    package = importlib.util.module_from_spec(found)
    sys.modules["farm"] = package
    found.loader.exec_module(package)
    from farm.cli import main as command  # pyright: ignore[reportMissingImports]

    return command()


if __name__ == "__main__":
    sys.exit(main())
