"""Studies of the method: what it is compared with, and what does the work.

`plan.py` says what is run, `run.py` runs it into `results.json`, `verdicts.py`
holds the rules by which claims are judged, and `page.py` writes the page.
"""
