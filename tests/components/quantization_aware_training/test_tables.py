"""The component's tables are readable as plain text and as Markdown."""

from compaware.components.quantization_aware_training.tables import statistics_table, tune_result_table


def test_the_statistics_read_as_plain_text_and_as_markdown() -> None:
    rows = [
        {"op_type": "Embedding", "total": 3, "int8": 1, "bf16": 0, "fp32": 2},
        {"op_type": "Linear", "total": 26, "int8": 26, "bf16": 0, "fp32": 0},
    ]
    assert statistics_table(rows).splitlines() == [
        "| Op Type   |   Total |   INT8 |   BF16 |   FP32 |",
        "|:----------|--------:|-------:|-------:|-------:|",
        "| Embedding |       3 |      1 |      0 |      2 |",
        "| Linear    |      26 |     26 |      0 |      0 |",
    ]


def test_a_value_that_a_candidate_lacks_is_a_dash() -> None:
    baseline = {"candidate": "Baseline FP32", "runtime": "torch", "metric": 0.5, "duration_s": 1.0, "size_bytes": 9_000}
    int8 = {
        **baseline,
        "candidate": "QAT INT8",
        "difference": "no loss",
        "agreement": 0.98765,
        "made_in_s": 12.3,
        "passed": "met",
    }
    table = tune_result_table([baseline, int8], "accuracy").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[0][2] == "accuracy"
    assert cells[2] == ["Baseline FP32", "torch", "0.5000", "1.0000", "9000", "-", "-", "-", "-"]
    assert cells[3] == ["QAT INT8", "torch", "0.5000", "1.0000", "9000", "no loss", "0.9877", "12.3000", "met"]
    assert len({len(line) for line in table}) == 1
    # A column of scores on the test split stands beside the metric if there are some.
    header, _, first, *_ = tune_result_table([{**baseline, "test_metric": 0.25}, int8], "f1_macro").splitlines()
    assert [cell.strip() for cell in header.split("|")[3:5]] == ["macro F1", "macro F1, test"]
    assert [cell.strip() for cell in first.split("|")[3:5]] == ["0.5000", "0.2500"]
