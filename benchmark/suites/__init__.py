"""Suites that ship with the package; `xaibench list suites` names them."""
