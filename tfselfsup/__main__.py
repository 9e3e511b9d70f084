"""`tfselfsup NAME ...` runs the program NAME, as `bin/NAME ...` does in a clone."""

import importlib
import pkgutil
import sys
import warnings

from tfselfsup.messages import one_line


def main() -> None:
    """Runs the program that the first argument names; the others are the program's own."""
    from tfselfsup import programs

    found = sorted(
        module.name
        for module in pkgutil.iter_modules(programs.__path__)
        if module.name not in programs.HELPERS
    )
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(f"usage: tfselfsup NAME ...\n\nprograms: {', '.join(found)}")
        return
    if name not in found:
        _fail(f"expected a program among {', '.join(found)}, got '{name}'")
    del sys.argv[0]
    run(name)


def run(name: str) -> None:
    """Runs a program with the process's arguments, which begin after the program's name.

    Args:
        name: Its module in `tfselfsup.programs`.
    """
    if sys.version_info[:2] != (3, 11):
        # TF-Agents' last release needs TensorFlow 2.15, whose wheels end at Python 3.11.
        _fail(f"expected Python 3.11, got {sys.version.split()[0]}; see README.md")
    warnings.showwarning = _show_warning
    try:
        importlib.import_module(f"tfselfsup.programs.{name}").main()
    except ModuleNotFoundError as error:
        if str(error.name).startswith("tfselfsup"):
            raise
        _fail(f"the package '{error.name}' is not installed; see README.md for the installation")
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_warning(message, category, filename, line, file=None, source=None) -> None:
    """Shows a warning as one line, without the line of code it is from."""
    del category, filename, line, source
    print(f"warning: {one_line(message)}", file=file or sys.stderr)


def _fail(message: str) -> None:
    print(f"tfselfsup: error: {message}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
