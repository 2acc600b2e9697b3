"""How a run's configuration differs from its recipe."""

from pathlib import Path

from comp.config import load_config
from comp.runs.page.configuration import configuration_section, recipe_of

ABOUT = "recipe: {title: One way, about: It came in two versions}\n"


def test_of_two_versions_of_a_recipe_the_nearer_one_is_compared(small):
    small.configure()
    baseline = Path("conf/baseline.yaml")
    text = baseline.read_text(encoding="utf-8") + ABOUT
    Path("conf/recipes").mkdir(parents=True)
    for name, seed in (("one-0.1.0", 1), ("one", 2)):
        Path(f"conf/recipes/{name}.yaml").write_text(f"{text}seed: {seed}\n", encoding="utf-8")
    baseline.write_text(f"{text}seed: 2\n", encoding="utf-8")
    trained = load_config(baseline)
    assert recipe_of(trained)[0] == "the recipe one"
    assert configuration_section(trained).note == "As the recipe one, in all keys."
