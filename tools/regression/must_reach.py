"""The figures the index must reach on the reference machine, and how each is read from the samples."""

import dataclasses

from tools.regression import metrics


@dataclasses.dataclass
class Target:
    what: str
    metric: str          # in the samples
    limit: float
    at_least: bool = False
    scale: float = 1.0   # from the metric's unit to the one shown
    unit: str = ""
    divide_by: tuple = ()  # other metrics: the target is on the ratio to the largest that was measured
    beside: tuple = ()     # (metric, what it is): the same of threads that share nothing, shown with the share of it
    spread: bool = False   # show the lowest and the highest repetition, too
    floor: str = ""        # what the harness itself takes, in a benchmark of nothing: taken off

    def floor_of(self, samples):
        return metrics.figure_of(self.floor, samples) if self.floor else 0.0

    def figure(self, samples):
        """None when it, or what is to be taken off, was not measured."""
        if self.metric not in samples or (self.floor and self.floor not in samples):
            return None
        value = (metrics.figure_of(self.metric, samples) - self.floor_of(samples)) * self.scale
        if not self.divide_by:
            return value
        others = [metrics.figure_of(name, samples) for name in self.divide_by if name in samples]
        return value / max(others) if others else None

    def repetitions(self, samples):
        """" (0.8 to 0.9 in all 5 repetitions)"; "" where that is not wanted."""
        values = samples.get(self.metric, [])
        if not self.spread or len(values) < 2:
            return ""
        low, high = (f"{edge(values) * self.scale:.3g}" for edge in (min, max))
        return f" ({low} to {high} in all {len(values)} repetitions)"

    def share_of_machine(self, figure, samples):
        """" (96% of ...)": how much of what the machine allows a figure is; "" where that was not measured."""
        metric, what = self.beside or ("", "")
        if metric not in samples:
            return ""
        most = metrics.figure_of(metric, samples)
        return f" ({figure / most:.0%} of {what}: {most:.3g} {self.unit})"

    def reached(self, figure):
        return figure >= self.limit if self.at_least else figure <= self.limit


_CORPUS = "conversation, second half"
_RUNS = "replay/conversation/runs"
_FLAT = "replay/conversation/flat"
_FLOOR = "MatchFloor:p50_ns"


def _over_grpc(family, in_flight, awake=0):
    """A Route's rate and p99 against the echo, in whichever server style echoes fastest."""
    name = f"{family}/in_flight:{in_flight}/awake:{awake}"
    what = f"Route over gRPC, {'unary' if family == 'Unary' else 'streams'}, {in_flight} in flight"
    if awake:
        what += ", idle cores awake"
    return [Target(f"{what}: rate, of the fastest echo's", f"{name}:echo_share", 0.8, at_least=True, unit="x",
                   spread=True),
            Target(f"{what}: p99, of that echo's", f"{name}:echo_p99_ratio", 1.3, unit="x", spread=True)]


_PICKER_BODIES = (("1 KB", 1024, 1.5, 0.8), ("32 KB", 32768, 2, 0.65), ("400 KB", 409600, 2, 0.5))


def _picker_rows(family, where, counted, counts):
    """Processor time and rate beside the floor's, by form and size of the bodies."""
    rows = []
    for form, text in (("token ids", 0), ("remembered text", 1)):
        for size, size_bytes, cpu, rate in _PICKER_BODIES:
            for count in counts:
                name = f"{family}/text:{text}/bytes:{size_bytes}/{counted}:{count}"
                what = f"picker {where}, {size} of {form}, {count} at a time"
                rows.append(Target(f"{what}: processor time a request, of the floor's", f"{name}:floor_cpu_ratio", cpu,
                                   unit="x"))
                rows.append(Target(f"{what}: rate, of the floor's", f"{name}:floor_share", rate, at_least=True, unit="x"))
    return rows


