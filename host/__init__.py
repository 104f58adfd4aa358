"""The only code that knows ComfyUI, and its stand-in with no ComfyUI: one protocol, two hosts."""
