"""Which value in a saved node belongs to which input.

The UI saves the values of a node's widgets as a bare list, in the order in which it made them. So this must make
the same widgets in the same order: one for each input of a type that has one, a second one behind a seed, and those
that a dynamic choice brings right behind it. Followed: ComfyUI's frontend 1.49.6 (`addInputs`, `migrateWidgetsValues`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .definitions import COMBO, DYNAMIC_COMBO, InputSpec, NodeDefinition, option_inputs
from .ui_file import UiNode

WIDGET_TYPES = frozenset(
    (
        DYNAMIC_COMBO,
        "INT",
        "FLOAT",
        "BOOLEAN",
        "STRING",
        "COMBO",
        "MARKDOWN",
        "TEXTAREA",
        "COLOR",
        "COLORS",
        "CURVE",
        "RANGE",
        "CHART",
        "GALLERIA",
        "PAINTER",
        "COMPOSITOR",
        "VIDEO_EDIT",
        "BOUNDING_BOX",
        "BOUNDING_BOXES",
        "RESOLUTION_PREVIEW",
        "IMAGECOMPARE",
        "IMAGEUPLOAD",
        "WEBCAM",
        "LOAD_3D",
        "LOAD_3D_ANIMATION",
        "AUDIO_UI",
        "AUDIOUPLOAD",
        "AUDIO_RECORD",
    )
)
"""Types of inputs for which the frontend makes a widget (`scripts/widgets.ts`, and its core extensions)."""
SEEDS = ("seed", "noise_seed")
"""Whole numbers of these names always have the widget that says how they change from run to run."""
UNSAVED = {"IMAGECOMPARE": ("", "")}
"""Widgets that only show something, and what they give a prompt: the file has no value for them."""


def widget_values(node: UiNode, definition: NodeDefinition) -> dict[str, Any]:
    """Return the values of the node's widgets by the name of the input, as a prompt has them."""
    if node.named and not node.values:
        # Only where there is no list: the frontend saves both and (1.49.6) reads the list.
        named = dict(node.named)
        return {spec.name: named.get(spec.name, default_value(spec)) for spec in _widgets(definition.inputs, named)}
    reader = _Reader(_without_forced(node.values, definition.inputs))
    reader.read(definition.inputs)
    return reader.values


def default_value(spec: InputSpec) -> Any:
    """Return what a new widget for that input holds."""
    if "default" in spec.options:
        return spec.options["default"]
    if spec.choices is not None:
        return spec.choices[0] if spec.choices else None
    return {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False, "STRING": ""}.get(spec.type)


def has_widget(spec: InputSpec) -> bool:
    """Say whether the UI makes a widget for that input; otherwise it only takes a link."""
    forced = spec.options.get("forceInput") or (spec.options.get("defaultInput") and not spec.required)
    return str(spec.options.get("widgetType") or spec.type) in WIDGET_TYPES and not forced


def _has_control(spec: InputSpec) -> bool:
    """Whether a second widget, `control_after_generate`, stands behind it."""
    return bool(spec.options.get("control_after_generate")) or (spec.type == "INT" and spec.name in SEEDS)


def _widgets(specs: Sequence[InputSpec], named: dict[str, Any]) -> Iterator[InputSpec]:
    for spec in specs:
        if has_widget(spec):
            yield spec
            if spec.type == DYNAMIC_COMBO:
                chosen = named.get(spec.name, default_value(spec))
                yield from _widgets(option_inputs(spec, chosen), named)


def _without_forced(values: Sequence[Any], specs: Sequence[InputSpec]) -> Sequence[Any]:
    """Leave out the values of inputs that had a widget when the file was saved and have none any more."""
    gone: list[bool] = []
    for spec in specs:
        forced = bool(spec.options.get("forceInput"))
        if forced or has_widget(spec):
            gone += [forced, False] if spec.options.get("control_after_generate") else [forced]
    if any(gone) and len(gone) == len(values):
        return [value for value, left in zip(values, gone, strict=True) if not left]
    return values


class _Reader:
    """Goes through the widgets and the values side by side."""

    def __init__(self, saved: Sequence[Any]) -> None:
        self._saved = list(saved)
        self._at = 0
        self.values: dict[str, Any] = {}

    def read(self, specs: Sequence[InputSpec]) -> None:
        for spec in specs:
            if not has_widget(spec):
                continue
            if spec.type in UNSAVED:
                self.values[spec.name] = list(UNSAVED[spec.type])
                continue
            value = self.values[spec.name] = self._next(default_value(spec))
            if spec.type == DYNAMIC_COMBO:
                self.read(option_inputs(spec, value))
            elif _has_control(spec):
                self._next(None)
                if spec.type == COMBO:
                    self._next(None)  # the filter of a choice's control

    def _next(self, default: Any) -> Any:
        """Return the next saved value; a file older than the widget has none for it."""
        if self._at >= len(self._saved):
            return default
        self._at += 1
        return self._saved[self._at - 1]