def _picker():
    rows = _picker_rows("PickerBehindEnvoy", "behind Envoy", "connections", (1, 64))
    rows += _picker_rows("Picker", "asked directly", "in_flight", (1, 64))
    for form, text in (("token ids", 0), ("remembered text", 1)):
        name = f"PickerOpenLoop/full/text:{text}/requests:200"
        what = f"picker behind Envoy, 100 requests/s of 32 KB of {form}: added"
        rows.append(Target(f"{what} p50", f"{name}:added_p50_ns", 0.3, scale=1e-6, unit="ms"))
        rows.append(Target(f"{what} p99", f"{name}:added_p99_ns", 1, scale=1e-6, unit="ms"))
    phase = "PickerTokenPhase/answers:64"
    rows += [
        Target("picker, 64 answers x 50 events/s: processor time, of the floor's", f"{phase}:floor_cpu_ratio", 1.3, unit="x"),
        Target("picker, the same where the filter skips the response: of the floor's that sees it", f"{phase}:quiet_cpu_ns",
               0.05, unit="x", divide_by=(f"{phase}:floor_cpu_ns",)),
        Target("picker, 10,000 idle streams: memory each", "PickerIdleStreams/streams:10000:idle_stream_bytes", 20,
               scale=1 / 1024, unit="KB"),
        Target("picker, 10,000 idle streams beside 500 active: p99 of events, of that without",
               "PickerIdleStreams/streams:10000:p99_ratio", 1.1, unit="x", spread=True)]
    rows += [Target(f"allocations a picked request, {size} of {form}", f"PickedRequest/text:{text}/bytes:{size_bytes}:allocs_per_op",
                    10) for form, text in (("token ids", 0), ("remembered text", 1)) for size, size_bytes, _, _ in _PICKER_BODIES]
    changes = "PodChanges/engines:1000"
    rows += [
        Target("1,000 engines, 10 changes of pods a second: decision p99, of that without", f"{changes}:p99_ratio", 1.1, unit="x",
               spread=True),
        Target("1,000 engines, 10 changes of pods a second: the longest until one is seen", f"{changes}:longest_visible_ms", 1000,
               unit="ms"),
        Target("10,000 pods in a list: until a change among them is seen", "PodList/full/pods:10000:visible_ms", 1000, unit="ms"),
        Target("1,000 engines asked for their load each second: share of a core", "ScrapeEngines/engines:1000:core_share", 0.15)]
    return rows


