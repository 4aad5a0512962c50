"""tests/ mirrors the rooms: a module is tested in the file of its name, or is listed here with where or why.

A listed module that has a file of its name by now is an error, and so is one that is gone.
"""

from fnmatch import fnmatch

import pytest

from bench.core.paths import ROOT

# The module is imported or its command is run in this file, below tests/, together with what it works with.
ELSEWHERE = {
    "judge/claims/kinds/test_arithmetic.py": (
        "judge.claims.grounds", "judge.claims.kinds.counted", "judge.claims.kinds.structural",
    ),
    "judge/claims/kinds/test_measured.py": ("judge.claims.admission", "judge.claims.verdicts", "judge.verdict"),
    "judge/claims/test_claim.py": ("judge.claims.book",),
    "judge/claims/test_sentences.py": ("judge.claims.parameters",),
    "judge/predictions/test_published.py": ("judge.predictions.estimators", "judge.predictions.growth"),
    "judge/predictions/test_on_cards.py": ("judge.predictions.card_traces", "report.on_cards"),
    "judge/score/test_compare.py": ("judge.score.pareto", "judge.score.standing"),
    "judge/test_statistics.py": ("records.example_counts",),
    "probes/test_scoring.py": ("judge.probe_thresholds", "records.probe_results", "report.probes"),
    "probes/test_probes.py": ("probes.decimals", "probes.export", "probes.pairs", "probes.sequences"),
    "probes/test_facts.py": ("probes.reading", "probes.wording"),
    "probes/test_guardrails.py": ("probes.refusals",),
    "probes/test_parsers.py": ("probes.words",),
    "report/test_claims.py": ("commands.claims", "judge.claims.gathering"),
    "report/test_pages.py": ("commands.pages",),
    "report/test_cases.py": ("report.tables",),
    "commands/test_help.py": ("commands.options",),
    "commands/test_campaign.py": ("report.campaign",),
    "commands/test_predicting.py": (
        "judge.compare.engines", "models.of_config", "predict.both", "predict.card.budget", "predict.card.fit",
        "predict.card.search", "predict.prediction", "report.prediction",
    ),
    "predict/test_trainers.py": ("predict.switches",),
    "predict/card/test_allocator.py": ("predict.card.replay", "predict.storage_log"),
    "predict/formula/test_closed_form.py": ("predict.formula.layers", "predict.question", "predict.terms"),
    "predict/trace/test_steps.py": ("predict.trace.fake_tensors", "worker.measure.garbage"),
    "models/test_shapes.py": ("methods.parameters",),
    "methods/test_methods.py": ("methods.tolerances",),
    "sources/test_wheels.py": ("sources.cached_folder", "sources.gguf_weights"),
    "sources/test_hub.py": ("sources.snapshot", "sources.weights"),
    "tasks/test_tasks.py": ("tasks.alpaca", "tasks.medqa", "tasks.pos", "tasks.responses", "tasks.support"),
    "plugin/test_hooks.py": ("plan.options", "plan.plan", "plugin.exit_codes", "plugin.options", "plugin.session"),
    "core/test_outside_text.py": ("plugin.progress",),
    "recipes/test_files.py": ("core.recipe", "recipes.of_case"),
    "worker/test_emulate.py": ("machine.cards", "plugin.benchmarks"),
    "report/test_summary.py": ("report.verdicts",),
    "worker/test_case.py": ("worker.figures", "worker.first_method", "worker.stepper"),
    "worker/ask/test_questions.py": ("models.prompts", "worker.ask.probing"),
    "worker/ask/test_decoding.py": ("worker.build.attention", "worker.build.precision"),
    "worker/check/libraries/test_checks.py": (
        "worker.check.libraries.adapter_files", "worker.check.libraries.losses", "worker.check.libraries.subjects",
        "worker.check.libraries.trainer", "worker.check.libraries.vocabulary",
    ),
    "worker/build/test_packed_layers.py": ("worker.build.base", "worker.build.quantise"),
    "worker/check/test_evidence.py": ("worker.build.adapter", "worker.check.fingerprint", "worker.check.read_back"),
    "worker/measure/test_flops.py": ("records.work", "report.utilisation", "worker.measure.outline"),
    "worker/train/test_loop.py": ("worker.train.backward", "worker.train.optimizer", "worker.train.trainee"),
    "worker/train/test_batches.py": ("worker.train.steps",),
    "worker/train/test_offload.py": (
        "worker.build.host_embedding", "worker.setup", "worker.train.chunked_losses",
    ),
    "predict/trace/test_course.py": ("core.extent",),
    "test_names.py": ("models.families", "plan.room_on_card"),
    "judge/test_thresholds.py": ("commands.thresholds",),
    "report/test_picture.py": ("commands.picture",),
    "report/charts/test_charts.py": (
        "report.charts.chart", "report.charts.confusions", "report.charts.labels", "report.charts.live_losses",
        "report.charts.losses",
        "report.charts.marks", "report.charts.phase_memory", "report.charts.probes", "report.charts.quality_memory",
        "report.charts.seconds", "report.charts.step_memory",
    ),
    "app/test_pages.py": (
        "app.answering", "app.ask_page", "app.asking", "app.claims_page", "app.compare_page", "app.comparing",
        "app.fit_page", "app.methods_page", "app.runs_page", "app.served",
    ),
    "app/test_serving.py": ("commands.app",),
    "report/test_html_page.py": ("commands.report", "report.answers", "report.surroundings"),
    "judge/test_rescore.py": ("commands.rescore",),
    "report/test_coverage.py": ("commands.coverage",),
    "report/test_epochs.py": ("commands.table",),
    "judge/compare/test_runs.py": ("judge.compare.finding", "judge.compare.sides"),
    "judge/compare/test_quality.py": ("judge.compare.margins", "judge.compare.seeds"),
    "judge/compare/test_baselines.py": ("commands.baseline",),
    "commands/test_compare.py": ("commands.calibrate",),
    "worker/keep/test_loading.py": ("commands.merge",),
    "report/test_compatibility.py": ("upgrade.compatibility",),
    "upgrade/test_overlays.py": ("commands.upgrade", "upgrade.requirements"),
    "upgrade/test_faults.py": ("commands.faults",),
}  # fmt: skip
COMMANDS = {"commands.score": "judge/score/test_compare.py", "commands.refusals": "probes/test_guardrails.py",
            "commands.probes": "probes/test_probes.py"}  # fmt: skip
