"""Nodes for a server of the tests: one that holds RAM which nobody can free, and a device that is not there.

What the second one simulates is said in `test_models_in_comfyui.py`.
"""

HOLDER = """
import asyncio

import torch
from aiohttp import web
from server import PromptServer

held = []

async def hold(request):
    # Slowly, so that it is seen to grow.
    for _ in range(0, (await request.json())["megabytes"], 20):
        held.append(torch.ones(20 * 1024 * 256))
        await asyncio.sleep(0.02)
    return web.json_response({})

PromptServer.instance.routes.post("/hold")(hold)
NODE_CLASS_MAPPINGS = {}
"""

SIMULATED_DEVICE = """
import types

import torch

MIB = 1024**2
TOTAL = 1024 * MIB
DEVICE = torch.device("meta")
SLACK = 64 * MIB
slack = 0
calls = []

def there():
    import comfy.model_management as management

    return [m for m in list(management.current_loaded_models) if m.device == DEVICE and m.model is not None]

def used():
    return slack + sum(m.model.loaded_size() for m in there())

def install():
    import comfy.model_management as management

    free_memory, get_free_memory = management.free_memory, management.get_free_memory
    soft_empty_cache = management.soft_empty_cache

    def recorded(memory_required, device, keep_loaded=[], *args, **kwargs):
        if device == DEVICE:
            calls.append(
                {
                    "required": memory_required,
                    "kept": [model_name(m) for m in keep_loaded if isinstance(m, management.LoadedModel)],
                    "of other types": [type(m).__name__ for m in keep_loaded if type(m) is not management.LoadedModel],
                }
            )
        return free_memory(memory_required, device, keep_loaded, *args, **kwargs)

    def free_of(device=None, torch_free_too=False):
        if device != DEVICE:
            return get_free_memory(device, torch_free_too)
        return (TOTAL - used(), slack) if torch_free_too else TOTAL - used()

    def emptied(*args, **kwargs):
        global slack
        slack = 0
        return soft_empty_cache(*args, **kwargs)

    management.free_memory, management.get_free_memory = recorded, free_of
    management.soft_empty_cache = emptied
    torch.xpu.is_available = torch.xpu.is_initialized = lambda: True
    torch.xpu.device_count = lambda: 1
    torch.xpu.get_device_name = lambda index=0: "simulated"
    torch.xpu.get_device_properties = lambda index=0: types.SimpleNamespace()
    torch.xpu.mem_get_info = lambda index=0: (TOTAL - used(), TOTAL)
    torch.xpu.memory_reserved = lambda index=0: used()
    torch.xpu.memory_allocated = lambda index=0: used() - slack

def model_name(loaded):
    return f"{type(loaded.model.model).__name__} {loaded.model.model_size() // MIB}"
"""

BEFORE_THE_EXTENSION = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.endswith(".host.comfyui_queue"):
            sys.meta_path.remove(self)
            import simulated_device

            simulated_device.install()
        return None

sys.meta_path.insert(0, Finder())
"""

SIMULATION = """
import asyncio
import importlib
import sys
import threading

import comfy.model_management as management
import torch
from aiohttp import web
from server import PromptServer

import simulated_device as device

def extension():
    [module] = [m for n, m in sys.modules.items() if n.endswith(".instance") and hasattr(m, "set_running")]
    return module.running(), module.__name__.rpartition(".")[0]

def on_worker(call):
    done, answer = threading.Event(), []

    def work(place):
        try:
            answer.append(call(place))
        finally:
            done.set()

    extension()[0].host.on_worker(work)
    assert done.wait(30)
    return answer[0]

def place(where):
    def call(_):
        for loaded in management.current_loaded_models:
            loaded.device = torch.device(where)
    on_worker(call)

def climb(goal):
    running, package = extension()
    ladder = importlib.import_module(package + ".reclaim.ladder")
    level = importlib.import_module(package + ".monitor.readings").Level.EMERGENCY
    shortage = ladder.Shortage("vram0", level, "asked for by the test", goal)

    def call(where):
        device.slack = device.SLACK  # ComfyUI empties its cache by itself now and then
        return running.ladder.climb(shortage, where)

    return on_worker(call).as_dict()

@PromptServer.instance.routes.post("/simulated/place")
async def post_place(request):
    await asyncio.to_thread(place, (await request.json())["where"])
    return web.json_response({})

@PromptServer.instance.routes.post("/simulated/climb")
async def post_climb(request):
    return web.json_response(await asyncio.to_thread(climb, (await request.json())["goal"]))

@PromptServer.instance.routes.get("/simulated")
async def get(request):
    loaded = [device.model_name(m) for m in management.current_loaded_models if m.model is not None]
    return web.json_response({"loaded": loaded, "calls": device.calls})

NODE_CLASS_MAPPINGS = {}
"""
