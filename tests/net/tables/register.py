"""All the tables, by name."""

from . import fairness, goodput, recovery, reordering, response, route

TABLES = {module.TABLE.name: module.TABLE for module in (goodput, fairness, recovery, reordering, route, response)}