THROUGH_THE_POOL = "half of it runs in another process; executor/test_pool.py drives all of it through Executor"
ENTRIES = "entries and nothing else; the tests of their room run over every entry"
PAPER_CALCULATIONS = "judge/claims/kinds/test_paper_calculations.py calls each through the arithmetic judge"
ANSWERS = "probes/test_parsers.py compares the parsers, which use it, with answers that people have read"
# The module is in no test by its name. Why none is needed.
INDIRECTLY = {
    "app.script": "Streamlit runs it; app/test_browser.py opens each of its pages",
    "commands.census": "prints and writes what judge.claims.kinds.counted counts in the full data, which CI has not",
    "commands.engines": "prints what judge.compare.engines measures, which takes minutes",
    "commands.fetching": "prints what sources.fetch finds; a download is no test",
    "commands.testing": "starts pytest; tests/test_wheel.py runs it from an installation",
    "executor.job": THROUGH_THE_POOL,
    "executor.session": THROUGH_THE_POOL,
    "executor.cluster.engine": "plain data and a protocol; executor/cluster/test_queue.py runs an engine of its own",
    "executor.local.child": THROUGH_THE_POOL,
    "executor.local.failure": THROUGH_THE_POOL,
    "executor.local.fork_server": THROUGH_THE_POOL,
    "executor.local.forking": THROUGH_THE_POOL,
    "executor.local.memory_limit": THROUGH_THE_POOL,
    "executor.local.output": THROUGH_THE_POOL,
    "executor.local.process": THROUGH_THE_POOL,
    "judge.claims.adapter_calculations": PAPER_CALCULATIONS,
    "judge.claims.row_calculations": PAPER_CALCULATIONS,
    "judge.claims.calculations": "judge/claims/kinds/test_arithmetic.py calls each calculation through its judge",
    "judge.claims.vocabulary": "judge/claims/test_claim.py reads claims with each of its words",
    "judge.claims.wording": "judge/claims/kinds/test_measured.py compares its sentences",
    "judge.compare.evidence": "judge/compare/test_runs.py plants a difference for each of its rules",
    "judge.compare.fresh": "judge/compare/test_quality.py gives it runs that are no fresh seeds",
    "judge.compare.exact": "judge/compare/test_runs.py plants a difference for each of its rules",
    "judge.compare.traces": "judge/compare/test_runs.py plants a difference for each of its rules",
    "judge.score.dimensions": "judge/score/test_compare.py reads each dimension through bench.judge.score",
    "methods.adaptive": ENTRIES,
    "methods.blocks": ENTRIES,
    "methods.derived": ENTRIES,
    "methods.full_rank": ENTRIES,
    "methods.lora": ENTRIES,
    "methods.optimizers": ENTRIES,
    "methods.quantised": ENTRIES,
    "methods.rescaling": ENTRIES,
    "methods.targets": "methods/test_methods.py compares what it selects with what peft adapts",
    "methods.tokens": ENTRIES,
    "methods.whole": ENTRIES,
    "models.embedded": ENTRIES,
    "models.popular": ENTRIES,
    "models.sources_models": ENTRIES,
    "models.tiny": ENTRIES,
    "plugin.ini": "plugin/test_hooks.py runs pytest, which reads it",
    "plugin.interrupts": "plugin/test_habits.py sends signals to sessions",
    "plugin.outcomes": "plugin/test_regression.py and plugin/test_hooks.py read what it notes of sessions",
    "plugin.broken_cases": "plugin/test_hooks.py counts what sessions report of a broken case",
    "plugin.selecting": "plugin/test_hooks.py reads what sessions deselect",
    "plugin.summary": "plugin/test_hooks.py and plugin/test_habits.py read the end of sessions and their pages",
    "plugin.reports": "core/test_outside_text.py runs pytest on texts that it must clean",
    "plugin.same_card": "worker/test_emulate.py starts sessions of other cards",
    "plugin.tested": "plugin/test_regression.py reads what it kept of a session",
    "plugin.suites": "tests/test_wheel.py runs the suites by their names",
    "predict.course": "plain data of predict/trace/test_course.py",
    "predict.formula.savings": "predict/formula/test_closed_form.py compares recipes with each saving with the trace",
    "predict.formula.working": "predict/formula/test_closed_form.py compares it with the trace",
    "predict.trace.count_again": "worker/measure/test_flops.py runs it through the table of utilisation",
    "predict.trace.quiet": "silences libraries around every trace of predict/trace/test_steps.py",
    "predict.trace.storages": "predict/trace/test_steps.py compares what it follows with real storages",
    "predict.card.overview": "commands/test_fit.py compares what the command fit prints of it",
    "probes.comparing": ANSWERS,
    "probes.dates": ANSWERS,
    "probes.folding": ANSWERS,
    "probes.marking": ANSWERS,
    "probes.numerals": ANSWERS,
    "probes.roles": ANSWERS,
    "probes.statements": ANSWERS,
    "probes.terms": ANSWERS,
    "probes.source003": "probes/test_probes.py reads the items of every family",
    "records.stored": "judge/claims and judge/test_rescore.py read every stored prediction through it",
    "report.comparison": "commands/test_compare.py compares what it prints in each form",
    "report.overview": "commands/test_fit.py compares what the command fit prints",
    "report.published": "its page is results/PREDICTIONS.md, whose figures judge/predictions/test_published.py compares",
    "report.scores": "judge/score/test_compare.py compares the tables that it prints",
    "sources.digests": "sources/test_wheels.py and sources/test_hub.py compare the identities that it computes",
    "sources.errors": "sources/test_hub.py compares its sentences",
    "tasks.numbers": "tasks/test_golden.py and probes/test_probes.py prepare it",
    "worker.check.looking": "the registry of looks and the tiny models that worker/check/test_looks.py looks into",
    "worker.device": "one function that waits for a card",
    "worker.late_imports": "imports and nothing else",
    "worker.quiet": "silences libraries",
    "worker.train.trainer": "worker/train/test_loop.py runs it through ENGINES beside our own loop",
}
LISTED = [*INDIRECTLY, *COMMANDS, *(module for modules in ELSEWHERE.values() for module in modules)]
MODULES = {
    ".".join(path.relative_to(ROOT / "bench").with_suffix("").parts): path
    for path in sorted((ROOT / "bench").rglob("*.py"))
    if path.stem not in ("__init__", "__main__") and "shipped" not in path.parts
}


