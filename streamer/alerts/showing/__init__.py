"""Why a rule fires or does not, and when it would have: explained, rehearsed, printed."""
