"""The board: every queue and every scaling decision in the browser, and what can be done about them."""
