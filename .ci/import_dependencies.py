"""Imports every module outside the standard library that the package names."""

import ast
import importlib
import sys
from pathlib import Path

# Of extras that the tests do without.
OPTIONAL = {"tf_keras_vis"}

names = set()
for path in Path("tfselfsup").rglob("*.py"):
    if path.parent.name == "peers":
        continue  # scripts for other libraries, which run in environments of their own
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
known = OPTIONAL | set(sys.stdlib_module_names)
outside = sorted(name for name in names if name.split(".")[0] not in known)
for name in outside:
    importlib.import_module(name)
print(f"imported {len(outside)} modules: {', '.join(outside)}")
