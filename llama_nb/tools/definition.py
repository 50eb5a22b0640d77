"""What a tool is: a definition that a model is told, a check of its arguments, and, mostly, something that runs.

Whether a call may run is the conversation's to decide: a tool only says what it wants by default, and nothing but
Python code can change that.
"""

from __future__ import annotations

import functools
import inspect
import keyword
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, overload

from llama_nb import loop
from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolParamDefinition, tool_name_str
from llama_nb.errors import BadRequest, NotSupported, ToolArgumentsInvalid, did_you_mean
from llama_nb.tools.arguments import Convert, checked, schema_converters
from llama_nb.tools.events import Result
from llama_nb.tools.running import Action, Progress, run_action

Approval = Literal["ask", "allow", "deny"]
"""Whether a call runs: after a question, at once, or never."""

TIMEOUT_S = 30.0

_BUILTIN_ARGUMENT = {
    BuiltinTool.brave_search: "query",
    BuiltinTool.wolfram_alpha: "query",
    BuiltinTool.photogen: "query",
    BuiltinTool.code_interpreter: "code",
}
_SCHEMA_TYPES = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "double": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "dict": "object",
    "object": "object",
}


def _nothing(said: str) -> None:
    pass


@dataclass(eq=False)
class Tool:
    """Something that a model may call. Called from Python, it is the function that it was made of.

    Attributes:
        definition: what the model is told, in Llama Stack's words.
        schema: the arguments as JSON schema.
        converters: for each argument the check that makes of a value what the tool takes.
        action: what a call does; None for a tool that is offered only.
        function: what it was made of, if that was a function.
        approval: "ask", "allow" or "deny". Setting it is for Python code: no page and no model reaches it.
        timeout_s: how long a call may run, in seconds; None for as long as it takes.
        source: where it comes from: "function", "builtin", "definition", or "mcp NAME".
        notice: what somebody who is asked should know of it, beyond the call itself.
        always_asks: it can do whatever Python can, so "allow" is refused for it.
        in_loop: `action` only makes a coroutine or an async generator, so it needs no thread.
        interruptible: its thread may be interrupted at any line.
    """

    definition: ToolDefinition
    schema: dict[str, Any]
    converters: Mapping[str, Convert]
    action: Action | None = None
    function: Callable[..., Any] | None = None
    approval: Approval = "ask"
    timeout_s: float | None = TIMEOUT_S
    source: str = "function"
    notice: str = ""
    always_asks: bool = False
    in_loop: bool = False
    interruptible: bool = False

    def __post_init__(self) -> None:
        _check_approval(self.approval, self.name, self.always_asks)
        if self.function is not None:
            for name in ("__module__", "__name__", "__qualname__", "__doc__"):
                setattr(self, name, getattr(self.function, name, None))
            self.__wrapped__ = self.function

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "approval":
            _check_approval(value, self.name, self.always_asks)
        if name == "timeout_s":
            _check_timeout(value)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        takes = ", ".join(self.schema["properties"])
        return f"<Tool {self.name}({takes}), {self.source}, approval='{self.approval}'>"

    @property
    def name(self) -> str:
        return tool_name_str(self.definition.tool_name)

    @property
    def description(self) -> str:
        return self.definition.description or ""

    @property
    def runnable(self) -> bool:
        """False for a tool that is offered only: its calls are for the caller to answer."""
        return self.action is not None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, as if it were no tool: nothing is checked, nobody is asked."""
        if self.function is None:
            raise NotSupported(f"`{self.name}` was not made of a function; `await tool.run({{…}}, print)` runs it.")
        return self.function(*args, **kwargs)

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` as the tool takes them: text that holds a number as that number, dicts as the dataclasses meant.

        Raises:
            ToolArgumentsInvalid: in one sentence that a model can act on.

        >>> def add(a: int, b: int = 1) -> int:
        ...     return a + b
        >>> tool(add).check({"a": "41"})
        {'a': 41}
        >>> tool(add).check({"a": "many"})
        Traceback (most recent call last):
        llama_nb.errors.ToolArgumentsInvalid: Argument `a` of `add` must be int, but 'many' came (input should be a \
valid integer, unable to parse string as an integer).
        """
        return checked(self.name, self.schema, arguments, self.converters)

    async def run(self, arguments: Mapping[str, Any], progress: Progress = _nothing) -> Result:
        """Checks `arguments` and runs the call. Nobody is asked: whoever calls has.

        `progress` is called in llama_nb's loop with each word of progress. Arguments that `check` returned fit, too.
        Nothing is raised but CancelledError, and that at once; a call that goes wrong is a failed result.
        """
        if self.action is None:
            return Result(f"`{self.name}` cannot be run here.", failed=True)
        try:
            fitting = self.check(arguments)
        except ToolArgumentsInvalid as error:
            return Result(str(error), failed=True)
        except Exception as error:  # a type's own code
            return Result(f"The arguments of `{self.name}` could not be checked: {error}", failed=True)
        return await loop.cross(
            run_action(
                self.name,
                self.action,
                fitting,
                progress,
                in_loop=self.in_loop,
                timeout_s=self.timeout_s,
                interruptible=self.interruptible,
            )
        )


