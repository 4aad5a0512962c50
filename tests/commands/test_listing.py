"""`python -m bench list` shows what claims can name, each calculation with its keys."""

from bench.__main__ import main
from bench.judge.claims.calculations import CALCULATIONS
from bench.records.figures import FIGURES


def listed(kind, capsys):
    assert main(["list", kind]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    return {line.split()[0]: line for line in lines}


def test_figures_are_listed_with_their_dimension(capsys):
    lines = listed("figures", capsys)
    assert list(lines) == list(FIGURES)
    assert lines["peak_bytes"].endswith("peak bytes of the case (bytes)")


def test_calculations_are_listed_with_their_keys(capsys):
    lines = listed("calculations", capsys)
    assert list(lines) == ["parameters", *CALCULATIONS.names()]
    assert lines["quotient"].endswith("by: of, over")
    assert lines["weight_bytes"].endswith("by: model, bits; optional: embedding_bits, constants_bits, gradients")
    assert "by: what, model, method; optional: labels, targets" in lines["parameters"]
