"""The command-line programs: each reads the configuration, assembles the parts and runs them."""

# Modules of this folder that are no programs.
HELPERS = (
    "agent_parts",
    "benchmark_case",
    "benchmark_vision",
    "classifier_encoders",
    "classifier_parts",
    "startup",
    "task_parts",
    "trained_classifier",
)