def own_test(module):
    """tests/plan/test_selection.py of plan.selection."""
    *rooms, name = module.split(".")
    return ROOT.joinpath("tests", *rooms, f"test_{name}.py")


def test_every_module_has_a_test_file_of_its_name_or_is_listed():
    without = [module for module in MODULES if not own_test(module).exists() and module not in LISTED]
    assert without == [], "write tests/ROOM/test_FILE.py, or say in tests/test_mirror.py where it is tested"


def test_a_listed_module_is_there_once_and_has_no_file_of_its_name():
    assert [module for module in LISTED if module not in MODULES] == [], "the module is gone; take it out"
    assert [module for module in LISTED if module in MODULES and own_test(module).exists()] == [], "take it out"
    assert len(set(LISTED)) == len(LISTED)


@pytest.mark.parametrize("file", ELSEWHERE)
def test_what_is_tested_elsewhere_is_named_there(file):
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    missing = [module for module in ELSEWHERE[file] if not is_named(module, text)]
    assert missing == [], f"tests/{file} neither imports them nor runs their command"


@pytest.mark.parametrize(("module", "file"), COMMANDS.items())
def test_a_command_is_run_where_its_work_is_tested(module, file):
    assert f'main(["{module.partition(".")[2]}"' in (ROOT / "tests" / file).read_text(encoding="utf-8")


