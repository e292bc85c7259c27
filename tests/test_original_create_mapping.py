"""The original's own tests of create-mapping.sh, run from its published sources against our script."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / ".tools" / "original").glob("routheon_server-*/tests/test_create_mapping_sh.py"))
assert SOURCES, "the original's sources are not here: run scripts/setup --tests"

_spec = importlib.util.spec_from_file_location("original_create_mapping_tests", SOURCES[-1])
_original = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_original)
_original.SCRIPT_PATH = ROOT / "scripts" / "create-mapping.sh"

_tests = {name: value for name, value in vars(_original).items() if name.startswith("test_")}
assert len(_tests) >= 2, "the original's tests have moved"
globals().update(_tests)
