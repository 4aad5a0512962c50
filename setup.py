"""Ships the suites, fixtures and committed results in the wheel, as bench/shipped; a checkout has no copy of them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = (
    "suites/*.py",
    "fixtures/**/*.*",
    "results/*.json",
    "results/baselines/*.json",
    "results/runs/[!0-9]*/**/*.json*",  # a person's own runs are named by their time
)


class BuildWithData(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:  # bench then lies in the checkout, beside the data
            return
        target = Path(self.build_lib) / "bench" / "shipped"
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for pattern in SHIPPED:
            files = [path for path in ROOT.glob(pattern) if path.is_file() and path.suffix not in (".pyc", ".part")]
            if not files:
                raise FileNotFoundError(f"nothing to ship as {pattern} in {ROOT}; build in a whole checkout")
            for path in files:
                place = target / path.relative_to(ROOT)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)


setup(cmdclass={"build_py": BuildWithData})
