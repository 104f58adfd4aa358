"""What a server knows about its nodes: the answer of `GET /object_info`, read once and asked often.

An input is declared as `[type, options]`; the type is a name or, in the older way, the list of choices. Inputs that
grow or appear with a choice (ComfyUI's third node API) are expanded here as ComfyUI's own `comfy_api/latest/_io.py`
does before it validates a prompt: `resize_type.width` exists only while `resize_type` has a choice that brings it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
"""A choice that brings inputs of its own."""
AUTOGROW = "COMFY_AUTOGROW_V3"
"""A row of inputs that grows as it is filled; it is itself no input."""
DYNAMIC_SLOT = "COMFY_DYNAMICSLOT_V3"
"""A link that brings inputs of its own once it is made."""
COMBO = "COMBO"
UPLOADS = ("image_upload", "video_upload", "audio_upload")
"""Options that mark a choice of files in the server's input folder, to which one may upload."""
UPLOAD_FOLDER = "input"


@dataclass(frozen=True)
class InputSpec:
    """One input of a node."""

    name: str
    """As it stands in a prompt; inputs of a choice or of a growing row carry its name and a dot before."""
    type: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    required: bool = True
    choices: tuple[Any, ...] | None = field(default=None, repr=False)
    """What may be chosen; None where it is no choice, or where only the server's remote knows."""

    @property
    def takes_file(self) -> bool:
        """Whether it names a file of the server's input folder, so that a local one can be uploaded for it."""
        folder = self.options.get("image_folder", UPLOAD_FOLDER)
        return self.type == COMBO and folder == UPLOAD_FOLDER and any(self.options.get(key) for key in UPLOADS)


def _read_spec(name: str, declared: Any, required: bool) -> InputSpec:
    parts = declared if isinstance(declared, Sequence) and not isinstance(declared, str) else (declared,)
    kind = parts[0] if parts else "*"
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    if isinstance(kind, (list, tuple)):
        return InputSpec(name, COMBO, options, required, tuple(kind))
    choices: tuple[Any, ...] | None = None
    if kind == COMBO and "remote" not in options:
        choices = tuple(options.get("options") or ())
    elif kind == DYNAMIC_COMBO:
        choices = tuple(option.get("key") for option in options.get("options") or ())
    return InputSpec(name, str(kind), options, required, choices)


def read_specs(declared: Any, prefix: str = "", order: Any = None) -> tuple[InputSpec, ...]:
    """Read `{"required": {…}, "optional": {…}}` in the order in which the UI lays its widgets out.

    Args:
        declared: that part of a definition, or of one option of a choice.
        prefix: the name of what brings these inputs, with its dot.
        order: `input_order` of the definition, `{"required": [names], "optional": [names]}`.
    """
    found: list[InputSpec] = []
    for section in ("required", "optional"):
        entries = declared.get(section) if isinstance(declared, Mapping) else None
        entries = entries if isinstance(entries, Mapping) else {}
        first = [name for name in (order or {}).get(section) or () if name in entries]
        for name in [*first, *(name for name in entries if name not in first)]:
            found.append(_read_spec(prefix + name, entries[name], section == "required"))
    return tuple(found)


def option_inputs(spec: InputSpec, key: Any) -> tuple[InputSpec, ...]:
    """Return the inputs that choosing `key` of a dynamic choice brings; none where there is no such choice."""
    for option in spec.options.get("options") or ():
        if option.get("key") == key:
            return read_specs(option.get("inputs"), f"{spec.name}.")
    return ()


def _grown(spec: InputSpec) -> Iterator[InputSpec]:
    """All inputs that a growing row can have."""
    template = spec.options.get("template") or {}
    names = template.get("names") or [f"{template.get('prefix', '')}{i}" for i in range(template.get("max", 100))]
    inner = read_specs(template.get("input"))
    if not inner:
        return
    for number, name in enumerate(names):
        needed = inner[0].required and number < template.get("min", 1)
        yield InputSpec(f"{spec.name}.{name}", inner[0].type, inner[0].options, needed, inner[0].choices)


@dataclass(frozen=True)
class NodeDefinition:
    """One class of nodes."""

    class_type: str
    title: str
    inputs: tuple[InputSpec, ...]
    """As declared, in the UI's order; not expanded."""
    outputs: tuple[str, ...]
    """The types of its outputs; a list of choices counts as COMBO."""
    output_node: bool
    """Whether it makes something to keep, so that a prompt may end with it."""

    def expanded(self, values: Mapping[str, Any]) -> dict[str, InputSpec]:
        """Return every input that a node with these input values (or links) has, by name."""
        return {spec.name: spec for spec in _expanded(self.inputs, values)}


def _expanded(specs: Sequence[InputSpec], values: Mapping[str, Any]) -> Iterator[InputSpec]:
    for spec in specs:
        if spec.type == AUTOGROW:
            yield from _grown(spec)
            continue
        yield spec
        if spec.type == DYNAMIC_COMBO:
            yield from _expanded(option_inputs(spec, values.get(spec.name)), values)
        elif spec.type == DYNAMIC_SLOT and spec.name in values:
            yield from _expanded(read_specs(spec.options.get("inputs"), f"{spec.name}."), values)


class Definitions:
    """All classes of nodes that a server has.

    Args:
        object_info: what `GET /object_info` answers: class → definition.
    """

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        self._raw = object_info
        self._read: dict[str, NodeDefinition] = {}

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def get(self, class_type: str) -> NodeDefinition | None:
        """Return the definition of that class; None where the server has no such node."""
        if class_type not in self._read:
            raw = self._raw.get(class_type)
            if not isinstance(raw, Mapping):
                return None
            self._read[class_type] = NodeDefinition(
                class_type,
                str(raw.get("display_name") or class_type),
                read_specs(raw.get("input"), order=raw.get("input_order")),
                tuple(COMBO if isinstance(kind, list) else str(kind) for kind in raw.get("output") or ()),
                bool(raw.get("output_node")),
            )
        return self._read[class_type]