TARGETS = [
    Target(f"{_CORPUS}: block ops, queries as requested", f"{_RUNS}:requested_block_ops_per_s", 30,
           at_least=True, scale=1e-6, unit="M/s"),
    Target(f"{_CORPUS}: block ops, queries as far as verified", f"{_RUNS}:block_ops_per_s", 30,
           at_least=True, scale=1e-6, unit="M/s"),
    Target(f"{_CORPUS}: against the flat yardstick", f"{_RUNS}:block_ops_per_s", 3, at_least=True,
           unit="x", divide_by=(f"{_FLAT}:block_ops_per_s",)),
    Target(f"{_CORPUS}: query mean, hashes given", f"{_RUNS}:query_mean_ns", 1000, unit="ns"),
    Target(f"{_CORPUS}: query p99, hashes given", f"{_RUNS}:query_p99_ns", 4000, unit="ns"),
    Target(f"{_CORPUS}: query mean, chaining included", f"{_RUNS}:query_with_chaining_mean_ns", 1000,
           unit="ns"),
    Target(f"{_CORPUS}: query p99, chaining included", f"{_RUNS}:query_with_chaining_p99_ns", 4000,
           unit="ns"),
    Target(f"{_CORPUS}: store a block", f"{_RUNS}:store_ns_per_block", 45, unit="ns"),
    Target(f"{_CORPUS}: remove a block", f"{_RUNS}:remove_ns_per_block", 45, unit="ns"),
    Target("match, 512 blocks x 64 holders, p50", "Match/blocks:512/holders:64/chains:64:p50_ns", 400,
           unit="ns", floor=_FLOOR),
    Target("match, 512 blocks x 64 holders, p99", "Match/blocks:512/holders:64/chains:64:p99_ns", 2000,
           unit="ns", floor=_FLOOR),
    Target("match, single holder, warm, p50", "Match/blocks:78/holders:1/chains:1:p50_ns", 150,
           unit="ns", floor=_FLOOR),
    Target("miss, warm, p50", "MatchMiss/prompts:1:p50_ns", 25, unit="ns", floor=_FLOOR),
    Target("8,192 tokens to matches, hashing included, p50", "LargePrefix/tokens:8192:p50_ns", 6,
           scale=1e-3, unit="us"),
    Target("wire bytes to visible, 16-token blocks", "EventProcessingLatency/blocks:64:stored_blocks_per_s",
           4, at_least=True, scale=1e-6, unit="M blocks/s"),
    Target("memory after churn, one holder",
           "MemoryAfterChurn/full/blocks:2000000/holders:1:rss_bytes_per_holding", 30, unit="B"),
    Target("memory after churn, each further holder",
           "MemoryAfterChurn/full/blocks:2000000/holders:8:further_holder_rss_bytes", 10, unit="B"),
    Target("memory growth over 10 cycles of churn",
           "MemoryAfterChurn/full/blocks:2000000/holders:1:growth_ratio", 1.05, unit="x"),
    Target("40 % of the holdings in slower tiers: fleet mix, p50, of all in gpu",
           "FleetMixOffloaded/holdings:200000:tiers_ratio", 1.5, unit="x"),
    Target("stores and removals beside an engine with twins, p50, of those without", "BesideTwins:beside_ratio", 1.5,
           unit="x"),
    Target("an index grows to 10 M holdings: longest wait of its writer",
           "GrowthWaits/full/holdings:10000000:filler_longest_us", 1, scale=1e-3, unit="ms"),
    Target("an index grows to 10 M holdings: longest wait of another writer",
           "GrowthWaits/full/holdings:10000000:writer_longest_us", 1, scale=1e-3, unit="ms"),
    Target("an index grows to 10 M holdings: longest wait of a reader",
           "GrowthWaits/full/holdings:10000000:reader_longest_us", 1, scale=1e-3, unit="ms"),
    Target("query p99 beside a writer", "QueriesBesideWriter:p99_ratio", 2, unit="x idle"),
    Target("clear storm: worst query whose core was not taken away",
           "ClearStorm/full/holdings:1000000:query_max_running_ns", 1, scale=1e-6, unit="ms"),
    Target("1,000 restarts at once: worst query whose core was not taken away",
           "RestartStorm/full/workers:1000/holdings_each:2000:query_max_running_ns", 1, scale=1e-6,
           unit="ms"),
    Target("clear storm: readers see it gone", "ClearStorm/full/holdings:1000000:clear_ms", 1, unit="ms"),
    Target("allocations a query", "Match/blocks:512/holders:64/chains:64:allocs_per_op", 0.001),
    Target("allocations an event", "EventProcessingLatency/blocks:8:allocs_per_op", 0.001),
    *_over_grpc("Unary", 8),
    *_over_grpc("Stream", 8),
    *_over_grpc("Unary", 1),
    *_over_grpc("Unary", 1, awake=1),
    *_over_grpc("Stream", 1),
    *_over_grpc("Stream", 1, awake=1),
    Target("routing decision in process, 64 workers, right",
           "RoutingDecision/tokens:1024/workers:64:correct_share", 1, at_least=True),
    Target("routing decision in process, 512 workers, p50", "RoutingDecision/tokens:1024/workers:512:p50_ns",
           10, scale=1e-3, unit="us"),
    *(Target(f"JSON body of {shown} to prompt text", f"BodyToText/bytes:{size}:bytes_per_second", 1, at_least=True,
             scale=1e-9, unit="GB/s") for shown, size in (("1 KB", 1024), ("32 KB", 32768), ("400 KB", 409600))),
    *_picker(),
    Target("two readers against one", "SecondCore:two_readers_speedup", 1.8, at_least=True, unit="x",
           beside=("SecondCore:two_indexes_speedup", "two indexes that share nothing")),
    Target("a reader and a writer together", "SecondCore:reader_and_writer_speedup", 1.7, at_least=True, unit="x",
           beside=("SecondCore:two_indexes_writer_speedup", "the same on two indexes that share nothing")),
]


def rows(samples):
    """(what, figure or None, target text, "pass" | "FAIL" | "not measured") of every target."""
    table = []
    for target in TARGETS:
        figure = target.figure(samples)
        bound = f"{'>=' if target.at_least else '<='} {target.limit:g} {target.unit}".rstrip()
        verdict = "not measured"
        if figure is not None:
            verdict = "pass" if target.reached(figure) else "FAIL"
        what = target.what
        if figure is not None and target.floor_of(samples) > 0:
            what += f" (less {target.floor_of(samples):.3g} ns of the harness)"
        if figure is not None:
            what += target.share_of_machine(figure, samples) + target.repetitions(samples)
        table.append((what, figure, bound, verdict))
    return table


def render_text(samples):
    lines = [f"{'figure':<92} {'measured':>10}  {'target':<18} verdict"]
    for what, figure, bound, verdict in rows(samples):
        shown = "-" if figure is None else f"{figure:.4g}"
        lines.append(f"{what:<92} {shown:>10}  {bound:<18} {verdict}")
    return "\n".join(lines)


def render_markdown(samples):
    lines = ["| figure | measured | target | |", "|---|---|---|---|"]
    for what, figure, bound, verdict in rows(samples):
        shown = "-" if figure is None else f"{figure:.4g}"
        lines.append(f"| {what} | {shown} | {bound} | {verdict} |")
    return "\n".join(lines)
