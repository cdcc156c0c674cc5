"""Features of rows with two texts, from the features of each text."""

from collections.abc import Callable, Sequence
from typing import Any


def combine_texts(texts: Sequence[Any], stack: Callable[[Sequence[Any]], Any]) -> Any:
    """Returns the features of rows with one or two texts, (rows, features).

    For two texts these are the features of both, side by side, and what a linear model cannot compute from them: their
    absolute differences, their products, and the sum of the products, which is the cosine similarity.

    Args:
        texts: For each text, its features (rows, features), of length 1; all dense or all sparse arrays.
        stack: Joins arrays of such features, and a dense array of one column, side by side.
    """
    if len(texts) == 1:
        return texts[0]
    first, second = texts
    product = first * second
    return stack([first, second, abs(first - second), product, product.sum(axis=1).reshape(-1, 1)])