def _check_approval(approval: Any, name: str, always_asks: bool) -> None:
    if approval not in get_args(Approval):
        raise BadRequest(f"approval `{approval}` is none; {did_you_mean(str(approval), get_args(Approval))}")
    if approval == "allow" and always_asks:
        raise BadRequest(
            f"`{name}` runs what a model wrote, with all that you may do, so it always asks: `approval='ask'`."
        )


def _check_timeout(timeout_s: Any) -> None:
    if timeout_s is None:
        return
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
        raise BadRequest(f"timeout_s must be a number of seconds above 0, or None for no limit; it is {timeout_s!r}.")


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = "ask",
    timeout_s: float | None = TIMEOUT_S,
) -> Callable[[Callable[..., Any]], Tool]: ...
@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = "ask",
    timeout_s: float | None = TIMEOUT_S,
) -> Tool: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = "ask",
    timeout_s: float | None = TIMEOUT_S,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """A function as a tool: `@nb.tool`, `@nb.tool(approval="allow")` or `nb.tool(function)`.

    Its description is the docstring's; its parameters have the names, types and defaults of the signature and the
    descriptions of the docstring. A sync function runs in a thread, an async one in llama_nb's loop, where it must
    await rather than block. What a generator yields is progress; its result is what it returns, or else what it
    yielded last. What the function prints goes where Python's output goes, not to the model.

    Raises:
        NotSupported: a parameter whose type no model can write down.
        BadRequest: a name or an option that cannot be.

    >>> @tool
    ... def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    ...     '''The weather of today.
    ...
    ...     Args:
    ...         city: where to look.
    ...     '''
    ...     return f"Sunny in {city}"
    >>> get_weather.definition.parameters["unit"].description
    "One of 'celsius', 'fahrenheit'."
    >>> get_weather("Bern")
    'Sunny in Bern'
    """

    def make(function: Callable[..., Any]) -> Tool:
        return _from_function(function, name, description, approval, timeout_s)

    return make if function is None else make(function)


def _from_function(
    function: Callable[..., Any], name: str | None, description: str | None, approval: Approval, timeout_s: float | None
) -> Tool:
    from llama_nb.tools.signature import documented, parameters_of

    if isinstance(function, Tool):
        function = function.function or function
    if not callable(function) or isinstance(function, type | Tool):
        raise BadRequest(f"A tool is made of a function, not of {function!r:.80}.")
    name = _checked_name(function, name)
    told = documented(function)
    parameters = parameters_of(function, name, told)
    definition = ToolDefinition(
        tool_name=name,
        description=(told.description if description is None else description) or None,
        parameters=parameters.definitions,
    )
    _check_builtin(definition)
    return Tool(
        definition,
        parameters.schema,
        parameters.converters,
        lambda arguments, progress: parameters.call(function, arguments),
        function,
        approval,
        timeout_s,
        in_loop=_is_async(function),
    )


