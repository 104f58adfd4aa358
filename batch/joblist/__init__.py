"""Job lists: a workflow and a table become jobs, checked whole before the first one starts."""
