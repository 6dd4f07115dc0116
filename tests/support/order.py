"""Marks of tests by the fixtures that they use, and the order of modules: the longest first, so that workers end together."""

import pytest

TRAINED = {"small_runs", "run_of_folds", "exports", "cars_index"}
LARGE = (
    "inception",
    "resnet50",
    "efficientnet",
    "mobilenet_v3_large",
    "convnext_tiny",
    "dinov2_small",
    "test_applications",
)  # Networks of hundreds of layers, in a test's name.
# Modules by processor time, the longest first; all others after them, as they are collected.
LONGEST = (
    "test_reliability",
    "test_export",
    "test_demo_browser",
    "test_ways_to_learn",
    "test_board",
    "test_frozen",
    "test_fine_tune",
    "test_settings_runs",
    "test_network",
    "test_ablate",
    "test_rare_class_runs",
    "test_distance_transform",
    "test_adjusted_head",
    "test_page_requests",
    "test_figures",
    "test_networks",
    "test_weights",
    "test_torch_names",
    "test_formats",
    "test_published",
    "test_synthetic",
    "test_index",
    "test_search",
    "test_cross_dataset",
    "test_initial_weights",
    "test_reproduce",
    "test_rate_test",
    "test_end_to_end",
    "test_predictor",
    "test_page",
    "test_applications",
    "test_jpeg_graph",
    "test_stream",
    "test_pixel_store",
)


def mark(item) -> None:
    """slow: what trains, needs what was trained, or builds a large network; real: what needs photos of real cars."""
    fixtures = set(getattr(item, "fixturenames", ()))
    trains = bool(fixtures & TRAINED) or ("drawn" in fixtures and bool({"lean", "shallow"} & fixtures))
    if trains or any(name in item.nodeid for name in LARGE):
        item.add_marker(pytest.mark.slow)
    if "real_cars" in fixtures:
        item.add_marker(pytest.mark.real)


def longest_first(items: list) -> None:
    """Sort the tests in place by their modules' place in LONGEST; tests of a module keep their order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
