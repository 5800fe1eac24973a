"""Words of service sources by vocabularies, and names of web pages.

What belongs here: expressions that several service tables share. What does not: what a word weighs (parameters/).
"""

import ibis
import ibis.expr.types as ir

from platform_assets.conform import joined_rejects, rejects, slug, trimmed, unreadable


def worded(rows: ir.Table, column: str, raw: str, vocabulary: ir.Table, word: str, missing: str | None = None, default: str | None = None) -> ir.Table:
    """The rows with `column` as the vocabulary's `word` for the text in `raw`; a word that it does not know is DOMAIN in `_rejects`.

    Without text the column is `default` (NULL if there is none), and the row is refused for the reason `missing` where one is given.
    """
    known = vocabulary.select(word__alias="alias", word__known=word)
    joined = rows.mutate(word__alias=slug(rows[raw])).left_join(known, "word__alias").drop("word__alias", "word__alias_right")
    text, found = joined[raw], joined["word__known"]
    entries = [(unreadable(text, found), "DOMAIN", raw, text), *([(trimmed(text).isnull(), missing, raw, text)] if missing else [])]
    value = found if default is None else ibis.ifelse(trimmed(text).isnull(), default, found)
    return joined.mutate(**{column: value, "_rejects": joined_rejects(joined["_rejects"], rejects(*entries))}).drop("word__known")


def refused(rows: ir.Table, *entries: tuple) -> ir.Table:
    """The rows with more reasons in `_rejects`: (is bad, reason, column, raw value) each."""
    return rows.mutate(_rejects=joined_rejects(rows["_rejects"], rejects(*entries)))


def page_name(url: ir.StringValue) -> ir.StringValue:
    """Host (lower case) and path of a page, without scheme, user, query, fragment and slashes at the end; `/` alone stays. NULL: there is no name."""
    text = trimmed(url).re_replace(r"^[A-Za-z][A-Za-z0-9+.-]*:", "").re_replace("^//", "").re_replace("[?#].*$", "").re_replace("^[^/@]*@", "")
    bare = text.re_replace("/+$", "")
    host, path = bare.re_extract("^([^/]*)", 1).lower(), bare.re_replace("^[^/]*", "")
    return ibis.coalesce((host + path).nullif(""), text.startswith("/").ifelse("/", ibis.null("string")))
