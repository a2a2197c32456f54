"""The report: one HTML file that says what was asked, what was found, where, and what must not be concluded of it.

    found = gather(options)                 # plans, outcomes, claims, past times: from the store alone
    text = document(found)                  # nothing is fetched: style, script and pictures are in it

`page.html`, `page.css` and `page.js` beside this file are its form. The same store gives the same bytes.
"""

from harness.report.document import document
from harness.report.gather import Found, gather

__all__ = ["Found", "document", "gather"]
