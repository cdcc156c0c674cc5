"""The diagram of a pipeline shows its tasks, and an edge for each direct dependency."""

from compaware.pipelines.client import catalog
from compaware.pipelines.client.diagram import flowchart


def test_the_diagram_shows_the_tasks_in_order_with_their_artifacts():
    lines = [line.strip() for line in flowchart(catalog.spec("quantization_aware_training")).splitlines()]
    assert lines[0] == "flowchart LR"
    assert [line for line in lines if "-->" in line] == [
        "change_check --> data_prep",
        "data_prep -->|dataset| teacher_check",
        "teacher_check -->|model<br>soft labels| quantization_aware_training",
        "quantization_aware_training -->|quantized| benchmark",
        "benchmark --> accuracy_gate",
        "accuracy_gate --> publish",
    ]
    assert "quantization_aware_training[quantization<br>aware<br>training]" in lines


def test_the_tasks_of_a_loop_are_drawn_inside_it():
    lines = [line.strip() for line in flowchart(catalog.spec("compression_sweep")).splitlines()]
    begin = lines.index('subgraph for_loop_1["in parallel"]')
    assert lines[begin + 1 : begin + 3] == ["sweep_branch[sweep<br>branch]", "end"]
    assert "for_loop_1 -->|models| sweep_benchmark" in lines
