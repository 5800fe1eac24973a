-- What a version was made by, in one hash (resources/recipes.py): a run that meets it again makes nothing. Empty: not known.
ALTER TABLE platform.table_version ADD COLUMN recipe text NOT NULL DEFAULT '';
