"""The pipeline at a glance: one task for each kind of stage, in the order of a build.

The stages come from `[tool.modelyard]` in pyproject.toml. Tasks of your own can stand beside these.
"""

from modelyard.tasks import load_project

project = load_project(__file__)
DOIT_CONFIG = project.config()


def task_dataset():
    """get the data set, check it, and write its splits"""
    yield from project.tasks(task_dataset)


def task_train():
    """train the model"""
    yield from project.tasks(task_train)


def task_optimize():
    """quantize, prune and convert: every step of every variant"""
    yield from project.tasks(task_optimize)


def task_evaluate():
    """measure every variant as it ships: quality, size, latency"""
    yield from project.tasks(task_evaluate)


def task_select():
    """pick the variant that ships, of those that meet every gate"""
    yield from project.tasks(task_select)


def task_image():
    """build the container image that serves the model"""
    yield from project.tasks(task_image)


def task_check():
    """start the image's server and compare its answers with the evaluated model"""
    yield from project.tasks(task_check)


def task_render():
    """render the manifests of every deploy target"""
    yield from project.tasks(task_render)


def task_serve():
    """serve the selected model on this machine"""
    yield from project.tasks(task_serve)


def task_events():
    """speak with the broker of events: make what it lacks, send it events and show their answers"""
    yield from project.tasks(task_events)


def task_push():
    """push the image to its registry, keeping the digest that the manifests name"""
    yield from project.tasks(task_push)


def task_deploy():
    """change the cluster to what is rendered, and wait for the rollout"""
    yield from project.tasks(task_deploy)


def task_undeploy():
    """remove what was deployed"""
    yield from project.tasks(task_undeploy)


def task_export():
    """write the rendered manifests to a folder for git"""
    yield from project.tasks(task_export)


def task_report():
    """write a report on what is built: quality, sizes, latency, mistakes, provenance"""
    yield from project.tasks(task_report)


def task_others():
    """what plugins add, and whatever else this file does not name"""
    yield from project.tasks()
