"""What the routes take. Validators are built by the first request, not by every start of ComfyUI."""

# No postponed annotations here: at every start pydantic would evaluate each of them from its text.
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Body(BaseModel):
    """A request body; unknown fields are errors, so that a typing mistake is told."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Nothing(Body):
    """`pause` and `resume`: `{}`."""


class Free(Body):
    """`free`: how far to go, and how much is wanted."""

    level: Literal["warning", "critical", "emergency"] = "critical"
    """warning: what costs nobody anything; critical: also what a repeated run would make again; emergency: all."""
    goal_bytes: Annotated[int, Field(ge=1, le=2**50)] | None = None
    dry_run: bool = False
    """Free nothing; answer what would be done."""


class Past(BaseModel):
    """The query of `history` and `log`, whose values come as text."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    since: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds since the epoch; only what is later."""
    points: Annotated[int, Field(ge=1, le=3600)] = 600
    """At the most so many."""


class Marks(BaseModel):
    """The query of `history/marks`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    since: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds since the epoch; only what ended, or was done, later."""


class ResetSettings(Body):
    """`settings/reset`: which settings go back to their defaults."""

    fields: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=200)] | None
    ) = None
    """As `ram.warning`; None: all of them."""


class Page(BaseModel):
    """The query of `batch`, whose values come as text."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """At the most so many jobs."""
    before: Annotated[int, Field(ge=1, le=2**62)] | None = None
    """Only jobs whose `seq` is lower: the `next` of the page before."""


JobId = Annotated[str, Field(min_length=1, max_length=128)]


class RestoreBatch(Body):
    """`batch/restore`: which prompts of an earlier process, and what is to become of them."""

    ids: Annotated[list[JobId], Field(min_length=1, max_length=1000)] | None = None
    """None: all of them."""
    discard: bool = False
    """Forget them instead."""


class RetryBatch(Body):
    """`batch/retry`: which failed prompts are queued again."""

    ids: Annotated[list[JobId], Field(min_length=1, max_length=1000)] | None = None
    """None: all whose graph is still kept, but those that somebody cancelled."""


class Release(Body):
    """`batch/release`: the job in quarantine that may run again."""

    id: JobId


class BadRequest(ValueError):  # noqa: N818 - it is an answer, not a fault of ours
    """A request that is answered with 400; `fields` has a row for each that is wrong."""

    def __init__(self, message: str, fields: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or []

    def as_dict(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": {"message": str(self), "fields": self.fields}}


def parse(kind: type[BaseModel], data: Any) -> Any:
    """`data` as a `kind`.

    Raises:
        BadRequest: it is not; with the field, what is allowed, and what holds where it is left out.
    """
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object; nothing was done")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise BadRequest(
            "the request was not understood; nothing was done",
            [
                {
                    "field": ".".join(map(str, e["loc"])),
                    "problem": e["msg"],
                    "in_force": _default(kind, e["loc"]),
                }
                for e in error.errors()
            ],
        ) from None


def _default(kind: type[BaseModel], path: tuple[Any, ...]) -> Any:
    field = kind.model_fields.get(str(path[0])) if path else None
    return None if field is None or field.is_required() else field.default
