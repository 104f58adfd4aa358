"""Run by a ComfyUI's own Python, in its folder: looks at each thing of ComfyUI that we lean on, and starts nothing.

Prints one JSON object: hook → "" where it is as we need it, else what is different. Every check stands by itself, so
that an update of ComfyUI that changes one is told by its name.
"""

import ast
import inspect
import json
import sys
from pathlib import Path

sys.argv = ["main.py", "--cpu", "--disable-api-nodes"]
sys.path.insert(0, str(Path.cwd()))

CHECKS = {}


def hook(check):
    CHECKS[check.__name__] = check
    return check


def takes(function, *names, positional=None):
    """Whether it takes these parameters; `positional`: and can be called with so many."""
    parameters = inspect.signature(function).parameters
    missing = [n for n in names if n not in parameters]
    assert not missing, f"{function.__qualname__} takes no {', '.join(missing)}"
    if positional is not None:
        inspect.signature(function).bind(*range(positional))


def has(thing, *names):
    missing = [n for n in names if not hasattr(thing, n)]
    assert not missing, f"{getattr(thing, '__name__', type(thing).__name__)} has no {', '.join(missing)}"


def function_in(path, name):
    found = [
        node
        for node in ast.walk(ast.parse(Path(path).read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name
    ]
    assert found, f"{path} has no function {name}"
    return found[0]


def stored(function):
    arguments = function.args
    names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    return names | {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def calls(function):
    found = {n.func for n in ast.walk(function) if isinstance(n, ast.Call)}
    return {ast.unparse(f) for f in found}


def new_queue():
    import execution

    class Server:
        last_prompt_id = None
        number = 0

        def queue_updated(self):
            pass

    return execution.PromptQueue(Server())


ITEM = (1, "an-id", {"1": {"class_type": "X", "inputs": {}}}, {}, ["1"], {})


@hook
def prompt_queue_get():
    queue = new_queue()
    takes(queue.get, "timeout")
    queue.put(ITEM)
    item, item_id = queue.get(timeout=0)
    assert item[1] == "an-id" and queue.currently_running[item_id][1] == "an-id", "get hands out something else"


@hook
def prompt_queue_structures():
    queue = new_queue()
    has(queue, "queue", "mutex", "not_empty", "currently_running", "history", "server")
    queue.put(ITEM)
    assert queue.queue[0][1] == "an-id", "the head of the queue is not queue[0]"
    for name in ("get", "put", "task_done", "delete_queue_item", "wipe_queue"):
        assert callable(vars(type(queue)).get(name)) and name not in vars(queue), f"{name} is no method of the class"
    with queue.not_empty:
        queue.not_empty.notify()


@hook
def prompt_queue_task_done():
    import execution

    queue = new_queue()
    takes(queue.task_done, "item_id", "history_result", "status")
    queue.put(ITEM)
    _, item_id = queue.get(timeout=0)
    status = execution.PromptQueue.ExecutionStatus(status_str="success", completed=True, messages=[])
    more = (
        {"process_item": lambda item: item[:5]}
        if "process_item" in inspect.signature(queue.task_done).parameters
        else {}
    )
    queue.task_done(item_id, {"outputs": {}, "meta": {}}, status, **more)
    assert "an-id" in queue.history, "an ended prompt is not in the history by its id"


@hook
def prompt_queue_removal():
    queue = new_queue()
    takes(queue.delete_queue_item, positional=1)
    takes(queue.wipe_queue, positional=0)
    queue.put(ITEM)
    assert queue.delete_queue_item(lambda item: item[1] == "an-id"), "delete_queue_item found nothing"


@hook
def prompt_queue_view():
    queue = new_queue()
    queue.put(ITEM)
    running, pending = queue.get_current_queue_volatile()
    assert not running and pending[0][1] == "an-id", "get_current_queue_volatile tells something else"


@hook
def prompt_worker():
    worker = function_in("main.py", "prompt_worker")
    assert "e" in stored(worker), "the executor is no longer the local e"
    assert {"q.get", "q.task_done"} <= calls(worker), "it calls get or task_done no longer on the queue's instance"


@hook
def before_node_execution():
    import nodes

    takes(nodes.before_node_execution, positional=0)
    assert "nodes.before_node_execution" in calls(ast.parse(Path("execution.py").read_text("utf-8"))), (
        "execution.py calls it no longer as an attribute of its module"
    )


@hook
def execution_frames():
    needed = {"prompt_id", "unique_id", "class_type", "execution_list", "pending_subgraph_results"}
    missing = needed - stored(function_in("execution.py", "execute"))
    assert not missing, f"execute has no local {', '.join(sorted(missing))}"
    mapper = stored(function_in("execution.py", "_async_map_node_over_list"))
    missing = {"func", "input_is_list", "max_len_input"} - mapper
    assert not missing, f"_async_map_node_over_list has no local {', '.join(sorted(missing))}"
    assert "inputs" in stored(function_in("execution.py", "process_inputs")), "process_inputs has no inputs"


@hook
def caches():
    import execution
    from comfy_execution import caching

    parameters = inspect.signature(execution.CacheSet.__init__).parameters
    values = {"cache_type": execution.CacheType.CLASSIC, "cache_args": {"lru": 1, "ram": 1.0}}
    has(execution.CacheSet(**{k: v for k, v in values.items() if k in parameters}), "outputs")
    cache = caching.HierarchicalCache(caching.CacheKeySetInputSignature)
    has(cache, "cache", "subcaches", "_get_cache_for")
    assert isinstance(cache.cache, dict), "a cache's entries are no dict"
    takes(caching.CacheKeySet.get_data_key, "node_id")


@hook
def current_loaded_models():
    from comfy import model_management

    assert isinstance(model_management.current_loaded_models, list), "current_loaded_models is no list"
    has(model_management.LoadedModel, "model", "model_loaded_memory", "model_memory")
    assert "device" in inspect.getsource(model_management.LoadedModel.__init__), "LoadedModel has no device"


@hook
def free_memory():
    from comfy import model_management

    takes(model_management.free_memory, "memory_required", "device", "keep_loaded")
    takes(model_management.soft_empty_cache, positional=0)


@hook
def interrupting():
    from comfy import model_management

    import nodes

    takes(nodes.interrupt_processing, positional=1)
    takes(model_management.throw_exception_if_processing_interrupted, positional=0)
    model_management.throw_exception_if_processing_interrupted()


@hook
def folder_paths():
    import folder_paths as folders

    for name in ("output", "temp", "input", "user"):
        assert Path(getattr(folders, f"get_{name}_directory")()).is_absolute()
    has(folders, "models_dir")
    assert all(Path(found).is_absolute() for found in folders.get_folder_paths("custom_nodes"))
    if hasattr(folders, "get_system_user_directory"):
        found = Path(folders.get_system_user_directory("resource_gate"))
        assert found.name == "__resource_gate" and found.is_relative_to(folders.get_user_directory())


@hook
def numbers_of_saved_files():
    import tempfile

    import folder_paths

    with tempfile.TemporaryDirectory() as folder:
        for name in ("pic_00007_.png", "pic_00009_.webm", "pic_00003_audio.mp4", "pictures_00040_.png"):
            Path(folder, name).touch()
        path, name, number, *_ = folder_paths.get_save_image_path("set/pic", folder)
        assert (Path(path), name, number) == (Path(folder, "set"), "pic", 1), "a new folder begins with another number"
        _, _, number, *_ = folder_paths.get_save_image_path("pic", folder)
        assert number == 10, f"the next number is {number}, not that behind the highest of all endings"
    for path in ("nodes.py", "comfy_extras/nodes_video.py"):
        assert "{counter:05}_." in Path(path).read_text("utf-8"), f"{path} calls files otherwise"


@hook
def send_sync():
    from server import PromptServer

    takes(PromptServer.send_sync, "event", "data", "sid")
    takes(PromptServer.send_progress_text, "text", "node_id")
    source = inspect.getsource(PromptServer.__init__)
    for name in ("self.routes", "self.number", "self.loop", "self.prompt_queue", "PromptServer.instance"):
        assert name in source, f"PromptServer sets no {name}"


@hook
def validate_prompt():
    import execution

    assert inspect.iscoroutinefunction(execution.validate_prompt), "validate_prompt is no coroutine"
    takes(execution.validate_prompt, "prompt_id", "prompt", positional=3)


@hook
def progress_state():
    from comfy_execution.progress import NodeState, ProgressRegistry, get_progress_state

    has(NodeState, "Running")
    takes(get_progress_state, positional=0)
    from comfy_execution.graph import DynamicPrompt

    has(DynamicPrompt, "has_node", "get_node")
    source = inspect.getsource(ProgressRegistry)
    for name in ("self.nodes", "self.dynprompt", '"value"', '"max"'):
        assert name in source or name.strip('"') in source, f"ProgressRegistry has no {name}"


@hook
def node_api():
    from comfy_api.internal import first_real_override
    from comfy_api.latest import ComfyExtension, io

    has(ComfyExtension, "get_node_list")
    has(io, "AnyType", "Schema", "ComfyNode", "NodeOutput", "Hidden", "Int", "Float", "Boolean", "Combo", "String")
    takes(io.Schema, "node_id", "display_name", "category", "is_input_list", "inputs", "outputs", "hidden")
    takes(first_real_override, positional=2)


@hook
def loading_of_packs():
    source = Path("nodes.py").read_text("utf-8")
    for name in ("WEB_DIRECTORY", "comfy_entrypoint", "NODE_CLASS_MAPPINGS"):
        assert f'"{name}"' in source, f"nodes.py looks for no {name}"


def problem_of(check):
    try:
        check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    import comfy.options

    comfy.options.enable_args_parsing()
    import utils.extra_config  # noqa: F401 - as main.py does: a dependency is called utils, too

    found = {name: problem_of(check) for name, check in CHECKS.items()}
    print("PROBED " + json.dumps(found))  # noqa: T201 - this is its answer
