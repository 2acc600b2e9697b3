"""YAML 1.2 (its core schema) as configurations have it: `on`, `no` and dates are text, `1e-4` is a number.

Unlike PyYAML's own loader it refuses keys that appear twice, and whatever would expand without end: a file is data of
bounded size.
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

import yaml

from comp.errors import CompError

MOST_BYTES, MOST_VALUES, DEEPEST = 2**20, 100_000, 40  # values: once aliases are written out
CORE = "tag:yaml.org,2002:"
SCALARS = (  # pattern, first characters. Longer integers, and those that begin with 0 as ids do, are text.
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,99})|0x[0-9a-fA-F]{1,99}|0o[0-7]{1,99}", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)
MARKER = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)  # of a merge that was not settled
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # no path, name or file may hold them


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}
    yaml_constructors = {}

    def one_of_each(self, node: yaml.MappingNode) -> dict[Any, Any]:
        """A mapping whose keys are scalars, each there once."""
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault("a key is a word, not a list or a mapping", key_node)
            key = self.construct_object(key_node)
            if key in values:
                raise _fault(f"the key {key_node.value!r} appears twice", key_node)
            values[key] = self.construct_object(value_node, deep=True)
        return values

    def construct_undefined(self, node: yaml.Node) -> NoReturn:
        raise _fault(f"the tag {node.tag!r} is not known here", node)

    def text(self, node: yaml.ScalarNode) -> str:
        value = self.construct_scalar(node)
        if UNPRINTABLE.search(value):
            raise _fault("it holds a character that cannot be printed", node)
        return value


class Dumper(yaml.SafeDumper):
    """Writes what the loader here reads as the same: text that it takes for a number is quoted."""


def _integer(_: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value, 0) if node.value[:2] in ("0x", "0o") else int(node.value)


def _float(_: _Loader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", node.value.lower()))


def _boolean(_: _Loader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() == "true"


for _name, _pattern, _first in SCALARS:
    for _class in (_Loader, Dumper):
        _class.add_implicit_resolver(f"{CORE}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
CONSTRUCTORS: dict[str, Callable[[_Loader, Any], Any]] = {
    "null": lambda *_: None,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
    "str": _Loader.text,
    "seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "map": _Loader.one_of_each,
}
for _name, _construct in CONSTRUCTORS.items():
    _Loader.add_constructor(f"{CORE}{_name}", _construct)
_Loader.yaml_constructors[None] = _Loader.construct_undefined  # else what is not known is taken for text


def parsed(text: str, where: str) -> Any:
    """The value of a YAML text; `where` names it in errors.

    Raises:
        CompError: it is not YAML, a key appears twice, or it is too large or too deep.
    """
    if len(text) > MOST_BYTES:
        raise CompError(f"{where}: larger than {MOST_BYTES // 2**20} MB, too large for a configuration")
    if marker := MARKER.search(text):
        at = text.count("\n", 0, marker.start()) + 1
        raise CompError(f"{where} line {at}: two versions stand between <<<<<<< and >>>>>>>: keep one of them")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_boundless(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        said = [getattr(error, name, None) for name in ("context", "problem")]
        why = " ".join((": ".join(filter(None, said)) or str(error)).split())
        raise CompError(f"{where}{line}: not valid YAML: {why}") from None
    except ValueError as error:  # an explicit tag on what it does not fit: !!int x
        raise CompError(f"{where}: not valid YAML: {error}") from None
    except RecursionError:
        raise CompError(f"{where}: not valid YAML: nested more than {DEEPEST} deep") from None


def _refuse_boundless(node: yaml.Node) -> None:
    """Counts values as if each alias were written out; a recursive one is endlessly deep."""
    count, left = 1, [(node, 1)]
    while left:
        node, depth = left.pop()
        inside = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            inside = [each for pair in node.value for each in pair]
        count += len(inside)
        if depth > DEEPEST:
            raise _fault(f"nested more than {DEEPEST} deep", node)
        if count > MOST_VALUES:
            raise _fault(f"more than {MOST_VALUES} values once aliases are written out", node)
        left += [(each, depth + 1) for each in inside]


def _fault(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
