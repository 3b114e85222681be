"""The result of one evaluation as a single HTML page that needs nothing but a browser."""

from lavida.evaluation.report.page import write_report
from lavida.evaluation.results import Result, read_result

__all__ = ["Result", "read_result", "write_report"]
