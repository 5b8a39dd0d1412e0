"""Templates, blueprints and help pages on a later page."""

from __future__ import annotations

import pytest
from support.borrowing import borrowed

from browser import test_examples, test_pages, test_templates
from browser.test_templates import page as page

for module in (test_templates, test_pages, test_examples):
    globals().update(borrowed(module, pytest.mark.by_hand))
del module
