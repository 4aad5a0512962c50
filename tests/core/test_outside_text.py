"""Text from outside on a terminal, in Markdown and in JUnit: nothing that it holds acts there."""

import json
import shutil
from dataclasses import asdict, replace
from xml.etree import ElementTree

import pytest
from run_files import append_record
from suite_sessions import ONE_TEST, start

from bench.__main__ import main
from bench.core.outside_text import for_markdown, for_terminal, json_for_terminal, lines_for_terminal
from bench.core.paths import RESULTS
from bench.executor import Outcome
from bench.plugin.progress import Progress
from bench.records.record import BadRecord, Record, parse_record, read_records
from bench.report.tables import markdown_lines, text_lines

LINK = "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07"
HOSTILE = (
    f"\x1b[2J\x1b[31mred{LINK}\rover\x07\x9b1m\u202etxet\u2066\ufeff</td><script>x</script>|`c` [l](http://e.example)"
)
FORBIDDEN = [
    chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xFEFF) if chr(code) not in "\n\t"
]
CASE = "pos-minilm_l6-lora-cpu-s0"


def acting(text):
    """The characters of the text that a terminal or a page would act on."""
    return [one for one in FORBIDDEN if one in text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ΔΩ, 漢字, नमस्ते, 👩\u200d💻", "plain, ΔΩ, 漢字, नमस्ते, 👩\u200d💻"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\x1b[31mred", "\\x1b[31mred"),
        (LINK, "\\x1b]8;;http://evil.example\\x07click\\x1b]8;;\\x07"),
        ("10 %\r100 %", "10 %\\x0d100 %"),
        ("one\ntwo\tthree\r\nfour", "one two three four"),
        ("\x9b1m\x7f\x00", "\\x9b1m\\x7f\\x00"),
        ("a\u202eb\u2069c\u200bd\u2028e", "a\\u202eb\\u2069c\\u200bd\\u2028e"),
        ("\udc80", "\\udc80"),  # of a file's name that is no UTF-8
        ("\ufffe\U000e0041", "\\ufffe\\U000e0041"),
        ("a\u3164b\u115fc\u034fd\u2800e", "a\\u3164b\\u115fc\\u034fd\\u2800e"),  # nothing is seen of these
        ("\u0600٣ \u06dd٤", "\u0600٣ \u06dd٤"),  # Arabic signs of numbers, which are seen
    ],
)
def test_a_terminal_shows_hidden_characters_spelled_out(text, shown):
    assert for_terminal(text) == shown


def test_lines_stay_lines():
    assert lines_for_terminal("a\x1bb\nc\r") == "a\\x1bb\nc\\x0d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b = 0.5, p < 0.05 & 3 > 2", "a_b = 0.5, p < 0.05 & 3 > 2"),
        ("a|b\\|c", r"a\|b\\\|c"),
        ("</td><script>", "&lt;/td>&lt;script>"),
        ("&#x202e;&lt;", "&amp;#x202e;&amp;lt;"),
        ("`code`", r"\`code\`"),
        ("![i](https://e.example/x.png) www.e.example", r"!\[i\](https&#58;//e.example/x.png) www&#46;e.example"),
        ("one\n# two\x1b", r"one # two\\x1b"),
        ("*bold* ~~x~~ $a$ _i_ __b__", r"\*bold\* \~\~x\~\~ \$a\$ \_i\_ \_\_b\_\_"),
        ("@someone #12 a@b.example", "@<!-- -->someone #<!-- -->12 a@<!-- -->b.example"),
        ("pos-tiny_bert-lora_all-cpu-s0 wörter_é", "pos-tiny_bert-lora_all-cpu-s0 wörter_é"),
    ],
)
def test_markdown_reads_as_it_is(text, shown):
    assert for_markdown(text) == shown


def test_json_means_the_same():
    rows = {"said": HOSTILE, "more": ["\u202e", "\U000e0041", "漢"]}
    shown = json_for_terminal(json.dumps(rows, indent=1, ensure_ascii=False))
    assert json.loads(shown) == rows
    assert acting(shown) == []
    assert "漢" in shown


def test_every_table_is_safe():
    table = [["case", "count"], [HOSTILE, HOSTILE]]
    text, page = "\n".join(text_lines(table, 1)), "\n".join(markdown_lines(table, 1))
    assert acting(text) == acting(page) == []
    assert len(text.splitlines()) == 2
    assert len(page.splitlines()) == 3
    assert "<script" not in page
    assert "](" not in page.replace("\\](", "")


def test_progress_is_safe(capsys):
    progress = Progress()
    progress.start(progress.write, terminal=False)
    progress._last["case"] = float("-inf")
    progress.report("case", {"line": HOSTILE})
    progress.show_outcome(Outcome("case", "failed", HOSTILE))
    out = capsys.readouterr().out
    assert acting(out) == []
    assert out.count("red") == 2