def _checked_name(function: Callable[..., Any], name: str | None) -> str:
    plain = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    given = name if name is not None else getattr(plain, "__name__", type(plain).__name__)
    if not isinstance(given, str) or not given.isidentifier() or keyword.iskeyword(given):
        raise BadRequest(
            f"A tool needs a name that Python could give a function, and `{given}` is none; "
            "choose one: `nb.tool(function, name='get_weather')`."
        )
    return given


def _check_builtin(definition: ToolDefinition) -> None:
    """A function may stand in for a built-in tool, when it takes what Llama gives that."""
    builtin = definition.tool_name
    if isinstance(builtin, BuiltinTool) and list(definition.parameters or {}) != [_BUILTIN_ARGUMENT[builtin]]:
        raise BadRequest(
            f"`{builtin.value}` is a tool that Llama knows by itself, and always calls with "
            f"`{_BUILTIN_ARGUMENT[builtin]}`; take that one argument, or choose another name."
        )


def _is_async(function: Callable[..., Any]) -> bool:
    from llama_nb.tools.signature import routine

    call = routine(function)
    return inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)


def as_tool(thing: Any) -> Tool:
    """`thing` as a tool: a Tool, a function, a ToolDefinition, a BuiltinTool or the name of one.

    Definitions and built-ins are offered and not run: their calls are for the caller to answer.

    >>> as_tool("brave_search").runnable
    False
    """
    if isinstance(thing, Tool):
        return thing
    if isinstance(thing, str):
        thing = _builtin(thing)
    if isinstance(thing, BuiltinTool):
        thing = ToolDefinition(tool_name=thing)
    if isinstance(thing, ToolDefinition):
        schema = schema_of(thing)
        return Tool(thing, schema, schema_converters(schema), source="definition")
    if callable(thing) and not isinstance(thing, type):
        return tool(thing)
    raise BadRequest(
        f"A tool is a function, a Tool, a ToolDefinition or the name of a built-in tool, not {thing!r:.80}."
    )


def builtin_tool(name: BuiltinTool, action: Action, approval: Approval, timeout_s: float, **more: Any) -> Tool:
    """One of the tools that Llama knows by name: nothing but the name is offered to it."""
    definition = ToolDefinition(tool_name=name)
    schema = schema_of(definition)
    return Tool(
        definition,
        schema,
        schema_converters(schema),
        action,
        approval=approval,
        timeout_s=timeout_s,
        source="builtin",
        **more,
    )


def _builtin(name: str) -> BuiltinTool:
    if name not in BuiltinTool.__members__:
        raise BadRequest(f"No built-in tool is called `{name}`. {did_you_mean(name, BuiltinTool.__members__)}")
    return BuiltinTool(name)


def schema_of(definition: ToolDefinition) -> dict[str, Any]:
    """The JSON schema of what a definition says its arguments are."""
    parameters = definition.parameters
    if parameters is None and isinstance(definition.tool_name, BuiltinTool):
        only = _BUILTIN_ARGUMENT[definition.tool_name]
        parameters = {only: ToolParamDefinition(param_type="str")}
    parameters = parameters or {}
    return {
        "type": "object",
        "properties": {name: _schema_of_parameter(parameter) for name, parameter in parameters.items()},
        "required": [name for name, parameter in parameters.items() if parameter.required],
        "additionalProperties": False,
    }


def _schema_of_parameter(parameter: ToolParamDefinition) -> dict[str, Any]:
    kind = _SCHEMA_TYPES.get(parameter.param_type.strip().lower())
    schema: dict[str, Any] = {"type": kind} if kind else {}
    if parameter.description:
        schema["description"] = parameter.description
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema
