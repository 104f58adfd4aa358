"""Nodes for a server of the tests: what takes device memory, what tells of it, and what asks the ladder for it."""

CARD = """
import asyncio
import importlib
import sys
import threading

import comfy.model_management as management
import torch
from aiohttp import web
from server import PromptServer

MIB = 1024**2

def taken(megabytes):
    tensor = torch.ones(int(megabytes) * MIB, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    return tensor

class Node:
    CATEGORY = "tests"
    OUTPUT_NODE = True
    FUNCTION = "run"

class TakeVram(Node):
    @classmethod
    def INPUT_TYPES(cls):
        inputs = {"megabytes": ("FLOAT", {"max": 1e9}), "seed": ("INT", {})}
        sizes = {name: ("INT", {}) for name in ("width", "height", "batch_size")}
        return {"required": inputs, "optional": sizes}

    RETURN_TYPES = ()

    def run(self, megabytes, seed, width=0, height=0, batch_size=1):
        taken(megabytes * batch_size)
        return {}

class KeepVram(Node):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"megabytes": ("FLOAT", {"max": 1e9}), "seed": ("INT", {})}}

    RETURN_TYPES = ("IMAGE",)

    def run(self, megabytes, seed):
        return (taken(megabytes),)

def extension():
    [module] = [m for n, m in sys.modules.items() if n.endswith(".instance") and hasattr(m, "set_running")]
    return module.running(), module.__name__.rpartition(".")[0]

def climb(goal):
    running, package = extension()
    ladder = importlib.import_module(package + ".reclaim.ladder")
    level = importlib.import_module(package + ".monitor.readings").Level.EMERGENCY
    shortage = ladder.Shortage("vram0", level, "asked for by the test", goal)
    done, answer = threading.Event(), []

    def work(place):
        try:
            answer.append(running.ladder.climb(shortage, place).as_dict())
        finally:
            done.set()

    running.host.on_worker(work)
    assert done.wait(60)
    return answer[0]

@PromptServer.instance.routes.post("/card/climb")
async def post_climb(request):
    return web.json_response(await asyncio.to_thread(climb, (await request.json())["goal"]))

@PromptServer.instance.routes.get("/card")
async def get(request):
    free, total = torch.cuda.mem_get_info()
    loaded = [m for m in management.current_loaded_models if m.model is not None]
    return web.json_response(
        {
            "used": total - free,
            "total": total,
            "allocated": torch.cuda.memory_allocated(),
            "reserved": torch.cuda.memory_reserved(),
            "models": sorted([type(m.model.model).__name__, m.model.loaded_size()] for m in loaded),
        }
    )

NODE_CLASS_MAPPINGS = {"TakeVram": TakeVram, "KeepVram": KeepVram}
"""