def test_a_damaged_record_is_said_safely():
    line = json.dumps({"case": CASE, "status": "ok", HOSTILE: 1})
    with pytest.raises(BadRecord, match="unknown fields") as raised:
        parse_record(line)
    assert acting(str(raised.value)) == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose records quote what is hostile wherever a record may hold text; and its folder's name does."""
    folder = tmp_path_factory.mktemp("hostile") / f"run{HOSTILE.replace('/', '')}"
    records, _ = read_records(RESULTS / "runs" / "smoke" / "records.jsonl")
    good = records[CASE]
    row = {**asdict(good)["tables"].get("probes", [{}])[0]} if good.tables.get("probes") else {
        "family": HOSTILE, "group": HOSTILE, "language": "all", "cured": 1, "kept": 1, "broken": 1, "still_wrong": 1,
        "before": 0.5, "after": 0.5, "change_low": -0.1, "change_high": 0.1, "p": 1.0,
    }  # fmt: skip
    tables = {
        "confusion": {"labels": [HOSTILE, "NN"], "counts": [[1, 2], [3, 4]]},
        "generated": [{"prompt": HOSTILE, "actual": HOSTILE, "generated": HOSTILE}],
        "probes": [row],
    }
    environment = {**good.environment, "processor": HOSTILE}
    append_record(
        folder / "records.jsonl", replace(good, tables=tables, environment=environment, reasons=[f"fvcore {HOSTILE}"])
    )
    failed = Record("pos-minilm_l6-dora-cpu-s0", "failed", f"ValueError: {HOSTILE}", [HOSTILE, f"File {HOSTILE}"])
    append_record(folder / "records.jsonl", failed)
    with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"case": CASE, "status": "ok", HOSTILE: 1}) + "\n")
    return folder


@pytest.mark.parametrize("style", ["auto", "native", "line"])
def test_replaying_a_hostile_run_shows_nothing_raw(hostile, tmp_path, style):
    whole = tmp_path / hostile.name
    whole.mkdir()
    lines = (hostile / "records.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (whole / "records.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    words = (ONE_TEST, "--models", "minilm_l6", "--methods", "lora,dora", "--devices", "cpu", "--tb", style)
    page = tmp_path / "summary.md"
    done = start(
        tmp_path, *words, "-p", "no:randomly", "--color=no", "--replay", whole, f"--junitxml={tmp_path / 'junit.xml'}",
        GITHUB_STEP_SUMMARY=str(page),
    )  # fmt: skip
    assert done.code == 1
    assert "ValueError: \\x1b[2J" in done.text
    damaged = start(tmp_path, *words, "--replay", hostile)
    assert damaged.code == 4
    assert "unknown fields \\x1b[2J" in damaged.text
    assert acting(damaged.text) == []
    junit = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert acting(done.text) == acting(junit) == acting(page.read_text(encoding="utf-8")) == []
    assert "<script" not in page.read_text(encoding="utf-8")
    assert "<script" not in junit
    said = ElementTree.fromstring(junit).iter("error")
    assert any("ValueError: \\x1b[2J" in one.get("message") + (one.text or "") for one in said)


@pytest.mark.parametrize("words", [[], ["--confusions"], ["--probes", "group"], ["--epoch-seconds"]])
@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_tables_of_a_hostile_run_show_nothing_raw(hostile, capsys, words, form):
    assert main(["table", str(hostile), *words, *form]) == 0
    out, err = capsys.readouterr()
    assert acting(out) == acting(err) == []
    assert "red" in err
    assert ("red" in out) is bool(words)
    assert not form or "<script" not in out


def test_a_mistake_is_said_safely(hostile, tmp_path, capsys):
    assert main(["table", str(tmp_path / HOSTILE)]) == 2
    _, err = capsys.readouterr()
    assert acting(err) == []
    shutil.copytree(hostile, tmp_path / "empty")
    (tmp_path / "empty" / "records.jsonl").write_text(json.dumps({"case": HOSTILE, "status": "ok"}), encoding="utf-8")
    done = start(tmp_path, ONE_TEST, "--replay", tmp_path / "empty")
    assert done.code == 4
    assert "ERROR: no record in the run empty" in done.text
    assert acting(done.text) == []


def test_what_an_exception_quotes_is_safe(tmp_path):
    (tmp_path / "test_says.py").write_text(
        "import pytest\n"
        f"SAID = {HOSTILE!r}\n"
        "def test_asserts(): assert False, SAID\n"
        "def test_raises():\n"
        "    try: raise OSError(2, SAID, SAID)\n"
        "    except OSError as error: raise ValueError(SAID) from error\n"
        "def test_prints(): print(SAID); assert 0\n"
        "def test_skips(): pytest.skip(SAID)\n",
        encoding="utf-8",
    )
    done = start(
        tmp_path / "runs",
        tmp_path / "test_says.py",
        "--rootdir",
        tmp_path,
        "-c",
        "pyproject.toml",
        "--color=no",
        "-p",
        "bench.plugin.reports",
    )
    assert "3 failed, 1 skipped" in done.text
    assert acting(done.text) == []
