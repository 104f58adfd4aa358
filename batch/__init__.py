"""From outside the process: client, runner, memory limits."""
