"""Catalogs: plugins by name, ours and those of installed distributions."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from .errors import InputError
from .hashing import fingerprint

T = TypeVar("T")


def closest_match(name: str, known: list[str]) -> str:
    """Phrase that helps a user who misspelled a name.

    Args:
        name: What the user wrote.
        known: What exists.

    Returns:
        «did you mean 'x'? known: a, b, c», without the question where nothing is close.
    """
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(sorted(known))}"


class Catalog(Generic[T]):
    """Named factories of one kind of plugin.

    Our own plugins are registered in code; an installed distribution adds its own through an entry-point group whose
    names are the plugin names. Entry points are loaded when asked for by name, so that a broken plugin harms only the
    user who asks for it.
    """

    def __init__(self, kind: str, *, entry_point_group: str) -> None:
        """Make an empty catalog.

        Args:
            kind: What the plugins are, in the singular, for error messages.
            entry_point_group: Group in which other distributions announce plugins.
        """
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._factories: dict[str, Callable[..., T]] = {}
        self._announced: dict[str, EntryPoint] | None = None

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Add a plugin of ours.

        Raises:
            InputError: If the name is taken.
        """
        if name in self._factories:
            raise InputError(f"{self.kind} {name!r} is registered twice; choose another name")
        self._factories[name] = factory

    def __iter__(self) -> Iterator[str]:
        """All names, sorted."""
        return iter(sorted({*self._factories, *self._entry_points()}))

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def get(self, name: str) -> Callable[..., T]:
        """The factory behind a name.

        Raises:
            InputError: If nothing or more than one thing has that name, or its distribution cannot be loaded.
        """
        announced = self._entry_points()
        if name in self._factories:
            if name in announced:
                raise InputError(
                    f"{self.kind} {name!r} is ours and is also announced by {announced[name].value!r}; "
                    "uninstall that distribution or ask its authors for another name"
                )
            return self._factories[name]
        if name not in announced:
            raise InputError(f"unknown {self.kind} {name!r}; {closest_match(name, list(self))}")
        try:
            factory: Callable[..., T] = announced[name].load()
        except Exception as error:
            raise InputError(
                f"{self.kind} {name!r} ({announced[name].value}) cannot be imported: {error}; "
                "reinstall its distribution"
            ) from error
        return factory

    def create(self, name: str, /, *args: Any, **params: Any) -> T:
        """Make a plugin from parameters that a user wrote.

        Args:
            name: Name of the plugin.
            *args: Positional arguments that the program supplies.
            **params: Parameters, checked against names and type hints of the factory.

        Raises:
            InputError: For an unknown name, an unknown or missing parameter, or a value of the wrong type.
        """
        factory = self.get(name)
        return factory(*args, **self.checked_params(name, params))

    def checked_params(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Check parameters against the plugin and bring them to the types that it declares (a list to a tuple, say).

        Args:
            name: Name of the plugin.
            params: What the user wrote.

        Returns:
            The same parameters, converted.

        Raises:
            InputError: For an unknown or missing parameter, or a value of the wrong type.
        """
        known = self.params(name)
        for key in params:
            if key not in known:
                raise InputError(f"{self.kind} {name!r} has no parameter {key!r}; {closest_match(key, list(known))}")
        for key, parameter in known.items():
            if parameter.default is inspect.Parameter.empty and key not in params:
                raise InputError(f"{self.kind} {name!r} needs the parameter {key!r}, which is missing")
        return {key: self._converted(name, key, value, known[key]) for key, value in params.items()}

    def params(self, name: str) -> dict[str, inspect.Parameter]:
        """Keyword parameters of a plugin, by name."""
        signature = inspect.signature(self.get(name), eval_str=True)
        return {
            parameter.name: parameter
            for parameter in signature.parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def origin(self, name: str) -> dict[str, str]:
        """Version and code of a plugin that another distribution brings, for stored results; empty for ours.

        The code is that of the plugin's own module: who works on one shall not see yesterday's scores.
        """
        factory, announced = self.get(name), self._entry_points().get(name)
        if announced is None:
            return {}
        facts = {} if announced.dist is None else {"version": announced.dist.version}
        try:
            source = inspect.getsource(inspect.getmodule(factory) or factory)
        except (OSError, TypeError):  # built in C, or typed at a prompt
            return facts
        return {**facts, "source": fingerprint(source)}

    def _converted(self, name: str, key: str, value: Any, parameter: inspect.Parameter) -> Any:
        if parameter.annotation is inspect.Parameter.empty:
            return value
        try:
            return TypeAdapter(parameter.annotation).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise InputError(f"{self.kind} {name!r}: parameter {key!r} is {value!r}; {problem}") from error

    def _entry_points(self) -> dict[str, EntryPoint]:
        # Reading the metadata of all installed distributions takes tens of milliseconds, and names are looked up often.
        if self._announced is None:
            self._announced = self._read_entry_points()
        return self._announced

    def _read_entry_points(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry_point in entry_points(group=self.entry_point_group):
            if entry_point.name in found and found[entry_point.name].value != entry_point.value:
                raise InputError(
                    f"{self.kind} {entry_point.name!r} is announced by {found[entry_point.name].value!r} and by "
                    f"{entry_point.value!r}; uninstall one of them"
                )
            found[entry_point.name] = entry_point
        return found
