"""A server's loop with dynamic batching, in real time."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence


def serve_queue(
    predict: Callable[[Sequence[int]], object],
    arrivals: Sequence[float],
    rows: Sequence[int],
    most_queries: int,
    bound_s: float,
) -> tuple[list[float], int, int]:
    """Serves queries that arrive at given times: each call takes all that have arrived, up to a largest batch.

    Servers such as LitServe, mosec and Triton batch in the same way. Here it is a loop without HTTP, because their cost
    for a request is about as large as that of a small model, and differs between servers: the figures are of the model.
    OpenVINO's automatic batching (the BATCH device) cannot be used: it gives every batch one static shape, and runs
    models with dynamic shapes at batch 1.

    Args:
        predict: Pads the rows and runs the model.
        arrivals: Seconds at which queries arrive, in ascending order.
        rows: Row of each query.
        most_queries: The largest batch.
        bound_s: Bound on the latency; queries that still wait so long after the last arrival are not served.

    Returns:
        The seconds from each arrival to its logits, or to the end if it was not served; the number of calls; and the
        number of queries, the last ones, that were not served.
    """
    latencies: list[float] = []
    calls = 0
    end = arrivals[-1] + bound_s
    started = time.perf_counter()
    while (first := len(latencies)) < len(arrivals):
        now = time.perf_counter() - started
        if now > end:
            break
        if arrivals[first] > now:
            time.sleep(arrivals[first] - now)
            continue
        last = bisect_right(arrivals, now, first, min(first + most_queries, len(arrivals)))
        predict(rows[first:last])
        calls += 1
        now = time.perf_counter() - started
        latencies += [now - arrival for arrival in arrivals[first:last]]
    unserved = arrivals[len(latencies) :]
    now = time.perf_counter() - started
    return [*latencies, *(now - arrival for arrival in unserved)], calls, len(unserved)
