"""`tfselfsup NAME ...` runs the program NAME, as `bin/NAME ...` does in a clone."""

import importlib
import pkgutil
import sys

from tfselfsup import programs


def main() -> None:
    """Runs the program that the first argument names; the others are the program's own."""
    found = {
        module.name
        for module in pkgutil.iter_modules(programs.__path__)
        # Modules without a bin/ program of their name only help the others.
        if module.name not in programs.HELPERS
    }
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(f"usage: tfselfsup NAME ...\n\nprograms: {', '.join(sorted(found))}")
        return
    if name not in found:
        print(
            f"tfselfsup: error: expected a program among {', '.join(sorted(found))}, got '{name}'",
            file=sys.stderr,
        )
        raise SystemExit(2)
    del sys.argv[0]
    importlib.import_module(f"tfselfsup.programs.{name}").main()


if __name__ == "__main__":
    main()
