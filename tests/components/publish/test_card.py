"""Sentences of the model card."""

from compaware.components.publish.card import describe_agreement


def test_the_agreement_of_numbers_is_a_correlation_and_not_a_percentage_of_equal_predictions() -> None:
    assert describe_agreement("openvino", 0.98934, "classification") == (
        "In openvino, 98.9% of its predictions equal those of the simulated INT8 model."
    )
    assert describe_agreement("openvino", 0.98934, "regression") == (
        "In openvino, its predictions correlate with those of the simulated INT8 model: 0.9893."
    )
