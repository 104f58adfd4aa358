"""A prompt's graph before it is queued: checked as ComfyUI checks it, with the same error shapes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from .embedded_kinds import Input, NodeKind
from .graphs import is_link, links_of

Graph = Mapping[str, Any]
Problem = dict[str, Any]


class PromptRefused(ValueError):  # noqa: N818 - it names what happened, as a person would
    """No output of the prompt can be run. `error` and `node_errors` are the body of ComfyUI's 400."""

    def __init__(self, error: Problem, node_errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{error['message']}: {error['details']}")
        self.error = error
        self.node_errors = dict(node_errors or {})


@dataclass(frozen=True)
class CheckedPrompt:
    """A graph that can be run."""

    graph: Graph = field(repr=False)
    """Values converted to the types their inputs ask for."""
    targets: tuple[str, ...]
    """The output nodes to run: those with nothing wrong in them or before them."""
    keys: Mapping[str, str] = field(repr=False)
    """Cache key of each node that the targets need: the same for the same class, values and ancestors."""
    node_errors: Mapping[str, Any] = field(repr=False, default_factory=dict)


def problem(kind: str, message: str, details: str = "", **extra: Any) -> Problem:
    """An error as ComfyUI shapes it."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def checked(graph: Any, kinds: Mapping[str, NodeKind], only: Collection[str] | None = None) -> CheckedPrompt:
    """Check a graph in API format.

    Args:
        only: output nodes to run; None for all.

    Raises:
        PromptRefused: nothing of it can be run.
    """
    if not isinstance(graph, Mapping) or not graph:
        raise PromptRefused(problem("invalid_prompt", "The prompt is not a graph", "expected node id → node"))
    for node_id, node in graph.items():
        _check_class(node_id, node, kinds)
    outputs = [i for i, n in graph.items() if kinds[n["class_type"]].output_node and (only is None or i in only)]
    if not outputs:
        raise PromptRefused(problem("prompt_no_outputs", "Prompt has no outputs"))
    converted: dict[str, Any] = {}
    problems: dict[str, list[Problem]] = {}
    for node_id, node in graph.items():
        inputs, found = _check_inputs(node, graph, kinds)
        converted[node_id] = {**node, "inputs": inputs}
        if found:
            problems[node_id] = found
    good: list[str] = []
    order: dict[str, None] = {}
    node_errors: dict[str, Any] = {}
    for target in outputs:
        try:
            needed = _in_order(target, graph)
        except CycleError as found_cycle:
            needed = list(found_cycle.args[1])[:-1]
            _note_cycle([*needed, needed[0]], graph, problems)
        wrong = [i for i in needed if i in problems]
        for node_id in wrong:
            entry = {"errors": problems[node_id], "class_type": graph[node_id]["class_type"]}
            node_errors.setdefault(node_id, {**entry, "dependent_outputs": []})["dependent_outputs"].append(target)
        if not wrong:
            good.append(target)
            order |= dict.fromkeys(needed)
    if not good:
        lines = [f"{p['message']}: {p['details']}" for e in node_errors.values() for p in e["errors"]]
        error = problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(lines))
        raise PromptRefused(error, node_errors)
    return CheckedPrompt(converted, tuple(good), _keys(list(order), converted), node_errors)


def order_of(targets: Collection[str], graph: Graph, cached: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """What running `targets` takes: `(nodes to run, in order; cached nodes whose outputs they use)`.

    One target is finished before the next is begun, as ComfyUI prefers; nothing behind a cached node is run.
    """
    to_run: dict[str, None] = {}
    taken: dict[str, None] = {}
    for target in targets:
        stack = [(target, False)]
        while stack:
            node_id, behind_done = stack.pop()
            if node_id in to_run or node_id in taken:
                continue
            if cached(node_id):
                taken[node_id] = None
            elif behind_done:
                to_run[node_id] = None
            else:
                stack.append((node_id, True))
                stack += [(i, False) for i in reversed(links_of(graph[node_id]))]
    return list(to_run), list(taken)


def fingerprinted(prompt: CheckedPrompt, kinds: Mapping[str, NodeKind]) -> CheckedPrompt:
    """The prompt with cache keys that hold what the fingerprints of its nodes say now. On the worker, as it starts."""
    told: dict[str, Any] = {}
    for node_id in prompt.keys:
        node = prompt.graph[node_id]
        ask = kinds[node["class_type"]].fingerprint
        if ask is not None:
            told[node_id] = ask(node_id, **{n: v for n, v in node["inputs"].items() if not is_link(v) and n != "value"})
    return replace(prompt, keys=_keys(list(prompt.keys), prompt.graph, told)) if told else prompt


def _check_class(node_id: str, node: Any, kinds: Mapping[str, NodeKind]) -> None:
    if not isinstance(node, Mapping) or not isinstance(node.get("inputs", {}), Mapping):
        raise PromptRefused(problem("invalid_prompt", "A node is not an object", f"Node ID '#{node_id}'"))
    class_type = node.get("class_type")
    if isinstance(class_type, str) and class_type in kinds:
        return
    meta = node.get("_meta")
    title = (meta.get("title") if isinstance(meta, Mapping) else None) or class_type or f"ID #{node_id}"
    why = "not found. The custom node may not be installed" if class_type else "has no class_type"
    extra = {"node_id": node_id, "class_type": class_type, "node_title": title}
    raise PromptRefused(problem("missing_node_type", f"Node '{title}' {why}.", f"Node ID '#{node_id}'", **extra))


def _check_inputs(
    node: Mapping[str, Any], graph: Graph, kinds: Mapping[str, NodeKind]
) -> tuple[dict[str, Any], list[Problem]]:
    kind = kinds[node["class_type"]]
    inputs = dict(node.get("inputs", {}))
    found: list[Problem] = []
    for name, wanted in kind.inputs.items():
        if name not in inputs:
            if wanted.required:
                found.append(problem("required_input_missing", "Required input is missing", name, input_name=name))
            continue
        value = inputs[name]
        told = {"input_name": name, "input_config": wanted.config(), "received_value": value}
        if isinstance(value, list):
            wrong = _check_link(name, value, wanted, graph, kinds, told)
        else:
            inputs[name], wrong = _convert(name, value, wanted, told)
        found += wrong
    return inputs, found


def _check_link(
    name: str, link: list[Any], wanted: Input, graph: Graph, kinds: Mapping[str, NodeKind], told: dict[str, Any]
) -> list[Problem]:
    shape = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
    if not is_link(link) or type(link[1]) is not int:
        return [problem("bad_linked_input", shape, name, **told)]
    if link[0] not in graph:
        return [problem("bad_linked_input", shape, f"{name}: node {link[0]!r} is not in the prompt", **told)]
    outputs = kinds[graph[link[0]]["class_type"]].outputs
    if not 0 <= link[1] < len(outputs):
        return [problem("bad_linked_input", shape, f"{name}: node {link[0]!r} has no output {link[1]}", **told)]
    received = outputs[link[1]]
    if "*" in (received, wanted.type) or set(received.split(",")) & set(wanted.type.split(",")):
        return []
    details = f"{name}, received_type({received}) mismatch input_type({wanted.type})"
    extra = {"input_name": name, "input_config": wanted.config(), "received_type": received, "linked_node": link}
    return [problem("return_type_mismatch", "Return type mismatch between linked nodes", details, **extra)]


_CONVERT: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def _convert(name: str, value: Any, wanted: Input, told: dict[str, Any]) -> tuple[Any, list[Problem]]:
    """The value as its input's type, and what is wrong with it."""
    try:
        if wanted.needs_link:
            raise ValueError("it must be linked to another node")
        value = _CONVERT.get(wanted.type, lambda v: v)(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it is not a finite number")
    except (ValueError, TypeError, OverflowError) as error:
        text = f"Failed to convert an input value to a {wanted.type} value"
        extra = {**told, "exception_message": str(error)}
        return value, [problem("invalid_input_type", text, f"{name}, {value}, {error}", **extra)]
    if wanted.min is not None and value < wanted.min:
        text = f"Value {value} smaller than min of {wanted.min}"
        return value, [problem("value_smaller_than_min", text, name, **told)]
    if wanted.max is not None and value > wanted.max:
        text = f"Value {value} bigger than max of {wanted.max}"
        return value, [problem("value_bigger_than_max", text, name, **told)]
    if wanted.type == "COMBO" and value not in wanted.options:
        details = f"{name}: {value!r} not in {list(wanted.options)}"
        return value, [problem("value_not_in_list", "Value not in list", details, **told)]
    return value, []


def _in_order(target: str, graph: Graph) -> list[str]:
    """`target` and all it depends on, dependencies first. Links to nowhere, told elsewhere, are left out.

    Raises:
        CycleError: there is no such order.
    """
    before: dict[str, list[str]] = {}
    stack = [target]
    while stack:
        node_id = stack.pop()
        if node_id not in before:
            before[node_id] = [i for i in links_of(graph[node_id]) if i in graph]
            stack += before[node_id]
    return list(TopologicalSorter(before).static_order())


def _note_cycle(cycle: list[str], graph: Graph, problems: dict[str, list[Problem]]) -> None:
    path = " -> ".join(f"{i} ({graph[i]['class_type']})" for i in cycle)
    for node_id in cycle[:-1]:
        found = problem("dependency_cycle", "Dependency cycle detected", path, node_id=node_id, cycle_nodes=cycle[:-1])
        if found not in problems.setdefault(node_id, []):
            problems[node_id].append(found)


def _keys(order: list[str], graph: Graph, told: Mapping[str, Any] | None = None) -> dict[str, str]:
    """A digest per node over its class, values and the digests of what it is linked to."""
    keys: dict[str, str] = {}
    for node_id in order:
        node = graph[node_id]
        parts = [node["class_type"], *([repr(told[node_id])] if told and node_id in told else [])]
        for name in sorted(node["inputs"]):
            value = node["inputs"][name]
            link = is_link(value) and value[0] in keys
            parts.append([name, "link", keys[value[0]], value[1]] if link else [name, "value", value])
        text = json.dumps(parts, sort_keys=True)
        keys[node_id] = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return keys
