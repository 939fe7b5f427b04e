"""Rating a report's answers, by people and by language models, and whether to believe a rater."""

from vecspeak.raters.exchange import ImportResult, export_items, import_ratings

__all__ = ["ImportResult", "export_items", "import_ratings"]
