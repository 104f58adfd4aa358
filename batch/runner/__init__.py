"""Runs a job list on servers: one job at a time on each, through restarts, dropped connections and full memory."""
