"""evalrunner inside pytest; :mod:`.hooks` is what pytest loads."""