def is_named(module, text):
    """Whether the text imports the module, or runs it if it is a command."""
    room, _, name = module.rpartition(".")
    imported = f"bench.{module} import" in text or any(
        line.startswith(f"from bench.{room} import") and name in line for line in text.splitlines()
    )
    return imported or (room == "commands" and f'"{name}"' in text)


def test_test_files_are_of_modules_or_of_whole_rooms():
    """A file of another name is about more than one module, and says so here."""
    several = {
        "commands/test_help.py", "executor/test_conformance.py", "judge/claims/kinds/test_paper_calculations.py", "judge/claims/test_claims_page.py",
        "judge/claims/test_readings.py", "judge/claims/test_sentences.py",
        "methods/test_methods.py", "plugin/test_compare_machines.py", "plugin/test_habits.py",
        "app/test_browser.py", "probes/test_probes.py", "report/charts/test_charts.py", "report/test_browser.py", "tasks/test_golden.py",
        "tasks/test_tasks.py",
    }  # fmt: skip
    rooms = ROOT / "tests"
    files = {path.relative_to(rooms).as_posix() for path in rooms.rglob("test_*.py") if path.parent != rooms}
    mirrored = {own_test(module).relative_to(rooms).as_posix() for module in MODULES}
    assert files - mirrored - several == set(), "name it after its module"
    assert several - files == set()


def test_pytest_enters_every_folder_of_tests(pytestconfig):
    """Its default list of folders to leave out has the name of a room, build."""
    left_out = pytestconfig.getini("norecursedirs")
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name != "__pycache__"}
    assert [name for name in folders if any(fnmatch(name, pattern) for pattern in left_out)] == []
