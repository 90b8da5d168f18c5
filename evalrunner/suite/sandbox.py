"""Jinja for suites that somebody else may have written: no calls, no attributes, bounded work.

A template can branch, loop, and filter its row's data. It cannot call anything, reach an attribute of
an object, load another template, or grow a value without limit. What it may contain is a list of node
types, so that a construct nobody thought of is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Final

from jinja2 import StrictUndefined, Undefined, UndefinedError, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalrunner.errors import Problem, TemplateError
from evalrunner.suite.sandbox_filters import FILTERS, TESTS, LimitPassed, bounded_text, joined
from evalrunner.suite.template import Vars, undefined
from evalrunner.values.spec import SourceRef

MAX_TEMPLATE: Final = 1_000_000
MAX_OUTPUT: Final = 5_000_000
MAX_STEPS: Final = 50_000
_MAX_INTEGER: Final = 2**64
_MAX_NODES: Final = 20_000
_MAX_LOOPS_INSIDE: Final = 8

_LOOP_FIELDS: Final = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"}
)
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.With,
    nodes.Assign,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.CondExpr,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Concat,
    nodes.Keyword,
)
_WORDS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "calls",
    nodes.Pow: "powers (**)",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Macro: "macros",
}

_steps: ContextVar[list[int]] = ContextVar("_steps")


def compile_jinja(text: str, source: SourceRef) -> JinjaTemplate:
    """The template in a text that needs more than plain names.

    Raises:
        TemplateError: It is not Jinja, or holds what the sandbox does not allow.
    """
    if len(text) > MAX_TEMPLATE:
        message = f"a template is longer than {MAX_TEMPLATE:,} characters"
        raise TemplateError(Problem(message, file=source.file, line=max(source.line, 1)))
    try:
        tree = _ENVIRONMENT.parse(text)
        _refuse_foreign(tree)
        names = frozenset(find_undeclared_variables(tree))
        _bound(tree)
        return JinjaTemplate(_ENVIRONMENT.from_string(tree), names, source)
    except TemplateSyntaxError as error:
        raise _error(source, error.message or "syntax error", error.lineno or 1) from None
    except (JinjaError, SyntaxError, ValueError, OverflowError) as error:
        raise _error(source, f"this is not a template: {error}", 1) from None
    except (RecursionError, MemoryError):
        raise _error(source, "this template is nested too deeply", 1) from None


class JinjaTemplate:
    """A compiled Jinja template under the sandbox's limits."""

    __slots__ = ("_source", "_template", "names")

    def __init__(self, template: object, names: frozenset[str], source: SourceRef) -> None:
        self._template = template
        self._source = source
        self.names = names

    def render(self, variables: Vars) -> str:
        """The text for one row; see :meth:`evalrunner.suite.template.Template.render`."""
        token = _steps.set([MAX_STEPS])
        try:
            return self._joined(variables)
        except UndefinedError as error:
            raise self._undefined(error, variables) from None
        except LimitPassed as error:
            raise self._failed(error, str(error)) from None
        except (JinjaError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise self._failed(error, f"the template cannot be rendered: {error}") from None
        except (RecursionError, MemoryError) as error:
            raise self._failed(error, "the template needs too much memory") from None
        finally:
            _steps.reset(token)

    def _joined(self, variables: Vars) -> str:
        parts: list[str] = []
        size = 0
        for part in self._template.generate(variables):  # type: ignore[attr-defined]
            size += len(part)
            if size > MAX_OUTPUT:
                raise LimitPassed(f"a rendered template is longer than {MAX_OUTPUT:,} characters")
            parts.append(part)
        return "".join(parts)

    def _undefined(self, error: UndefinedError, variables: Vars) -> TemplateError:
        found = re.search(r"'([^']*)' is undefined|has no attribute '([^']*)'", str(error))
        name = (found[1] or found[2]) if found else str(error)
        base = max(self._source.line, 1)
        return undefined(name, self._source, base + _line_in(error) - 1, variables)

    def _failed(self, error: BaseException, message: str) -> TemplateError:
        return _error(self._source, message, _line_in(error))


def _line_in(error: BaseException) -> int:
    """The template's line that raised: Jinja rewrites tracebacks so that they name it."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _error(source: SourceRef, message: str, line: int) -> TemplateError:
    return TemplateError(
        Problem(message[:400], file=source.file, line=max(source.line, 1) + max(line, 1) - 1)
    )


def _refuse_foreign(tree: nodes.Template) -> None:
    """Refuses every construct that is not on the list, however it got into the tree."""
    stack: list[tuple[nodes.Node, int]] = [(tree, 0)]
    seen = 0
    while stack:
        node, loops = stack.pop()
        seen += 1
        if not isinstance(node, _ALLOWED):
            word = _WORDS.get(type(node), type(node).__name__.lower())
            raise TemplateSyntaxError(f"templates may not use {word}", node.lineno or 1)
        _refuse_shape(node, loops, seen)
        inner = loops + isinstance(node, nodes.For)
        stack += [(child, inner) for child in node.iter_child_nodes()]


def _refuse_shape(node: nodes.Node, loops: int, seen: int) -> None:
    if seen > _MAX_NODES:
        raise TemplateSyntaxError("this template is too large", node.lineno)
    if loops > _MAX_LOOPS_INSIDE:
        raise TemplateSyntaxError("loops are nested too deeply", node.lineno)
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateSyntaxError("recursive loops are not allowed in templates", node.lineno)
    if isinstance(node, (nodes.List, nodes.Dict)) and not _is_literal(node):
        # [a, a] set to a, again and again, would double with every line.
        message = "a list or mapping written in a template may hold constants only"
        raise TemplateSyntaxError(message, node.lineno)
    if isinstance(node, nodes.Tuple) and node.ctx == "load" and not _is_literal(node):
        message = "a tuple written in a template may hold constants only"
        raise TemplateSyntaxError(message, node.lineno)


def _is_literal(node: nodes.Node) -> bool:
    if isinstance(node, (nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Neg)):
        return all(_is_literal(child) for child in node.iter_child_nodes())
    return isinstance(node, nodes.Const)


def _bound(tree: nodes.Template) -> None:
    """Routes loops and ``~`` through filters that count, since the engine has no hook for them."""
    for loop in tree.find_all(nodes.For):
        loop.iter = _filtered(loop.iter, "_steps", loop.lineno)
    _replace_concat(tree)


def _replace_concat(node: nodes.Node) -> None:
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            _replace_concat(value)
            if isinstance(value, nodes.Concat):
                setattr(node, name, _concat_filter(value))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, nodes.Node):
                    _replace_concat(item)
                    if isinstance(item, nodes.Concat):
                        value[index] = _concat_filter(item)


def _concat_filter(node: nodes.Concat) -> nodes.Filter:
    return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_concat", node.lineno)


def _filtered(node: nodes.Node, name: str, line: int) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=line)


def _spend(steps: int) -> None:
    left = _steps.get()
    left[0] -= steps
    if left[0] < 0:
        raise LimitPassed(f"a template does more than {MAX_STEPS:,} steps for one row")


def _counted(items: object) -> Iterator[object]:
    if isinstance(items, Undefined):
        iter(items)  # raises what StrictUndefined says
    if not isinstance(items, (Mapping, list, tuple, str)):
        raise TypeError("a loop needs a list or a mapping")
    for item in items:
        _spend(1)
        yield item


def _charged(function: Callable[..., object]) -> Callable[..., object]:
    """The filter, paid for by the size of what it works on."""

    def charged(value: object, *args: object, **kwargs: object) -> object:
        size = len(value) if isinstance(value, (str, list, tuple, dict)) else 0
        _spend(1 + size // 1000)
        return function(value, *args, **kwargs)

    return charged


class _Sandbox(ImmutableSandboxedEnvironment):
    """Data only: items of mappings and lists, numbers that stay small, no attribute of any object."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, LoopContext) and attribute in _LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(obj, Undefined):
            return obj[argument]  # raises what StrictUndefined says
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, (list, tuple, str)) and isinstance(argument, (int, slice)):
            try:
                return obj[argument]
            except (IndexError, TypeError, ValueError):
                return self.undefined(obj=obj, name=str(argument))
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: object) -> bool:
        return False

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises what StrictUndefined says
        if operator == "+" and type(left) is type(right) and isinstance(left, (str, list)):
            return _added(left, right)
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            raise SecurityError(f"{operator} works on numbers only here")
        if operator == "**":
            raise SecurityError("powers (**) are not allowed in templates")
        result = self.binop_table[operator](left, right)
        if isinstance(result, int) and abs(result) >= _MAX_INTEGER:
            raise LimitPassed("a number in a template does not fit 64 bits")
        return result


def _added(left: object, right: object) -> object:
    _spend(1 + (len(left) + len(right)) // 1000)  # type: ignore[arg-type]
    if isinstance(left, str) and isinstance(right, str):
        return joined([left, right], "")
    if len(left) + len(right) > MAX_STEPS:  # type: ignore[arg-type]
        raise LimitPassed(f"a list in a template is longer than {MAX_STEPS:,}")
    return left + right  # type: ignore[operator]


def _finalize(value: object) -> str:
    return str(value) if isinstance(value, Undefined) else bounded_text(value)


def _environment() -> _Sandbox:
    environment = _Sandbox(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=_finalize,
        keep_trailing_newline=True,
        optimized=False,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters.clear()
    environment.filters.update({name: _charged(filter_) for name, filter_ in FILTERS.items()})
    environment.filters["_steps"] = _counted
    environment.filters["_concat"] = _charged(lambda parts: joined(parts, ""))
    kept = {name: test for name, test in environment.tests.items() if name in TESTS}
    environment.tests.clear()
    environment.tests.update(kept)
    return environment


_ENVIRONMENT: Final = _environment()
