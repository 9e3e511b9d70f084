"""The command-line programs: each reads the configuration, assembles the parts and runs them."""

# Modules of this folder that are no programs.
HELPERS = (
    "agent_parts",
    "benchmark_case",
    "benchmark_vision",
    "child_program",
    "classifier_encoders",
    "classifier_parts",
    "interruption",
    "planned_runs",
    "program_processes",
    "reproduction_estimates",
    "reproduction_on_ray",
    "reproduction_plan",
    "reproduction_progress",
    "reproduction_schedule",
    "reproduction_speeds",
    "startup",
    "task_parts",
    "trained_classifier",
)
